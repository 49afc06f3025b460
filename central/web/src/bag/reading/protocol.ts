/** What the page and the bag's worker say to each other. */
import type { BagFault } from './bag-error.ts';
import type { BagEvent, BagInfo, BagLine, SeriesKey, SeriesStatistics, ViewAnswer, ViewQuery } from './bag-model.ts';
import type { BagFile } from './byte-source.ts';
import type { SoundSpan } from './playback.ts';

/** `id` comes back with the answer. */
export type ToWorker =
  | { readonly kind: 'open'; readonly name: string; readonly files: readonly BagFile[] }
  /** Answered several times, ever finer, until the next one. */
  | { readonly kind: 'view'; readonly query: ViewQuery }
  /** Likewise, for the picture of the whole bag. */
  | { readonly kind: 'strip'; readonly query: ViewQuery }
  | {
      readonly kind: 'statistics';
      readonly id: number;
      readonly keys: readonly SeriesKey[];
      readonly fromS: number;
      readonly toS: number;
    }
  | {
      readonly kind: 'sound';
      readonly id: number;
      readonly key: SeriesKey;
      readonly fromS: number;
      readonly toS: number;
    }
  | { readonly kind: 'events' }
  | { readonly kind: 'lines'; readonly id: number; readonly fromS: number; readonly toS: number };

export type FromWorker =
  | { readonly kind: 'opening'; readonly file: string; readonly done: number; readonly total: number }
  | { readonly kind: 'opened'; readonly info: BagInfo }
  | { readonly kind: 'failed'; readonly fault: BagFault; readonly opening: boolean }
  | { readonly kind: 'view' | 'strip'; readonly answer: ViewAnswer }
  | { readonly kind: 'statistics'; readonly id: number; readonly statistics: readonly SeriesStatistics[] }
  | { readonly kind: 'sound'; readonly id: number; readonly sound: SoundSpan }
  | { readonly kind: 'events'; readonly events: readonly BagEvent[] }
  | { readonly kind: 'lines'; readonly id: number; readonly lines: readonly BagLine[] }
  | { readonly kind: 'faults'; readonly faults: readonly BagFault[] }
  | { readonly kind: 'reading'; readonly bytes: number; readonly requests: number };
