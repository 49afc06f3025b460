/**
 * Owns the overview of one bag: count, smallest, largest, mean and mean square of each series in each second, kept in the bag as an
 * attachment, so that a viewer draws hours without reading them.
 */

import type { Attachment } from '../bag/mcap-builder.ts';
import { addSums, type LevelField, type Levels, sumsPerField } from './levels.ts';

/** The attachment's name. */
export const overviewName = 'fender.overview';
const mediaType = 'application/json';
const firstPeriodNs = 1_000_000_000n;
/** Longer bags get longer periods: an hour has a second's, a day a minute's or half of it. */
const maxPeriods = 4096n;

/** Sums of one topic by number of period since 1970. */
interface TopicSums {
  readonly fields: readonly LevelField[];
  periods: Map<bigint, Float64Array>;
}

/** One bag's overview while it grows; in bounded memory, however long the bag and whatever its times. */
export class Overview {
  readonly #topics = new Map<string, TopicSums>();
  #periodNs = firstPeriodNs;
  #first: bigint | null = null;
  #last = 0n;

  /** Adds what a message adds, in the period of its log time (UTC ns). The levels are not changed, nor held on to. */
  add({ topic, fields, sums }: Levels, logTimeNs: bigint): void {
    this.#stretch(logTimeNs);
    const period = logTimeNs / this.#periodNs;
    const known = this.#topics.get(topic);
    // Another format of the sound is another series; the first one's is kept.
    if (known !== undefined && known.fields.length !== fields.length) return;
    const topicSums = known ?? { fields, periods: new Map() };
    if (known === undefined) this.#topics.set(topic, topicSums);
    const there = topicSums.periods.get(period);
    if (there === undefined) topicSums.periods.set(period, sums.slice());
    else join(there, sums);
  }

  /** The attachment with everything added so far; null when that is nothing. */
  attachment(): Attachment | null {
    if (this.#first === null) return null;
    const start = this.#first;
    const periods = Number(this.#last - start + 1n);
    const series = [...this.#topics]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([topic, sums]) => seriesOf(topic, sums, start, periods));
    const document = {
      version: 1,
      period_ns: String(this.#periodNs),
      start_ns: String(start * this.#periodNs),
      periods,
      series,
    };
    const data = new TextEncoder().encode(JSON.stringify(document));
    const time = start * this.#periodNs;
    return { name: overviewName, mediaType, logTime: time, createTime: time, data };
  }

  /** Makes room for a time: longer periods when the present ones would be too many. */
  #stretch(logTimeNs: bigint): void {
    const period = logTimeNs / this.#periodNs;
    if (this.#first === null) {
      this.#first = period;
      this.#last = period;
      return;
    }
    if (period < this.#first) this.#first = period;
    if (period > this.#last) this.#last = period;
    while (this.#last - this.#first >= maxPeriods) {
      this.#periodNs *= 2n;
      this.#first /= 2n;
      this.#last /= 2n;
      for (const topic of this.#topics.values()) topic.periods = halved(topic.periods);
    }
  }
}

/** Adds one period's sums to another's. */
function join(into: Float64Array, sums: Float64Array): void {
  for (let at = 0; at < into.length; at += sumsPerField) addSums(into, at, sums, at);
}

/** The sums of periods twice as long. */
function halved(periods: ReadonlyMap<bigint, Float64Array>): Map<bigint, Float64Array> {
  const longer = new Map<bigint, Float64Array>();
  for (const [period, sums] of periods) {
    const there = longer.get(period / 2n);
    if (there === undefined) longer.set(period / 2n, sums);
    else join(there, sums);
  }
  return longer;
}

/** Six digits are more than a picture shows. */
function rounded(value: number): number {
  return Number(value.toPrecision(6));
}

function seriesOf(topic: string, { fields, periods }: TopicSums, start: bigint, length: number): object[] {
  return fields.map(({ name, unit }, field) => {
    const columns: Record<'count' | 'min' | 'max' | 'mean' | 'mean_square', (number | null)[]> = {
      count: [],
      min: [],
      max: [],
      mean: [],
      mean_square: [],
    };
    for (let period = 0; period < length; period += 1) {
      const at = field * sumsPerField;
      const sums = periods.get(start + BigInt(period))?.subarray(at, at + sumsPerField);
      const [count = 0, min = 0, max = 0, sum = 0, squares = 0] = sums ?? [];
      columns.count.push(count);
      columns.min.push(count === 0 ? null : rounded(min));
      columns.max.push(count === 0 ? null : rounded(max));
      columns.mean.push(count === 0 ? null : rounded(sum / count));
      columns.mean_square.push(count === 0 ? null : rounded(squares / count));
    }
    return { topic, field: name, unit, ...columns };
  });
}
