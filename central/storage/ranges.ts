/** Arithmetic on sorted, disjoint, inclusive ranges of sequences: what the ledger is made of. */

/** First and last sequence, both inclusive; whole numbers from 0 to 2^53 − 1. */
export type SequenceRange = readonly [first: number, last: number];

/** Sorts and merges overlapping and adjoining ranges. */
export function mergeRanges(ranges: readonly SequenceRange[]): SequenceRange[] {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [first, last] of sorted) {
    const previous = merged.at(-1);
    if (previous !== undefined && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last);
    else merged.push([first, last]);
  }
  return merged;
}

/** What of `from` is in none of `remove`; both sorted and disjoint, and so is the result. */
export function subtractRanges(from: readonly SequenceRange[], remove: readonly SequenceRange[]): SequenceRange[] {
  const rest: SequenceRange[] = [];
  let index = 0;
  for (const [first, last] of from) {
    let start = first;
    while (index < remove.length && (remove[index] as SequenceRange)[1] < start) index++;
    for (let at = index; at < remove.length && start <= last; at++) {
      const [gone, goneLast] = remove[at] as SequenceRange;
      if (gone > last) break;
      if (gone > start) rest.push([start, gone - 1]);
      start = Math.max(start, goneLast + 1);
    }
    if (start <= last) rest.push([start, last]);
  }
  return rest;
}

/** How many sequences the ranges hold; they must be disjoint. */
export function countSequences(ranges: readonly SequenceRange[]): number {
  return ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
}

/** Whether a sorted, disjoint list holds `sequence`. */
export function holds(ranges: readonly SequenceRange[], sequence: number): boolean {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const [first, last] = ranges[middle] as SequenceRange;
    if (sequence < first) high = middle;
    else if (sequence > last) low = middle + 1;
    else return true;
  }
  return false;
}
