/** Bags in the dashboard: a file of this computer, picked or dropped, or the clip of an event. Nothing is uploaded. */
import { type DragEvent, useMemo, useState } from 'react';
import { Link, useSearch } from 'wouter';
import { clipRecordingUrl } from '../api/queries.ts';
import { type BagFault, faultOf } from '../bag/reading/bag-error.ts';
import { BagFailure, type BagSource, BagViewer } from '../bag/view/bag-viewer.tsx';
import { bagOf, entriesOf, readDropped } from '../bag/view/dropped-files.ts';
import { Icon } from '../components/icon.tsx';
import { PageTitle } from '../components/page-title.tsx';

export function BagsPage() {
  const clip = new URLSearchParams(useSearch()).get('clip');
  const [picked, setPicked] = useState<BagSource | null>(null);
  const clipSource = useMemo((): BagSource | null => {
    if (clip === null) return null;
    return { name: `Clip of ${clip}`, files: [{ name: `${clip}.mcap`, url: clipRecordingUrl(clip) }] };
  }, [clip]);
  const source = picked ?? clipSource;
  const { drop, isOver, fault, onPick } = useDrop(setPicked);
  if (source === null) {
    return (
      <>
        <PageTitle title="Bags" />
        {fault !== null && <BagFailure fault={fault} />}
        <BagPicker onPick={onPick} drop={drop} isOver={isOver} />
      </>
    );
  }
  return (
    <div className={isOver ? 'bag-page bag-page-over' : 'bag-page'} {...drop}>
      {picked === null && clip !== null && (
        <p className="crumbs">
          <Link href={`/events/${encodeURIComponent(clip)}`}>The event</Link>
        </p>
      )}
      <div className="title-row">
        <PageTitle title={source.name} />
        <span className="bag-other">
          <OpenButton onPick={onPick} words="Open another" />
        </span>
      </div>
      {fault !== null && <BagFailure fault={fault} />}
      <BagViewer key={keyOf(source)} source={source} />
    </div>
  );
}

const keys = new WeakMap<BagSource, number>();
let sources = 0;

/** Each source its own viewer, even of the same name. */
function keyOf(source: BagSource): number {
  const key = keys.get(source) ?? ++sources;
  keys.set(source, key);
  return key;
}

interface Drop {
  /** Of the element that files may be dropped on. */
  readonly drop: {
    readonly onDragOver: (event: DragEvent) => void;
    readonly onDragLeave: (event: DragEvent) => void;
    readonly onDrop: (event: DragEvent) => void;
  };
  readonly isOver: boolean;
  /** Of the latest drop; gone when a bag is opened. */
  readonly fault: BagFault | null;
  readonly onPick: PickProps['onPick'];
}

function useDrop(open: PickProps['onPick']): Drop {
  const [isOver, setOver] = useState(false);
  const [fault, setFault] = useState<BagFault | null>(null);
  const onPick = (source: BagSource) => {
    setFault(null);
    open(source);
  };
  // Words go where they are dropped, as into a field.
  const isOfFiles = ({ dataTransfer }: DragEvent) => dataTransfer.types.includes('Files');
  const onDragOver = (event: DragEvent) => {
    if (!isOfFiles(event)) return;
    event.preventDefault();
    setOver(true);
  };
  // Moving on to an element inside is not leaving.
  const onDragLeave = ({ currentTarget, relatedTarget }: DragEvent) => {
    if (!currentTarget.contains(relatedTarget as Node | null)) setOver(false);
  };
  const onDrop = (event: DragEvent) => {
    if (!isOfFiles(event)) return;
    event.preventDefault();
    setOver(false);
    setFault(null);
    readDropped(entriesOf(event.dataTransfer)).then(
      (files) => pick(files, onPick),
      (error: unknown) => setFault(faultOf(error, '')),
    );
  };
  return { drop: { onDragOver, onDragLeave, onDrop }, isOver, fault, onPick };
}

interface PickProps {
  readonly onPick: (source: BagSource) => void;
}

function BagPicker({ onPick, drop, isOver }: PickProps & Pick<Drop, 'drop' | 'isOver'>) {
  return (
    <section className={isOver ? 'bag-drop bag-drop-over' : 'bag-drop'} aria-label="Open a bag" {...drop}>
      <Icon name="folder" size={36} />
      <p className="empty-title">Drop a recording here: its folder, or its .mcap files</p>
      <OpenButton onPick={onPick} words="Choose files" />
      <p className="faint">The files stay on this computer: your browser reads them, and nothing is uploaded.</p>
      <p className="faint">
        From a terminal: <code>fender bag view PATH</code>
      </p>
    </section>
  );
}

function OpenButton({ onPick, words }: PickProps & { readonly words: string }) {
  return (
    <label className="bag-open">
      <input
        type="file"
        className="visually-hidden"
        multiple
        aria-label={words}
        onChange={(change) => pick([...(change.target.files ?? [])], onPick)}
      />
      <span className="button">{words}</span>
    </label>
  );
}

function pick(files: readonly File[], onPick: PickProps['onPick']): void {
  const source = bagOf(files);
  if (source !== null) onPick(source);
}
