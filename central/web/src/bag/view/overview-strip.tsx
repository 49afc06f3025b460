/** The whole bag in one strip, with the span in view as a window that can be moved and stretched. */
import { type KeyboardEvent, type PointerEvent, useEffect, useRef } from 'react';
import { paletteOf } from '../../theme/palette.ts';
import { useTheme } from '../../theme/use-theme.ts';
import type { BagEvent, ViewAnswer } from '../reading/bag-model.ts';
import { canvasOf, usualStep } from './paint.ts';
import { drawEventLines } from './plot-rows.tsx';
import { Stage } from './stage.ts';
import { clockText, spanText } from './time-text.ts';
import { useSlowly } from './use-stage.ts';

interface OverviewStripProps {
  readonly stage: Stage;
  readonly startNs: string;
  readonly events: readonly BagEvent[];
  readonly answer: ViewAnswer | null;
  /** Sound is drawn by its loudness. */
  readonly isSound: boolean;
}

/** Pixels from an edge of the window at which it is stretched instead of moved. */
const edgePx = 7;

export function OverviewStrip({ stage, startNs, events, answer, isSound }: OverviewStripProps) {
  useSlowly(stage);
  const palette = paletteOf(useTheme());
  const canvas = useRef<HTMLCanvasElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const window = useRef<HTMLDivElement>(null);
  useEffect(
    () =>
      stage.addPainter(() => {
        const element = window.current;
        if (element === null) return;
        element.style.left = `${(stage.fromS / stage.durationS) * 100}%`;
        element.style.width = `${(stage.spanS / stage.durationS) * 100}%`;
      }),
    [stage],
  );
  useEffect(() => {
    const draw = () => {
      const surface = canvas.current && canvasOf(canvas.current);
      if (!surface) return;
      const whole = new Stage(stage.durationS, () => undefined);
      const cells = answer?.cells[0];
      drawEventLines(surface.context, surface, whole, events, palette.impact);
      if (cells) drawStrip(surface, cells, stage.durationS, isSound, palette.waveform);
    };
    draw();
    const sizes = new ResizeObserver(draw);
    if (frame.current) sizes.observe(frame.current);
    return () => sizes.disconnect();
  }, [stage, answer, events, isSound, palette]);
  const onPointerDown = useWindowDrag(stage, frame);
  const onKeyDown = (event: KeyboardEvent) => {
    const steps = new Map<string, () => void>([
      ['ArrowLeft', () => stage.pan(-0.1)],
      ['ArrowRight', () => stage.pan(0.1)],
      ['PageUp', () => stage.pan(0.9)],
      ['PageDown', () => stage.pan(-0.9)],
      ['Home', () => stage.show(0, stage.spanS)],
      ['End', () => stage.show(stage.durationS - stage.spanS, stage.durationS)],
    ]);
    const step = steps.get(event.key);
    if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    step();
  };
  return (
    <div ref={frame} className="bag-strip" onPointerDown={onPointerDown}>
      <canvas ref={canvas} className="row-canvas" />
      <div
        ref={window}
        className="bag-strip-window"
        role="slider"
        tabIndex={0}
        aria-label="Span in view"
        aria-valuemin={0}
        aria-valuemax={Math.round(stage.durationS)}
        aria-valuenow={Math.round(stage.fromS)}
        aria-valuetext={`${spanText(stage.spanS)} from ${clockText(startNs, stage.fromS, stage.spanS)}`}
        onKeyDown={onKeyDown}
      />
    </div>
  );
}

/** Drags the window, one of its edges, or takes it to where the strip is pressed. */
function useWindowDrag(stage: Stage, frame: { readonly current: HTMLDivElement | null }) {
  return (down: PointerEvent<HTMLDivElement>) => {
    const box = frame.current?.getBoundingClientRect();
    if (!box || down.button !== 0) return;
    const timeAt = (clientX: number) => ((clientX - box.left) / box.width) * stage.durationS;
    const { fromS, toS } = stage;
    const startS = timeAt(down.clientX);
    const edgeS = Math.min((edgePx / box.width) * stage.durationS, (toS - fromS) / 3);
    const isFrom = Math.abs(startS - fromS) < edgeS;
    const isTo = Math.abs(startS - toS) < edgeS;
    if (!(isFrom || isTo) && (startS < fromS || startS > toS)) {
      stage.show(startS - stage.spanS / 2, startS + stage.spanS / 2);
    }
    const [heldFrom, heldTo] = [stage.fromS, stage.toS];
    const move = (event: globalThis.PointerEvent) => {
      const byS = timeAt(event.clientX) - startS;
      if (isFrom) stage.show(Math.max(0, Math.min(heldFrom + byS, heldTo - 1e-3)), heldTo);
      else if (isTo) stage.show(heldFrom, Math.min(stage.durationS, Math.max(heldTo + byS, heldFrom + 1e-3)));
      else stage.show(heldFrom + byS, heldTo + byS);
    };
    const up = () => {
      removeEventListener('pointermove', move);
      removeEventListener('pointerup', up);
      removeEventListener('pointercancel', up);
    };
    addEventListener('pointermove', move);
    addEventListener('pointerup', up);
    addEventListener('pointercancel', up);
  };
}

function drawStrip(
  surface: { readonly context: CanvasRenderingContext2D; readonly width: number; readonly height: number },
  cells: NonNullable<ViewAnswer['cells'][number]>,
  durationS: number,
  isSound: boolean,
  colour: string,
): void {
  const { context, width, height } = surface;
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const level = (at: number) => {
    const [min, max] = [cells.min[at] as number, cells.max[at] as number];
    if (!isSound) return max;
    // Loudness, so that a quiet drive with one blow shows both.
    return 20 * Math.log10(Math.max(-min, max, 1e-5));
  };
  for (let at = 0; at < cells.t.length; at += 1) {
    low = Math.min(low, isSound ? level(at) : (cells.min[at] as number));
    high = Math.max(high, level(at));
  }
  if (low > high) return;
  const perValue = (height - 6) / (high - low || 1);
  const perS = width / durationS;
  // Single values, and sums of a few chunks of many, stand for the usual distance to their neighbours.
  const stepS = usualStep(cells);
  const leastS = isSound || !Number.isFinite(stepS) ? 0 : stepS;
  context.fillStyle = colour;
  context.globalAlpha = 0.75;
  for (let at = 0; at < cells.t.length; at += 1) {
    const x = (cells.t[at] as number) * perS;
    const wide = Math.max(1, Math.max(cells.wideS[at] as number, leastS) * perS + 0.5);
    const tall = 2 + (level(at) - low) * perValue;
    context.fillRect(x - wide / 2, height - tall, wide, tall);
  }
  context.globalAlpha = 1;
}
