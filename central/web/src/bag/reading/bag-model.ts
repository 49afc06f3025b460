/** What the page is told of a bag: plain data that crosses from the worker. Times are seconds from the bag's start. */
import type { BagFault } from './bag-error.ts';

/** A numeric field of a topic, or a channel of sound. */
export interface FieldInfo {
  /** As in the message: `linear_acceleration.x`; `ch0` for sound. */
  readonly name: string;
  /** `°C`; empty when nobody knows. */
  readonly unit: string;
  /** From the message's value to the shown one. */
  readonly scale: number;
  readonly digits: number;
  /** For people. */
  readonly label: string;
  /** Fields of one topic with the same group share a row. */
  readonly group: string;
  /** Whether it is drawn unless somebody says otherwise. */
  readonly usual: boolean;
}

export interface TopicInfo {
  /** Place in the bag's list of topics. */
  readonly id: number;
  readonly name: string;
  readonly type: string;
  /** `list`: diagnostics and logs. */
  readonly kind: 'sound' | 'numbers' | 'list' | 'events' | 'none';
  /** Why nothing of it is drawn; empty otherwise. */
  readonly reason: string;
  /** Null when the file does not tell. */
  readonly messages: number | null;
  readonly fields: readonly FieldInfo[];
  /** Hz, and microphones; 0 for what is no sound. */
  readonly rateHz: number;
  readonly channels: number;
}

/** Something that hit the vehicle. */
export interface BagEvent {
  readonly id: string;
  readonly atS: number;
  readonly durationS: number;
  readonly label: string;
  /** NaN for events that no model heard. */
  readonly score: number;
}

export interface BagInfo {
  readonly name: string;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** UTC nanoseconds of second 0, decimal. */
  readonly startNs: string;
  readonly durationS: number;
  readonly messages: number | null;
  readonly chunks: number;
  readonly topics: readonly TopicInfo[];
  /** Whether long spans are drawn from an overview that was recorded with the bag. */
  readonly overview: boolean;
  /** The vehicle's name, where the bag says it. */
  readonly device: string;
  readonly faults: readonly BagFault[];
}

/** A series: a field of a topic. */
export interface SeriesKey {
  readonly topic: number;
  readonly field: number;
}

/** Values over time in message units, rising in `t`; where several are summed up, their least, mean and greatest. */
export interface Cells {
  /** Seconds from the bag's start; of a sum the middle. */
  readonly t: Float64Array;
  /** Seconds that each sums up; 0 for single values. */
  readonly wideS: Float64Array;
  readonly min: Float64Array;
  readonly mean: Float64Array;
  readonly max: Float64Array;
}

/** A drawn spectrogram from `fromS` on, `columnS` seconds a column. */
export interface SpectrumPicture {
  readonly picture: ImageBitmap | null;
  readonly fromS: number;
  readonly toS: number;
  /** Loudest level in it, dBFS. */
  readonly loudestDb: number;
}

/** What is in view, and how finely. */
export interface ViewQuery {
  readonly fromS: number;
  readonly toS: number;
  /** Pixels across. */
  readonly width: number;
  readonly series: readonly SeriesKey[];
  readonly spectrum: { readonly key: SeriesKey; readonly height: number; readonly colours: Uint32Array } | null;
}

/** The answer to a `ViewQuery`, as far as it is read. */
export interface ViewAnswer {
  /** Span that the cells cover: the view with a margin. */
  readonly fromS: number;
  readonly toS: number;
  /** Each with its series, as asked. */
  readonly series: readonly SeriesKey[];
  readonly cells: readonly Cells[];
  readonly spectrum: SpectrumPicture | null;
  /** Share of what is wanted that is read, 0 to 1. */
  readonly progress: number;
}

/** Where a statistic comes from: all messages, the recorded overview (to its whole periods), or some chunks of many. */
export type Basis = 'exact' | 'overview' | 'sampled';

export interface SeriesStatistics {
  readonly key: SeriesKey;
  readonly basis: Basis;
  /** Share of the span that was read, for `sampled`. */
  readonly share: number;
  /** Samples of sound, messages of other topics. */
  readonly count: number;
  /** Samples or messages a second. */
  readonly rateHz: number;
  /** Pauses longer than 1.5 of the usual distance between messages, and the longest distance, in seconds. */
  readonly gaps: number | null;
  readonly longestS: number | null;
  /** Messages whose sequence numbers are missing within a recording; null when the recorder did not number them. */
  readonly missing: number | null;
  readonly min: number;
  readonly mean: number;
  readonly max: number;
  /** Standard deviation of the population. */
  readonly deviation: number;
  /** Counts in equal steps from `min` to `max`; empty when unknown. */
  readonly histogram: readonly number[];
  /** What the histogram counts: `values`, or `means` of a second from the overview, `levels` of sound likewise. */
  readonly histogramOf: 'values' | 'means' | 'levels';
}

/** A line of a log or of diagnostics. */
export interface BagLine {
  readonly atS: number;
  readonly topic: string;
  readonly level: 'ok' | 'warn' | 'error' | 'stale';
  readonly source: string;
  readonly text: string;
}
