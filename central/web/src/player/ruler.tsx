/** The timeline's axis: seconds before and after the onset. */
import type { CSSProperties } from 'react';
import { formatNumber } from '../format/format-value.ts';
import { type TimeAxis, TimeRow } from './time-row.tsx';

/** Whole (or, in long clips, every 2, 5, 10 …) seconds from the onset that lie inside the clip, as seconds from it. */
function rulerTicks(durationS: number, onsetS: number): number[] {
  const step = [1, 2, 5, 10, 30, 60].find((one) => durationS / one <= 10) ?? 300;
  const first = Math.ceil(-onsetS / step) * step;
  const ticks: number[] = [];
  for (let tick = first; tick + onsetS < durationS; tick += step) ticks.push(tick);
  return ticks;
}

export function Ruler(timeAxis: TimeAxis) {
  const { durationS, onsetS } = timeAxis;
  if (durationS <= 0) return null;
  return (
    <TimeRow {...timeAxis} title="Time" detail="from the onset" height={22} className="ruler">
      {rulerTicks(durationS, onsetS).map((tick) => (
        <span
          key={tick}
          className={tick === 0 ? 'ruler-tick ruler-impact' : 'ruler-tick'}
          style={{ '--at': (tick + onsetS) / durationS } as CSSProperties}
        >
          {tick === 0 ? 'onset' : `${tick > 0 ? '+' : ''}${formatNumber(tick)} s`}
        </span>
      ))}
    </TimeRow>
  );
}
