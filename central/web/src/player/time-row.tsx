/** One row of the timeline: what it is and its value on the left (above on narrow screens), its plot on the shared axis. */
import type { KeyboardEvent, PointerEvent, ReactNode } from 'react';
import { formatNumber } from '../format/format-value.ts';

export interface TimeAxis {
  /** Seconds; 0 while unknown. */
  readonly durationS: number;
  readonly cursorS: number;
  readonly onsetS: number;
  readonly onSeek: (timeS: number) => void;
}

interface TimeRowProps extends TimeAxis {
  readonly title: string;
  readonly detail: ReactNode;
  /** CSS pixels. */
  readonly height: number;
  /** Whether this row is where the keyboard moves the position; one row is. */
  readonly slider?: boolean;
  readonly className?: string;
  readonly children: ReactNode;
}

export function TimeRow(props: TimeRowProps) {
  const { title, detail, height, durationS, cursorS, onsetS, onSeek, slider = false, className = '', children } = props;
  const onPointer = (event: PointerEvent<HTMLDivElement>) => {
    if (event.type === 'pointermove' && event.buttons !== 1) return;
    const box = event.currentTarget.getBoundingClientRect();
    onSeek(((event.clientX - box.left) / box.width) * durationS);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const targets: Readonly<Record<string, number>> = {
      ArrowLeft: cursorS - 0.1,
      ArrowRight: cursorS + 0.1,
      PageDown: cursorS - 1,
      PageUp: cursorS + 1,
      Home: 0,
      End: durationS,
    };
    const target = targets[event.key];
    if (target === undefined) return;
    event.preventDefault();
    onSeek(target);
  };
  const sliderProps = slider
    ? {
        role: 'slider',
        tabIndex: 0,
        'aria-label': 'Position in the clip',
        'aria-valuemin': 0,
        'aria-valuemax': Number(durationS.toFixed(2)),
        'aria-valuenow': Number(cursorS.toFixed(2)),
        'aria-valuetext': `${formatNumber(cursorS, 2)} s, ${relativeToOnset(cursorS, onsetS)}`,
        onKeyDown,
      }
    : {};
  return (
    <div className={`time-row ${className}`}>
      <div className="time-row-head">
        <span className="time-row-title">{title}</span>
        <span className="time-row-detail">{detail}</span>
      </div>
      <div
        {...sliderProps}
        className="time-row-plot"
        style={{ height }}
        onPointerDown={onPointer}
        onPointerMove={onPointer}
      >
        {children}
        <span className="time-mark time-mark-impact" aria-hidden="true" />
        <span className="time-mark time-mark-onset" aria-hidden="true" />
        <span className="time-mark time-mark-cursor" aria-hidden="true" />
      </div>
    </div>
  );
}

/** `0.40 s before the onset`, `at the onset`, `1.20 s after the onset`. */
export function relativeToOnset(timeS: number, onsetS: number): string {
  const distance = timeS - onsetS;
  if (Math.abs(distance) < 0.005) return 'at the onset';
  return `${formatNumber(Math.abs(distance), 2)} s ${distance < 0 ? 'before' : 'after'} the onset`;
}
