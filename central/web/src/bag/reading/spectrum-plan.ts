/** Owns what one spectrogram is made from: which column comes from which chunk, and which stand for others. */
import type { ViewQuery } from './bag-model.ts';
import type { DecodedSound } from './decoded.ts';
import { type Plan, reachOf } from './plan.ts';
import type { SpectrumColumns } from './spectrum.ts';
import type { Track } from './track.ts';
import { type Columns, recordedColumns, standIns } from './view-cells.ts';

/** A column, and the moment that it shows. */
interface SpectrumPart {
  readonly column: number;
  readonly timeS: number;
}

/** The columns of one spectrogram, and the chunks that they are still to be made from. */
export class SpectrumPlan {
  readonly track: Track;
  readonly columns: Columns;
  readonly height: number;
  readonly colours: Uint32Array;
  readonly plan: Plan;
  readonly #store: SpectrumColumns;
  readonly #channel: number;
  readonly #isRecorded: readonly boolean[];
  /** By chunk: the columns that are made from it. */
  readonly #work = new Map<number, SpectrumPart[]>();

  constructor(
    store: SpectrumColumns,
    track: Track,
    wanted: NonNullable<ViewQuery['spectrum']>,
    columns: Columns,
    plan: Plan,
  ) {
    this.#store = store;
    this.track = track;
    this.columns = columns;
    this.plan = plan;
    this.height = wanted.height;
    this.colours = wanted.colours;
    this.#channel = wanted.key.field;
    this.#isRecorded = recordedColumns(track, columns);
    if (plan.mode === 'exact') this.#everyColumn();
    else this.#columnsOfChunks();
  }

  /** Each column is made of the sound around its middle, or nearest to that where the middle has none. */
  #everyColumn(): void {
    const taken = new Set(this.plan.chunks);
    for (let column = 0; column < this.columns.count; column += 1) {
      if (!this.#isRecorded[column]) continue;
      const timeS = this.#soundNear(column);
      const chunk = this.track.chunks[this.#placeAt(timeS) ?? -1];
      if (chunk !== undefined && taken.has(chunk)) this.#add(chunk, { column, timeS });
    }
  }

  #soundNear(column: number): number {
    const { columnS, first } = this.columns;
    const { starts, ends, blockS } = this.track;
    const startS = (first + column) * columnS;
    const middleS = startS + columnS / 2;
    const place = this.#placeAt(middleS) ?? -1;
    const endS = (ends[place] ?? Number.NEGATIVE_INFINITY) + blockS;
    if (middleS <= endS) return middleS;
    if (endS > startS) return Math.max(startS, endS - blockS / 2);
    const nextS = starts[place + 1] ?? Number.POSITIVE_INFINITY;
    return nextS < startS + columnS ? Math.min(startS + columnS, nextS + blockS / 2) : middleS;
  }

  /** Each chunk read stands for the column that it is in. */
  #columnsOfChunks(): void {
    const taken = new Set(this.plan.chunks);
    this.track.chunks.forEach((chunk, place) => {
      if (!taken.has(chunk)) return;
      const timeS = (this.track.starts[place] as number) + this.track.blockS / 2;
      const column = Math.floor(timeS / this.columns.columnS) - this.columns.first;
      if (column >= 0 && column < this.columns.count) this.#add(chunk, { column, timeS });
    });
  }

  #add(chunk: number, part: SpectrumPart): void {
    const work = this.#work.get(chunk);
    if (work) work.push(part);
    else this.#work.set(chunk, [part]);
  }

  /** Chunks that are wanted for columns not yet there, in the plan's order. */
  open(): number[] {
    return this.plan.chunks.filter(
      (chunk) => this.#work.get(chunk)?.some(({ column }) => !this.#store.has(this.#key(column))) ?? false,
    );
  }

  compute(soundOf: (chunk: number) => DecodedSound | undefined, isGone: (chunk: number) => boolean): void {
    for (const [chunk, parts] of this.#work) {
      const open = parts.filter(({ column }) => !this.#store.has(this.#key(column)));
      if (open.length === 0 || soundOf(chunk) === undefined) continue;
      const place = this.#placeAt(open[0]?.timeS ?? 0) ?? 0;
      const isAwaited = (one: number | undefined) =>
        one !== undefined && this.#work.has(one) && soundOf(one) === undefined && !isGone(one);
      // Windows reach into the neighbours.
      if (this.plan.mode === 'exact' && [place - 1, place + 1].some((one) => isAwaited(this.track.chunks[one])))
        continue;
      const around = [place - 1, place, place + 1].flatMap((one) => {
        const neighbour = this.track.chunks[one];
        const sound = neighbour === undefined ? undefined : soundOf(neighbour);
        return sound ? [sound] : [];
      });
      for (const { column, timeS } of open) {
        this.#store.compute(this.#key(column), timeS, around, this.#channel, this.height);
      }
    }
  }

  /** Of each column, or of the one that stands for it; undefined where nothing was recorded, or read yet. */
  levels(): (Uint8Array | undefined)[] {
    const own = Array.from({ length: this.columns.count }, (_, column) => this.#store.get(this.#key(column)));
    const isKnown = own.map((levels) => levels !== undefined);
    const reach = reachOf(this.track, this.plan, this.columns.columnS, this.open().length > 0);
    return Array.from(standIns(isKnown, this.#isRecorded, reach), (known) => own[known]);
  }

  #key(column: number): string {
    return `${this.plan.mode} ${this.track.id} ${this.#channel} ${this.columns.columnS} ${this.height} ${this.columns.first + column}`;
  }

  /** Place of the last chunk that begins before `timeS`. */
  #placeAt(timeS: number): number | undefined {
    const { starts } = this.track;
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((starts[middle] as number) <= timeS) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? undefined : low - 1;
  }
}
