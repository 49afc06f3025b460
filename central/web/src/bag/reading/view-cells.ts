/** Sums samples up in the columns of a view: pure arithmetic on what is in memory. */
import type { Cells } from './bag-model.ts';
import { type DecodedNumbers, type DecodedSound, peakFrames, type SoundPeaks } from './decoded.ts';
import type { OverviewPart } from './overview.ts';
import type { Track } from './track.ts';

/** A span cut into columns that stand still while the view moves: their edges are whole multiples of `columnS`. */
export interface Columns {
  readonly fromS: number;
  readonly toS: number;
  readonly columnS: number;
  readonly first: number;
  readonly count: number;
}

interface Cell {
  readonly t: number;
  readonly wideS: number;
  readonly min: number;
  readonly mean: number;
  readonly max: number;
}

/** The finest columns of a power of two seconds, of which at most `width` fill `spanS`. */
export function columnsOf(fromS: number, toS: number, spanS: number, width: number): Columns {
  const columnS = 2 ** Math.ceil(Math.log2(Math.max(spanS, 1e-9) / Math.max(width, 1)));
  const first = Math.floor(fromS / columnS);
  return { fromS, toS, columnS, first, count: Math.ceil(toS / columnS) - first + 1 };
}

/** Which columns a chunk of a topic reaches into: in the others nothing was recorded, and nothing is to be drawn. */
export function recordedColumns(track: Track, { fromS, toS, columnS, first, count }: Columns): boolean[] {
  // How many chunks begin in a column, less those that ended before it: damaged times may reach over centuries.
  const changes = new Int32Array(count + 1);
  for (const place of track.within(fromS - columnS, toS + columnS)) {
    const begin = Math.floor((track.starts[place] as number) / columnS) - first;
    const lastS = track.ends[place] as number;
    const nextS = track.starts[place + 1] ?? Number.POSITIVE_INFINITY;
    // Messages a little apart, as clocks are, are no pause: not more than half of one is missing.
    const endS = nextS - lastS <= 1.5 * track.blockS ? Math.max(nextS, lastS + track.blockS) : lastS + track.blockS;
    const end = Math.floor((endS - 1e-9) / columnS) - first;
    if (end < 0 || begin >= count) continue;
    changes[Math.max(0, begin)] = (changes[Math.max(0, begin)] as number) + 1;
    const behind = Math.max(Math.max(0, begin), Math.min(count - 1, end)) + 1;
    changes[behind] = (changes[behind] as number) - 1;
  }
  let open = 0;
  return Array.from({ length: count }, (_, column) => {
    open += changes[column] as number;
    return open > 0;
  });
}

/**
 * For each column the nearest of the known ones, itself included, that may stand for it: no farther than `reach`, and with sound
 * recorded all the way. −1 where there is none.
 */
export function standIns(isKnown: readonly boolean[], isRecorded: readonly boolean[], reach: number): Int32Array {
  const nearest = new Int32Array(isKnown.length).fill(-1);
  const walk = (from: number, step: number) => {
    let known = -1;
    for (let column = from; column >= 0 && column < isKnown.length; column += step) {
      if (isKnown[column]) known = column;
      else if (!isRecorded[column]) known = -1;
      if (known < 0 || Math.abs(column - known) > reach) continue;
      const other = nearest[column] as number;
      if (other < 0 || Math.abs(column - known) < Math.abs(column - other)) nearest[column] = known;
    }
  };
  walk(0, 1);
  walk(isKnown.length - 1, -1);
  return nearest;
}

/** Gathers values; gives single ones where there are few, sums where there are many. */
export class CellBuilder {
  readonly #columns: Columns;
  readonly #sum: Float64Array;
  readonly #count: Uint32Array;
  readonly #min: Float64Array;
  readonly #max: Float64Array;
  readonly #whole: Cell[] = [];
  #singleT: number[] | null = [];
  #singleV: number[] = [];

  constructor(columns: Columns) {
    this.#columns = columns;
    this.#sum = new Float64Array(columns.count);
    this.#count = new Uint32Array(columns.count);
    this.#min = new Float64Array(columns.count).fill(Number.POSITIVE_INFINITY);
    this.#max = new Float64Array(columns.count).fill(Number.NEGATIVE_INFINITY);
  }

