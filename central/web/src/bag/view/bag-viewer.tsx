/** The viewer of one bag: opens it in a worker, and shows what of it is chosen on one time axis. */
import { type ReactNode, useEffect, useState, useSyncExternalStore } from 'react';
import { Icon } from '../../components/icon.tsx';
import { Moment } from '../../components/moment.tsx';
import { Loading } from '../../components/states.tsx';
import { formatOffset } from '../../format/format-time.ts';
import { formatBytes, formatNumber } from '../../format/format-value.ts';
import type { BagFault } from '../reading/bag-error.ts';
import type { BagInfo } from '../reading/bag-model.ts';
import type { BagFile } from '../reading/byte-source.ts';
import { BagClient, type BagState } from './bag-client.ts';
import { BagTimeline } from './bag-timeline.tsx';
import { momentOf, spanText } from './time-text.ts';
import './bag.css';

export interface BagSource {
  readonly name: string;
  readonly files: readonly BagFile[];
}

export function BagViewer({ source }: { readonly source: BagSource }) {
  const [client, setClient] = useState<BagClient | null>(null);
  useEffect(() => {
    const made = new BagClient();
    made.open(source.name, source.files);
    setClient(made);
    return () => made.close();
  }, [source]);
  return client === null ? <Loading what="the bag" rows={5} /> : <OpenBag client={client} />;
}

export interface OpenBagProps {
  /** One that was told to open a bag. */
  readonly client: BagClient;
}

export function OpenBag({ client }: OpenBagProps) {
  const state = useSyncExternalStore(client.subscribe, () => client.state);
  const { info, failure, opening } = state;
  if (failure !== null) return <BagFailure fault={failure} />;
  if (info === null) return <Opening opening={opening} />;
  return (
    <>
      <Facts info={info} state={state} />
      <Faults faults={state.faults} />
      <BagTimeline client={client} info={info} events={state.events} />
    </>
  );
}

function Opening({ opening }: { readonly opening: BagState['opening'] }) {
  if (opening === null) return <Loading what="the bag" rows={5} />;
  return (
    <div className="clip-pending" role="status">
      <p className="empty-title">Reading through {opening.file}</p>
      <p className="empty-text">
        It has no index: it is still being written, or was cut off. {formatBytes(opening.done)} of{' '}
        {formatBytes(opening.total)}
      </p>
      <progress aria-label="Read" value={opening.done} max={opening.total} />
    </div>
  );
}

/** Why there is nothing to see, where, and what to do. */
export function BagFailure({ fault }: { readonly fault: BagFault }) {
  return (
    <div className="failed" role="alert">
      <Icon name="warning" size={20} />
      <div>
        <p className="failed-title">
          {fault.file === '' ? 'The bag cannot be shown' : `${fault.file} cannot be shown`}
        </p>
        <p className="failed-text">
          {sentence(fault)}
          {fault.cure !== '' && ` ${fault.cure}`}
        </p>
      </div>
    </div>
  );
}

function sentence({ message, offset }: BagFault): string {
  const text = `${message}.`;
  return offset === null ? text.charAt(0).toUpperCase() + text.slice(1) : `At offset ${offset}: ${text}`;
}

/** What is wrong with a bag that can be shown all the same. */
function Faults({ faults }: { readonly faults: readonly BagFault[] }) {
  if (faults.length === 0) return null;
  const [first, ...others] = faults;
  const text = (fault: BagFault) => `${fault.file}: ${sentence(fault)} ${fault.cure}`;
  return (
    <div className="stale-note" role="status">
      <Icon name="warning" />
      <span>
        {first && text(first)}
        {others.length > 0 && (
          <details>
            <summary>{others.length} more</summary>
            <ul>
              {others.map((fault) => (
                <li key={`${fault.file} ${fault.offset} ${fault.message}`}>{text(fault)}</li>
              ))}
            </ul>
          </details>
        )}
      </span>
    </div>
  );
}

function Facts({ info, state }: { readonly info: BagInfo; readonly state: BagState }) {
  const bytes = info.files.reduce((sum, file) => sum + file.bytes, 0);
  const startsAt = momentOf(info.startNs, 0);
  const facts: readonly (readonly [string, ReactNode])[] = [
    ['Starts', <Start key="start" at={startsAt} ns={info.startNs} />],
    ['Lasts', spanText(info.durationS)],
    ...(info.device === '' ? [] : ([['Vehicle', info.device]] as const)),
    ['Size', info.files.length > 1 ? `${formatBytes(bytes)} in ${info.files.length} files` : formatBytes(bytes)],
    ['Messages', formatNumber(info.messages)],
    ['Read so far', formatBytes(state.readBytes)],
  ];
  return (
    <dl className="facts bag-facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd className="number">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** With the offset, as the bag may be of the other half of the year. */
function Start({ at, ns }: { readonly at: Date; readonly ns: string }) {
  return (
    <>
      <Moment at={at.toISOString()} ns={ns} milliseconds /> <span className="faint">{formatOffset(at)}</span>
    </>
  );
}
