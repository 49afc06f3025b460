/** The rows of the timeline: waveforms, the spectrogram and lines, each a canvas that the stage paints. */
import { type ReactNode, useEffect, useMemo, useRef } from 'react';
import { formatNumber } from '../../format/format-value.ts';
import { frequencyHeight, frequencyTicks } from '../../player/frequency-scale.ts';
import { paletteOf } from '../../theme/palette.ts';
import { useTheme } from '../../theme/use-theme.ts';
import type { BagEvent } from '../reading/bag-model.ts';
import { AxisLabels } from './axis-labels.ts';
import { canvasOf, drawLines, drawWave, peakOf, ValueAxis, valueNear } from './paint.ts';
import type { Stage } from './stage.ts';
import { useSlowly } from './use-stage.ts';
import type { ViewRow } from './view-rows.ts';

export const spectrumHeight = 150;

interface RowFrameProps {
  readonly title: string;
  readonly detail: ReactNode;
  /** Pixels at least; a plot is as tall as the texts beside it. */
  readonly height: number;
  readonly className?: string;
  readonly children: ReactNode;
}

/** As the rows of an event's timeline: name and values on the left, above on narrow screens. */
export function RowFrame({ title, detail, height, className = '', children }: RowFrameProps) {
  return (
    <div className={`time-row ${className}`}>
      <div className="time-row-head">
        <span className="time-row-title">{title}</span>
        <span className="time-row-detail">{detail}</span>
      </div>
      <div className="time-row-plot" style={{ minHeight: height }}>
        {children}
      </div>
    </div>
  );
}

interface RowProps {
  readonly stage: Stage;
  readonly row: ViewRow;
  readonly events: readonly BagEvent[];
}

export function LineRow({ stage, row, events }: RowProps) {
  const palette = paletteOf(useTheme());
  const canvas = useRef<HTMLCanvasElement>(null);
  const axis = useMemo(() => new ValueAxis(), []);
  const labels = useMemo(() => new AxisLabels(), []);
  const digits = row.series[0]?.field.digits ?? 2;
  const colourOf = (line: number) => palette.series[line % palette.series.length] ?? palette.text;
  useEffect(
    () =>
      stage.addPainter(() => {
        const surface = canvas.current && canvasOf(canvas.current);
        if (!surface) return;
        const lines = row.series.flatMap(({ key, field }, line) => {
          const cells = stage.cells(key);
          return cells
            ? [{ cells, colour: palette.series[line % palette.series.length] ?? palette.text, scale: field.scale }]
            : [];
        });
        const scales = lines.map(({ scale }) => scale);
        drawEventLines(surface.context, surface, stage, events, palette.impact);
        if (
          !axis.fit(
            lines.map(({ cells }) => cells),
            stage,
            scales,
            digits,
          )
        )
          return;
        labels.draw(surface.context, surface, stage, lines, axis, digits, palette);
        drawLines(surface.context, surface, stage, lines, axis);
      }),
    [stage, row, palette, axis, labels, digits, events],
  );
  return (
    <RowFrame
      title={row.heading}
      detail={<LineValues stage={stage} row={row} colourOf={colourOf} />}
      height={row.series.length > 2 ? 84 : 64}
    >
      <canvas ref={canvas} className="row-canvas" />
    </RowFrame>
  );
}

function LineValues({
  stage,
  row,
  colourOf,
}: {
  readonly stage: Stage;
  readonly row: ViewRow;
  readonly colourOf: (line: number) => string;
}) {
  useSlowly(stage);
  return (
    <span className="row-values">
      {row.series.map(({ key, field, label }, line) => {
        const cells = stage.cells(key);
        const value = cells ? valueNear(cells, stage.readS) : null;
        return (
          <span key={field.name} className="legend-entry">
            {row.series.length > 1 && (
              <>
                <span className="swatch" style={{ background: colourOf(line) }} aria-hidden="true" />
                <span className="legend-name">{label}</span>
              </>
            )}
            <span className="legend-value">
              {formatNumber(value === null ? null : value * field.scale, field.digits)}
            </span>
          </span>
        );
      })}
      <span className="unit">{row.unit}</span>
    </span>
  );
}