  add(t: number, value: number): void {
    if (Number.isNaN(value)) return;
    this.addSum(t, value, value, value, 1);
    if (this.#singleT === null) return;
    this.#singleT.push(t);
    this.#singleV.push(value);
    if (this.#singleT.length > this.#columns.count) this.#singleT = null;
  }

  /** Several values at about the same time. */
  addSum(t: number, min: number, max: number, sum: number, count: number): void {
    const column = Math.floor(t / this.#columns.columnS) - this.#columns.first;
    if (column < 0 || column >= this.#columns.count) return;
    if (min < (this.#min[column] as number)) this.#min[column] = min;
    if (max > (this.#max[column] as number)) this.#max[column] = max;
    this.#sum[column] = (this.#sum[column] as number) + sum;
    this.#count[column] = (this.#count[column] as number) + count;
  }

  /** From here on only sums. */
  noSingles(): void {
    this.#singleT = null;
  }

  /** A cell from elsewhere, kept as it is. */
  addCell(cell: Cell): void {
    this.#whole.push(cell);
  }

  /** Lets sums stand for recorded columns beside them of which nothing was read, up to `reach` columns away. */
  spread(isRecorded: readonly boolean[], reach: number): void {
    const isKnown = Array.from(this.#count, (count) => count > 0);
    standIns(isKnown, isRecorded, reach).forEach((known, column) => {
      if (known < 0 || known === column) return;
      for (const values of [this.#min, this.#max, this.#sum, this.#count]) values[column] = values[known] as number;
    });
  }

  cells(): Cells {
    const rows = [...this.#whole];
    if (this.#singleT !== null) {
      this.#singleT.forEach((t, at) => {
        const value = this.#singleV[at] as number;
        rows.push({ t, wideS: 0, min: value, mean: value, max: value });
      });
    } else {
      const { columnS, first } = this.#columns;
      this.#count.forEach((count, column) => {
        if (count === 0) return;
        const mean = (this.#sum[column] as number) / count;
        rows.push({
          t: (first + column + 0.5) * columnS,
          wideS: columnS,
          min: this.#min[column] as number,
          mean,
          max: this.#max[column] as number,
        });
      });
    }
    if (rows.some(({ t }, at) => t < (rows[at - 1]?.t ?? Number.NEGATIVE_INFINITY))) rows.sort((a, b) => a.t - b.t);
    return {
      t: Float64Array.from(rows, ({ t }) => t),
      wideS: Float64Array.from(rows, ({ wideS }) => wideS),
      min: Float64Array.from(rows, ({ min }) => min),
      mean: Float64Array.from(rows, ({ mean }) => mean),
      max: Float64Array.from(rows, ({ max }) => max),
    };
  }
}

export function addNumbers(
  builder: CellBuilder,
  decoded: DecodedNumbers,
  field: number,
  skip: (t: number) => boolean,
): void {
  const values = decoded.values[field];
  if (values === undefined) return;
  decoded.t.forEach((t, row) => {
    if (!skip(t)) builder.add(t, values[row] as number);
  });
}

/** Samples of a channel, −1 to 1, of those messages that touch the columns. */
export function addSamples(builder: CellBuilder, sound: DecodedSound, channel: number, columns: Columns): void {
  sound.blocks.forEach(({ samples, channels, rateHz }, at) => {
    if (channel >= channels) return;
    const start = sound.t[at] as number;
    const frames = samples.length / channels;
    const first = Math.max(0, Math.floor((columns.fromS - start) * rateHz));
    const end = Math.min(frames, Math.ceil((columns.toS - start) * rateHz));
    for (let frame = first; frame < end; frame += 1) {
      builder.add(start + frame / rateHz, (samples[frame * channels + channel] as number) / 32_768);
    }
  });
}

/** The same from the peaks of a channel. */
export function addPeaks(builder: CellBuilder, sound: SoundPeaks, channel: number, skip: (t: number) => boolean): void {
  builder.noSingles();
  sound.blocks.forEach(({ peaks, channels, rateHz }, at) => {
    if (channel >= channels) return;
    const start = sound.t[at] as number;
    for (let part = 0; part * channels * 2 < peaks.length; part += 1) {
      const t = start + ((part + 0.5) * peakFrames) / rateHz;
      if (skip(t)) continue;
      const place = (part * channels + channel) * 2;
      const [min, max] = [(peaks[place] as number) / 32_768, (peaks[place + 1] as number) / 32_768];
      builder.addSum(t, min, max, (min + max) / 2, 1);
    }
  });
}

/** Entries of the overview whose middle is in the columns and not skipped; joined where several fall into one column. */
export function addOverview(
  builder: CellBuilder,
  parts: readonly OverviewPart[],
  columns: Columns,
  keep: (t: number) => boolean,
): void {
  for (const { startS, periodS, count, min, max, mean } of parts) {
    const coarse = periodS < columns.columnS;
    if (coarse) builder.noSingles();
    const first = Math.max(0, Math.floor((columns.fromS - startS) / periodS));
    const end = Math.min(mean.length, Math.ceil((columns.toS - startS) / periodS));
    for (let at = first; at < end; at += 1) {
      const value = mean[at] as number;
      const t = startS + (at + 0.5) * periodS;
      if (Number.isNaN(value) || !keep(t)) continue;
      const weight = (count[at] as number) || 1;
      if (coarse) builder.addSum(t, min[at] as number, max[at] as number, value * weight, weight);
      else builder.addCell({ t, wideS: periodS, min: min[at] as number, mean: value, max: max[at] as number });
    }
  }
}
