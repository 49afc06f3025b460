/**
 * Answers what is in view: at once with what is in memory and in the overview, then ever finer while chunks are read. A newer
 * question ends the work on an older one.
 */
import type { Bag, Want } from './bag.ts';
import type { Cells, SeriesKey, SpectrumPicture, ViewAnswer, ViewQuery } from './bag-model.ts';
import { type Plan, planOf, reachOf } from './plan.ts';
import { paint, SpectrumColumns } from './spectrum.ts';
import { SpectrumPlan } from './spectrum-plan.ts';
import type { Track } from './track.ts';
import {
  addNumbers,
  addOverview,
  addPeaks,
  addSamples,
  CellBuilder,
  type Columns,
  columnsOf,
  recordedColumns,
} from './view-cells.ts';

/** A view that still lacks something after as many batches lacks it for a reason that reading does not cure. */
const mostBatches = 300;
/** Chunks of a topic that stand for a long span without an overview. */
const sampledChunks = 300;
const spectrumChunks = 160;
const batchBytes = 2 * 1024 * 1024;
/** While something is read, the picture is drawn anew after this long. */
const answerMs = 90;

const noChunks: Plan = { mode: 'sampled', chunks: [], stride: 1, of: 0 };

interface Row {
  readonly key: SeriesKey;
  readonly track: Track;
  readonly plan: Plan;
  /** Whether peaks do: then sound itself need not be in memory. */
  readonly coarse: boolean;
}

/** Numbers of an overview's periods, both inclusive. */
interface Periods {
  readonly first: number;
  last: number;
}

/** @param runs in order, apart from each other. */
function isWithin(runs: readonly Periods[], period: number): boolean {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((runs[middle] as Periods).first <= period) low = middle + 1;
    else high = middle;
  }
  return period <= (runs[low - 1]?.last ?? Number.NEGATIVE_INFINITY);
}

export class ViewReader {
  readonly #bag: Bag;
  readonly #spectrum = new SpectrumColumns();
  readonly #post: (answer: ViewAnswer) => void;
  #newest = 0;

  constructor(bag: Bag, post: (answer: ViewAnswer) => void) {
    this.#bag = bag;
    this.#post = post;
  }

  /** Resolves when the last answer was given, or a newer question came. */
  async ask(query: ViewQuery): Promise<void> {
    this.#newest += 1;
    const mine = this.#newest;
    const spanS = query.toS - query.fromS;
    const fromS = Math.max(0, query.fromS - spanS / 2);
    const toS = Math.min(this.#bag.durationS, query.toS + spanS / 2);
    const columns = columnsOf(fromS, toS, spanS, query.width);
    const rows = query.series.flatMap((key) => this.#row(key, columns));
    const spectrum = this.#spectrumPlan(query, columns);
    const missing = () => this.#missing(rows, spectrum, query);
    const total = rows.reduce((sum, { plan }) => sum + plan.chunks.length, spectrum?.plan.chunks.length ?? 0);
    let left = missing();
    this.#answer(query, columns, rows, spectrum, total, left.length);
    let answeredMs = performance.now();
    for (let batch = 0; left.length > 0 && batch < mostBatches; batch += 1) {
      await this.#bag.load(this.#batch(left));
      if (mine !== this.#newest) return;
      if (spectrum !== null) this.#computeSpectrum(spectrum);
      left = missing();
      if (left.length > 0 && performance.now() - answeredMs < answerMs) continue;
      this.#answer(query, columns, rows, spectrum, total, left.length);
      answeredMs = performance.now();
      // Lets a newer question in before more is read.
      await new Promise((resolve) => setTimeout(resolve));
      if (mine !== this.#newest) return;
    }
  }

  #row(key: SeriesKey, columns: Columns): Row[] {
    const track = this.#bag.tracks[key.topic];
    if (track === undefined || (track.kind !== 'sound' && track.kind !== 'numbers')) return [];
    const [overview] = track.overviewOf(key.field);
    // Between two messages that are both outside a short view, the line goes on.
    const reachS = track.kind === 'numbers' ? 2 * track.periodS : 0;
    const [fromS, toS] = [columns.fromS - reachS, columns.toS + reachS];
    // An overview that is finer than the columns tells all that can be seen.
    const plan =
      overview !== undefined && overview.periodS <= columns.columnS
        ? noChunks
        : planOf(this.#bag, track, fromS, toS, overview === undefined ? sampledChunks : 0);
    return [{ key, track, plan, coarse: columns.columnS >= 0.005 }];
  }

  #missing(rows: readonly Row[], spectrum: SpectrumPlan | null, query: ViewQuery): Want[] {
    const wants = new Map<string, Want>();
    const add = (track: Track, chunk: number) => wants.set(`${track.id} ${chunk}`, { track, chunk });
    for (const { track, plan, coarse } of rows) {
      const peaksDo = coarse && track.kind === 'sound';
      for (const chunk of plan.chunks) if (this.#bag.isMissing({ track, chunk }, peaksDo)) add(track, chunk);
    }
    if (spectrum !== null) {
      for (const chunk of spectrum.open())
        if (this.#bag.isMissing({ track: spectrum.track, chunk })) add(spectrum.track, chunk);
    }
    return this.#visibleFirst([...wants.values()], query);
  }

  /** What is seen is read before the margin around it; the order within stays. */
  #visibleFirst(wants: readonly Want[], query: ViewQuery): Want[] {
    const inside = new Map<Track, ReadonlySet<number>>();
    const isSeen = ({ track, chunk }: Want) => {
      let seen = inside.get(track);
      if (seen === undefined) {
        seen = new Set(track.within(query.fromS, query.toS).map((place) => track.chunks[place] as number));
        inside.set(track, seen);
      }
      return seen.has(chunk);
    };
    const seen = wants.filter(isSeen);
    return seen.length === wants.length ? seen : [...seen, ...wants.filter((want) => !isSeen(want))];
  }

  #batch(wants: readonly Want[]): Want[] {
    let bytes = 0;
    const end = wants.findIndex(({ chunk }) => {
      bytes += this.#bag.bytesOf(chunk);
      return bytes > batchBytes;
    });
    return wants.slice(0, end < 1 ? (end === 0 ? 1 : wants.length) : end);
  }

  #answer(
    query: ViewQuery,
    columns: Columns,
    rows: readonly Row[],
    spectrum: SpectrumPlan | null,
    total: number,
    left: number,
  ): void {
    const cells = query.series.map((key) => {
      const row = rows.find((one) => one.key === key);
      return row ? this.#cells(row, columns) : new CellBuilder(columns).cells();
    });
    if (spectrum !== null) this.#computeSpectrum(spectrum);
    const { fromS, toS } = columns;
    const picture = spectrum === null ? null : this.#picture(spectrum);
    this.#post({
      fromS,
      toS,
      series: query.series,
      cells,
      spectrum: picture,
      progress: total === 0 ? 1 : Math.max(0, 1 - left / total),
    });
  }

