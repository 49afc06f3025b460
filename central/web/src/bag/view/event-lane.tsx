/** The events in view as marks above the rows; a click goes there. */
import { useEffect, useRef } from 'react';
import { formatScore, labelTitle } from '../../format/format-value.ts';
import type { BagEvent } from '../reading/bag-model.ts';
import { RowFrame } from './plot-rows.tsx';
import type { Stage } from './stage.ts';
import { clockText, utcText } from './time-text.ts';
import { useSlowly } from './use-stage.ts';

/** More would stand on each other. */
const mostMarks = 150;

interface EventLaneProps {
  readonly stage: Stage;
  readonly events: readonly BagEvent[];
  readonly startNs: string;
  readonly onEvent: (event: BagEvent) => void;
}

export function EventLane({ stage, events, startNs, onEvent }: EventLaneProps) {
  useSlowly(stage);
  const lane = useRef<HTMLDivElement>(null);
  useEffect(
    () =>
      stage.addPainter(() => {
        for (const mark of lane.current?.querySelectorAll<HTMLElement>('[data-at]') ?? []) {
          const share = (Number(mark.dataset.at) - stage.fromS) / stage.spanS;
          mark.style.left = `${share * 100}%`;
          mark.style.visibility = share < 0 || share > 1 ? 'hidden' : 'visible';
        }
      }),
    [stage],
  );
  const near = events.filter(({ atS }) => atS >= stage.fromS - stage.spanS && atS <= stage.toS + stage.spanS);
  const shown = near.length <= mostMarks ? near : near.filter((_, at) => at % Math.ceil(near.length / mostMarks) === 0);
  const inView = events.filter(({ atS }) => atS >= stage.fromS && atS <= stage.toS).length;
  return (
    <RowFrame
      title="Events"
      detail={<span className="number">{`${inView} of ${events.length} in view`}</span>}
      height={40}
      className="bag-events"
    >
      <div ref={lane}>
        {shown.map((event) => {
          const { id, atS, label, score } = event;
          const sure = Number.isFinite(score) ? `, score ${formatScore(score)}` : '';
          const words = `${labelTitle(label)}${sure}, ${clockText(startNs, atS, 1)}`;
          return (
            <button
              key={`${id} ${atS}`}
              type="button"
              className={`lane-mark lane-mark-${label}`}
              data-at={atS}
              style={{ left: `${((atS - stage.fromS) / stage.spanS) * 100}%` }}
              title={`${words}\n${utcText(startNs, atS)}`}
              aria-label={words}
              onClick={() => onEvent(event)}
            />
          );
        })}
      </div>
    </RowFrame>
  );
}