export function WaveRow({ stage, row, events }: RowProps) {
  const palette = paletteOf(useTheme());
  const canvas = useRef<HTMLCanvasElement>(null);
  const key = row.series[0]?.key;
  useEffect(
    () =>
      stage.addPainter(() => {
        const surface = canvas.current && canvasOf(canvas.current);
        const cells = key && stage.cells(key);
        if (!surface) return;
        drawEventLines(surface.context, surface, stage, events, palette.impact);
        if (cells && cells.t.length > 0) drawWave(surface.context, surface, stage, cells, palette);
      }),
    [stage, key, palette, events],
  );
  return (
    <RowFrame title={`Sound, channel ${key?.field ?? 0}`} detail={<Peak stage={stage} row={row} />} height={72}>
      <canvas ref={canvas} className="row-canvas" />
    </RowFrame>
  );
}

function Peak({ stage, row }: { readonly stage: Stage; readonly row: ViewRow }) {
  useSlowly(stage);
  const key = row.series[0]?.key;
  const cells = key && stage.cells(key);
  const peak = cells ? peakOf(cells, stage) : 0;
  return <span className="number">{peak > 0 ? `peak ${formatNumber(20 * Math.log10(peak), 1)} dBFS` : ''}</span>;
}

export function SpectrumRow({
  stage,
  channel,
  rateHz,
}: {
  readonly stage: Stage;
  readonly channel: number;
  readonly rateHz: number;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(
    () =>
      stage.addPainter(() => {
        const surface = canvas.current && canvasOf(canvas.current);
        const { spectrum } = stage;
        if (!surface || spectrum?.picture == null) return;
        const perS = surface.width / stage.spanS;
        surface.context.imageSmoothingEnabled = false;
        surface.context.drawImage(
          spectrum.picture,
          (spectrum.fromS - stage.fromS) * perS,
          0,
          (spectrum.toS - spectrum.fromS) * perS,
          surface.height,
        );
      }),
    [stage],
  );
  return (
    <RowFrame title={`Spectrogram, channel ${channel}`} detail="kHz, mel scale" height={spectrumHeight}>
      <canvas ref={canvas} className="row-canvas bag-spectrum" />
      <div className="frequencies" aria-hidden="true">
        {frequencyTicks(rateHz / 2).map((frequencyHz) => (
          <span key={frequencyHz} style={{ bottom: `${frequencyHeight(frequencyHz, rateHz / 2) * 100}%` }}>
            {frequencyHz / 1000}
          </span>
        ))}
      </div>
    </RowFrame>
  );
}

/** More marks than this in view are drawn faintly, so that they do not hide what they belong to. */
const manyEvents = 12;

/** Upright dashes where something hit the vehicle. */
export function drawEventLines(
  context: CanvasRenderingContext2D,
  size: { readonly width: number; readonly height: number },
  stage: Stage,
  events: readonly BagEvent[],
  colour: string,
): void {
  const perS = size.width / stage.spanS;
  context.save();
  context.strokeStyle = colour;
  context.fillStyle = colour;
  context.lineWidth = 1;
  context.setLineDash([3, 3]);
  const inView = events.filter(({ atS, durationS }) => atS + durationS >= stage.fromS && atS <= stage.toS);
  const dashAlpha = inView.length > manyEvents ? 0.35 : 0.8;
  for (const { atS, durationS } of inView) {
    const x = Math.round((atS - stage.fromS) * perS) + 0.5;
    context.globalAlpha = 0.1;
    context.fillRect(x, 0, durationS * perS, size.height);
    context.globalAlpha = dashAlpha;
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, size.height);
    context.stroke();
  }
  context.restore();
}