  #cells({ key, track, plan, coarse }: Row, columns: Columns): Cells {
    const builder = new CellBuilder(columns);
    const overview = track.overviewOf(key.field);
    const periodS = overview[0]?.periodS ?? 1;
    // Where chunks are still to be read, the overview stands in, whole periods at a time.
    const open = plan.mode === 'exact' && overview.length > 0 ? this.#openPeriods(track, plan, coarse, periodS) : null;
    const skip = (t: number) => open !== null && isWithin(open, Math.floor(t / periodS));
    if (overview.length > 0 && (open === null || open.length > 0)) {
      addOverview(builder, overview, columns, (t) => open === null || skip(t));
    }
    for (const chunk of plan.chunks) {
      if (track.kind === 'sound' && coarse) {
        const peaks = this.#bag.peaks(track, chunk);
        if (peaks) addPeaks(builder, peaks, key.field, skip);
        continue;
      }
      const decoded = this.#bag.decoded(track, chunk);
      if (decoded?.kind === 'numbers') addNumbers(builder, decoded, key.field, skip);
      else if (decoded?.kind === 'sound') addSamples(builder, decoded, key.field, columns);
    }
    if (track.kind === 'sound' && plan.mode === 'sampled' && plan.chunks.length > 0) {
      const isReading = plan.chunks.some((chunk) => this.#bag.isMissing({ track, chunk }, coarse));
      builder.spread(recordedColumns(track, columns), reachOf(track, plan, columns.columnS, isReading));
    }
    return builder.cells();
  }

  /** Runs of periods that a chunk still to be read reaches into: as runs, as damaged times may reach over centuries. */
  #openPeriods(track: Track, plan: Plan, coarse: boolean, periodS: number): readonly Periods[] {
    const open: Periods[] = [];
    const missing = new Set(
      plan.chunks.filter((chunk) => this.#bag.isMissing({ track, chunk }, coarse && track.kind === 'sound')),
    );
    if (missing.size === 0) return open;
    track.chunks.forEach((chunk, place) => {
      if (!missing.has(chunk)) return;
      const first = Math.floor((track.starts[place] as number) / periodS);
      const last = Math.floor((track.ends[place] as number) / periodS);
      const before = open.at(-1);
      if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last);
      else open.push({ first, last });
    });
    return open;
  }

  #spectrumPlan(query: ViewQuery, columns: Columns): SpectrumPlan | null {
    const wanted = query.spectrum;
    const track = wanted === null ? undefined : this.#bag.tracks[wanted.key.topic];
    if (wanted === null || track?.kind !== 'sound') return null;
    // Two columns of the lines above are one of these.
    const wide = columnsOf(columns.fromS, columns.toS, query.toS - query.fromS, query.width / 2);
    const plan = planOf(this.#bag, track, columns.fromS, columns.toS, spectrumChunks);
    return new SpectrumPlan(this.#spectrum, track, wanted, wide, plan);
  }

  #computeSpectrum(spectrum: SpectrumPlan): void {
    const { track } = spectrum;
    const soundOf = (chunk: number) => {
      const decoded = this.#bag.decoded(track, chunk);
      return decoded?.kind === 'sound' ? decoded : undefined;
    };
    // Not there and not to be had: damaged, or seen before and its columns made.
    const isGone = (chunk: number) => !this.#bag.isMissing({ track, chunk }, true);
    spectrum.compute(soundOf, isGone);
  }

  #picture(spectrum: SpectrumPlan): SpectrumPicture {
    const { columns, height, colours } = spectrum;
    const levels = spectrum.levels();
    const fromS = columns.first * columns.columnS;
    const toS = (columns.first + columns.count) * columns.columnS;
    if (levels.every((one) => one === undefined)) return { picture: null, fromS, toS, loudestDb: Number.NaN };
    const { pixels, loudestDb } = paint(levels, height, colours);
    const canvas = new OffscreenCanvas(columns.count, height);
    canvas
      .getContext('2d')
      ?.putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), columns.count, height), 0, 0);
    return { picture: canvas.transferToImageBitmap(), fromS, toS, loudestDb };
  }
}
