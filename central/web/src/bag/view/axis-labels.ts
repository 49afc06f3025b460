/** The two ends of the value axis inside a plot, where no line is: on the left, else on the right. */
import { formatNumber } from '../../format/format-value.ts';
import type { Palette } from '../../theme/palette.ts';
import { type Line, usualGap, type ValueAxis, visible } from './paint.ts';
import type { Stage } from './stage.ts';

type Side = 'left' | 'right';

interface Size {
  readonly width: number;
  readonly height: number;
}

const insetPx = 4;
const textPx = 12;

export class AxisLabels {
  /** A label stays where it is while it can, so that it does not jump about while the view moves. */
  readonly #sides: { high: Side; low: Side } = { high: 'left', low: 'left' };

  /** To be drawn before the lines: where they are on both sides they go over it. */
  draw(
    context: CanvasRenderingContext2D,
    size: Size,
    stage: Stage,
    lines: readonly Line[],
    axis: ValueAxis,
    digits: number,
    palette: Palette,
  ): void {
    context.font = '10px system-ui, sans-serif';
    context.fillStyle = palette.text;
    // Marks under the numbers must not be taken for strokes of them.
    context.strokeStyle = palette.surface;
    context.lineWidth = 4;
    context.lineJoin = 'round';
    for (const end of ['high', 'low'] as const) {
      const text = formatNumber(axis[end], digits);
      const wide = context.measureText(text).width + 2 * insetPx;
      const other = this.#sides[end] === 'left' ? 'right' : 'left';
      const sides = [this.#sides[end], other] as const;
      const side = sides.find((one) => isFree(one, end, wide, size, stage, lines, axis)) ?? 'left';
      this.#sides[end] = side;
      context.textAlign = side;
      context.textBaseline = end === 'high' ? 'top' : 'bottom';
      const x = side === 'left' ? insetPx : size.width - insetPx;
      const y = end === 'high' ? 3 : size.height - 2;
      context.strokeText(text, x, y);
      context.fillText(text, x, y);
    }
  }
}

/** Whether no line passes through a label's place. */
function isFree(
  side: Side,
  end: 'high' | 'low',
  wide: number,
  size: Size,
  stage: Stage,
  lines: readonly Line[],
  axis: ValueAxis,
): boolean {
  const sPerPx = stage.spanS / size.width;
  const fromS = side === 'left' ? stage.fromS : stage.toS - wide * sPerPx;
  const toS = fromS + wide * sPerPx;
  const isInside = (y: number) => (end === 'high' ? y < textPx + insetPx : y > size.height - textPx - insetPx);
  return lines.every(({ cells, scale }) => {
    const gapS = usualGap(cells);
    const [first, last] = visible(cells, stage);
    for (let at = first; at < last; at += 1) {
      const t = cells.t[at] as number;
      const isThere = t >= fromS && t <= toS;
      const extreme = (end === 'high' ? cells.max[at] : cells.min[at]) as number;
      if (isThere && isInside(axis.y(extreme * scale, size.height))) return false;
      const before = cells.t[at - 1];
      if (before === undefined || t - before > gapS || t < fromS || before > toS) continue;
      // The stroke from the value before, as far as it is over the label.
      const [from, to] = [cells.mean[at - 1] as number, cells.mean[at] as number];
      const valueAt = (timeS: number) => from + ((to - from) * (timeS - before)) / (t - before || 1);
      const ends = [valueAt(Math.max(before, fromS)), valueAt(Math.min(t, toS))];
      if (ends.some((value) => isInside(axis.y(value * scale, size.height)))) return false;
    }
    return true;
  });
}
