/** The timeline's clock: round moments in the viewer's zone. Dragging it moves the view. */
import { useEffect, useRef } from 'react';
import { paletteOf } from '../../theme/palette.ts';
import { useTheme } from '../../theme/use-theme.ts';
import { canvasOf } from './paint.ts';
import { RowFrame } from './plot-rows.tsx';
import type { Stage } from './stage.ts';
import { clockText, dateText, rulerTicks } from './time-text.ts';
import { useSlowly } from './use-stage.ts';

export function RulerRow({ stage, startNs }: { readonly stage: Stage; readonly startNs: string }) {
  const palette = paletteOf(useTheme());
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(
    () =>
      stage.addPainter(() => {
        const surface = canvas.current && canvasOf(canvas.current);
        if (!surface) return;
        const { context, width, height } = surface;
        const { step, ticks } = rulerTicks(startNs, stage.fromS, stage.toS, width, stage.spanS < 0.5 ? 110 : 84);
        context.font = '11px system-ui, sans-serif';
        context.textBaseline = 'middle';
        context.fillStyle = palette.text;
        context.strokeStyle = palette.axis;
        context.beginPath();
        for (const tick of ticks) {
          const x = Math.round(((tick - stage.fromS) / stage.spanS) * width) + 0.5;
          context.moveTo(x, 0);
          context.lineTo(x, height);
          context.fillText(
            clockText(startNs, tick, step >= 1 ? 1000 : step >= 1e-3 ? 1 : 0.1),
            x + 4,
            height / 2 + 0.5,
          );
        }
        context.stroke();
      }),
    [stage, startNs, palette],
  );
  return (
    <RowFrame
      title="Time"
      detail={<RulerDate stage={stage} startNs={startNs} />}
      height={24}
      className="ruler bag-ruler"
    >
      <canvas ref={canvas} className="row-canvas" />
    </RowFrame>
  );
}

function RulerDate({ stage, startNs }: { readonly stage: Stage; readonly startNs: string }) {
  useSlowly(stage);
  return dateText(startNs, stage.fromS);
}
