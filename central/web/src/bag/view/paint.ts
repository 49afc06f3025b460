/** Draws cells on a canvas: lines with the band of their extremes, waveforms as bars. No React, no DOM but the canvas. */
import { valueRange } from '../../charts/series.ts';
import type { Palette } from '../../theme/palette.ts';
import type { Cells } from '../reading/bag-model.ts';
import type { Stage } from './stage.ts';

/** A canvas of CSS pixels, sharp on every screen. Returns null while it has no size. */
export function canvasOf(
  canvas: HTMLCanvasElement,
): { context: CanvasRenderingContext2D; width: number; height: number } | null {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (width === 0 || height === 0) return null;
  const scale = Math.min(2, devicePixelRatio || 1);
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const context = canvas.getContext('2d');
  if (context === null) return null;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** First cell at or after `t`. */
export function cellAt(t: Float64Array, at: number): number {
  let low = 0;
  let high = t.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((t[middle] as number) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Cells in view, with one more on each side. */
export function visible(cells: Cells, stage: Stage): readonly [number, number] {
  return [Math.max(0, cellAt(cells.t, stage.fromS) - 1), Math.min(cells.t.length, cellAt(cells.t, stage.toS) + 1)];
}

/** The distance that is no gap: several of the usual one. */
export function usualGap(cells: Cells): number {
  return usualStep(cells) * 5;
}

/** The median distance of cells; infinite for too few of them. */
export function usualStep({ t }: Cells): number {
  if (t.length < 3) return Number.POSITIVE_INFINITY;
  const steps: number[] = [];
  const stride = Math.max(1, Math.floor(t.length / 64));
  for (let at = 1; at < t.length; at += stride) steps.push((t[at] as number) - (t[at - 1] as number));
  steps.sort((one, other) => one - other);
  return steps[steps.length >> 1] as number;
}

/** The value nearest to a time, no farther than a gap; null otherwise. */
export function valueNear(cells: Cells, timeS: number): number | null {
  const at = cellAt(cells.t, timeS);
  const [before, after] = [cells.t[at - 1], cells.t[at]];
  const takeBefore = before !== undefined && (after === undefined || timeS - before < after - timeS);
  const index = takeBefore ? at - 1 : at;
  const t = cells.t[index];
  const reach = Math.max(usualGap(cells), 1e-3);
  return t === undefined || Math.abs(t - timeS) > reach ? null : (cells.mean[index] as number);
}

/** Bounds of a value axis that hold still while values move within them. */
export class ValueAxis {
  low = 0;
  high = 1;
  #known = false;

  /** @param digits shown; @returns whether there is any value. */
  fit(all: readonly Cells[], stage: Stage, scales: readonly number[], digits: number): boolean {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    all.forEach((cells, line) => {
      const [first, end] = visible(cells, stage);
      const scale = scales[line] ?? 1;
      for (let at = first; at < end; at += 1) {
        const [min, max] = [(cells.min[at] as number) * scale, (cells.max[at] as number) * scale];
        if (Number.isFinite(min) && min < low) low = min;
        if (Number.isFinite(max) && max > high) high = max;
      }
    });
    if (low > high) return this.#known;
    const roomy = high - low > 0.45 * (this.high - this.low);
    if (this.#known && roomy && low >= this.low && high <= this.high) return true;
    [this.low, this.high] = valueRange([[low, high]], digits);
    this.#known = true;
    return true;
  }

  /** Pixels from the top of a plot. */
  y(value: number, height: number): number {
    return height - 3 - ((value - this.low) * (height - 6)) / (this.high - this.low || 1);
  }
}

export interface Line {
  readonly cells: Cells;
  readonly colour: string;
  /** From the message's values to those of the axis. */
  readonly scale: number;
}

export function drawLines(
  context: CanvasRenderingContext2D,
  size: { readonly width: number; readonly height: number },
  stage: Stage,
  lines: readonly Line[],
  axis: ValueAxis,
): void {
  const { width, height } = size;
  const perS = width / stage.spanS;
  for (const { cells, colour, scale } of lines) {
    const [first, end] = visible(cells, stage);
    const y = (value: number) => axis.y(value * scale, height);
    const gap = usualGap(cells);
    context.strokeStyle = colour;
    context.fillStyle = colour;
    drawBand(context, cells, first, end, (t) => (t - stage.fromS) * perS, y);
    context.lineWidth = 1.5;
    context.beginPath();
    let last = Number.NEGATIVE_INFINITY;
    for (let at = first; at < end; at += 1) {
      const t = cells.t[at] as number;
      const value = cells.mean[at] as number;
      if (!Number.isFinite(value)) continue;
      const [px, py] = [(t - stage.fromS) * perS, y(value)];
      if (t - last > gap) context.moveTo(px, py);
      else context.lineTo(px, py);
      last = t;
    }
    context.stroke();
    if ((end - first) * 9 > width) continue;
    for (let at = first; at < end; at += 1) {
      context.beginPath();
      context.arc(((cells.t[at] as number) - stage.fromS) * perS, y(cells.mean[at] as number), 2, 0, 7);
      context.fill();
    }
  }
}

/** From the least to the greatest of each cell, faintly. */
function drawBand(
  context: CanvasRenderingContext2D,
  cells: Cells,
  first: number,
  end: number,
  x: (t: number) => number,
  y: (value: number) => number,
): void {
  context.beginPath();
  let wideS = Number.POSITIVE_INFINITY;
  for (let at = first; at < end; at += 1) {
    const [min, max] = [cells.min[at] as number, cells.max[at] as number];
    if (max === min || !Number.isFinite(max - min)) continue;
    wideS = Math.min(wideS, cells.wideS[at] as number);
    const px = x(cells.t[at] as number);
    context.moveTo(px, y(min));
    context.lineTo(px, y(max));
  }
  if (wideS === Number.POSITIVE_INFINITY) return;
  context.globalAlpha = 0.35;
  context.lineWidth = Math.max(1, (x(wideS) - x(0)) * 0.9);
  context.stroke();
  context.globalAlpha = 1;
}

/** Greatest magnitude in view. */
export function peakOf(cells: Cells, stage: Stage): number {
  const [first, end] = visible(cells, stage);
  let peak = 0;
  for (let at = first; at < end; at += 1) peak = Math.max(peak, -(cells.min[at] as number), cells.max[at] as number);
  return peak;
}

export function drawWave(
  context: CanvasRenderingContext2D,
  size: { readonly width: number; readonly height: number },
  stage: Stage,
  cells: Cells,
  palette: Palette,
): void {
  const { width, height } = size;
  const perS = width / stage.spanS;
  const [first, end] = visible(cells, stage);
  const middle = height / 2;
  const gain = (middle - 2) * waveGain(peakOf(cells, stage));
  context.strokeStyle = palette.waveform;
  context.fillStyle = palette.waveform;
  const gap = usualGap(cells);
  if (cells.wideS[first] === 0 && cells.wideS[end - 1] === 0 && end - first < 2 * width) {
    context.lineWidth = 1.2;
    context.beginPath();
    let last = Number.NEGATIVE_INFINITY;
    for (let at = first; at < end; at += 1) {
      const t = cells.t[at] as number;
      const [px, py] = [(t - stage.fromS) * perS, middle - (cells.mean[at] as number) * gain];
      if (t - last > gap) context.moveTo(px, py);
      else context.lineTo(px, py);
      last = t;
    }
    context.stroke();
    return;
  }
  let before: { readonly endS: number; readonly top: number; readonly bottom: number } | null = null;
  for (let at = first; at < end; at += 1) {
    const t = cells.t[at] as number;
    const wideS = cells.wideS[at] as number;
    let top = middle - (cells.max[at] as number) * gain;
    let bottom = middle - (cells.min[at] as number) * gain;
    const own = { endS: t + wideS / 2, top, bottom };
    // Bars of few samples reach to the one before, as the wave does.
    if (before !== null && t - wideS / 2 - before.endS <= (wideS > 0 ? wideS / 2 : gap)) {
      top = Math.min(top, before.bottom);
      bottom = Math.max(bottom, before.top);
    }
    before = own;
    // Half a pixel more, so that no seams show between bars.
    const widePx = Math.max(1, wideS * perS + 0.5);
    context.fillRect((t - stage.fromS) * perS - widePx / 2, top, widePx, Math.max(1, bottom - top));
  }
}

/** A scale in steps of 3 dB, so that the waveform does not breathe while it moves. */
function waveGain(peak: number): number {
  return peak <= 0 ? 1 : 2 ** (-Math.ceil(2 * Math.log2(peak)) / 2);
}
