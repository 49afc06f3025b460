/** Chooses which chunks of a topic are read for a span: all of them, or samples where that is too much. */
import type { Bag } from './bag.ts';
import type { Track } from './track.ts';

/**
 * Spans with no more than this are read whole; longer ones are drawn from the overview, or from samples of their chunks. Of
 * sound only the peaks have to stay in memory.
 */
const exactBytes = { sound: 96 * 1024 * 1024, numbers: 16 * 1024 * 1024 };
/** Chunks that lie apart are asked for one by one. */
const exactChunks = 800;
const sampledBytes = 48 * 1024 * 1024;
/** The first chunks of a sampled span are so many strides apart. */
const coarsestStep = 8;

/** Which of a topic's chunks a span wants. */
export interface Plan {
  readonly mode: 'exact' | 'sampled';
  readonly chunks: readonly number[];
  /** Every how many chunks one is taken. */
  readonly stride: number;
  /** All chunks of the span. */
  readonly of: number;
}

/** @param most chunks to take when the span is too long for all of them; every n-th, the same ones wherever the view is. */
export function planOf(bag: Bag, track: Track, fromS: number, toS: number, most: number, bytes?: number): Plan {
  const bound = bytes ?? exactBytes[track.kind === 'sound' ? 'sound' : 'numbers'];
  const places = track.within(fromS, toS);
  const sum = places.reduce((all, place) => all + bag.bytesOf(track.chunks[place] as number), 0);
  const numbers = (taken: readonly number[]) => taken.map((place) => track.chunks[place] as number);
  if (sum <= bound && places.length <= exactChunks)
    return { mode: 'exact', chunks: numbers(places), stride: 1, of: places.length };
  if (most === 0) return { mode: 'sampled', chunks: [], stride: 1, of: places.length };
  const allowed = Math.max(8, Math.min(most, Math.floor((sampledBytes / sum) * places.length)));
  const stride = 2 ** Math.max(1, Math.ceil(Math.log2(places.length / allowed)));
  const taken = places.filter((place) => place % stride === 0);
  // Coarse first: an eighth of them gives a picture.
  const coarse = (place: number) => (place % (stride * coarsestStep) === 0 ? 0 : place % (stride * 2) === 0 ? 1 : 2);
  return {
    mode: 'sampled',
    chunks: numbers(taken.toSorted((one, other) => coarse(one) - coarse(other))),
    stride,
    of: places.length,
  };
}

/** Columns that one chunk of a plan stands for to each side; while some are still to be read, those that came first for more. */
export function reachOf(track: Track, { stride }: Plan, columnS: number, isReading: boolean): number {
  return Math.ceil(((track.longestS + track.blockS) * stride * (isReading ? coarsestStep : 1)) / columnS);
}
