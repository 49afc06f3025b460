/** Diagnostics and logs of the span in view. */
import { useEffect, useState } from 'react';
import { formatNumber } from '../../format/format-value.ts';
import type { BagLine } from '../reading/bag-model.ts';
import type { BagClient } from './bag-client.ts';
import type { Stage } from './stage.ts';
import { clockText, utcText } from './time-text.ts';
import { useSlowly } from './use-stage.ts';

interface LineListProps {
  readonly client: BagClient;
  readonly stage: Stage;
  readonly startNs: string;
  readonly onGo: (timeS: number) => void;
}

const settleMs = 400;
const shownAtFirst = 8;

export function LineList({ client, stage, startNs, onGo }: LineListProps) {
  useSlowly(stage);
  const [found, setFound] = useState<readonly BagLine[] | null>(null);
  const [isLong, setLong] = useState(false);
  const { fromS, toS } = stage;
  const isDrawn = stage.progress >= 1;
  useEffect(() => {
    if (!isDrawn) return;
    let isStale = false;
    const timer = setTimeout(async () => {
      const read = await client.lines(fromS, toS);
      if (!isStale) setFound(read);
    }, settleMs);
    return () => {
      isStale = true;
      clearTimeout(timer);
    };
  }, [client, fromS, toS, isDrawn]);
  const lines = found ?? [];
  const shown = isLong ? lines : lines.slice(0, shownAtFirst);
  return (
    <section className="panel bag-lines" aria-labelledby="bag-lines">
      <h2 id="bag-lines" className="panel-title">
        Diagnostics and logs
      </h2>
      {lines.length === 0 && <p className="faint">{found === null ? 'being read …' : 'None in view.'}</p>}
      <ul>
        {shown.map((line) => (
          <li key={`${line.atS} ${line.source} ${line.text}`}>
            <button
              type="button"
              className="link-button number"
              title={utcText(startNs, line.atS)}
              onClick={() => onGo(line.atS)}
            >
              {clockText(startNs, line.atS, 1)}
            </button>
            <span className={`badge badge-${line.level}`}>{line.level}</span>
            <span className="bag-line-source">{line.source}</span>
            <span>{line.text}</span>
          </li>
        ))}
      </ul>
      {lines.length > shownAtFirst && (
        <button type="button" className="link-button" onClick={() => setLong(!isLong)}>
          {isLong ? 'Fewer' : `All ${formatNumber(lines.length)}`}
        </button>
      )}
    </section>
  );
}
