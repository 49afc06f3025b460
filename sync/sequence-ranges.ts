/** Arithmetic on runs of sequences. */

/** Sequences of one stream, inclusive. */
export interface SequenceRange {
  readonly first: number;
  readonly last: number;
}

/** Ascending numbers as inclusive ranges. */
export function rangesOf(sequences: readonly number[]): SequenceRange[] {
  const ranges: { first: number; last: number }[] = [];
  for (const sequence of sequences) {
    const range = ranges.at(-1);
    if (range !== undefined && range.last + 1 === sequence) range.last = sequence;
    else ranges.push({ first: sequence, last: sequence });
  }
  return ranges;
}

/** How many sequences the ranges hold together; they do not overlap. */
export function lengthOf(ranges: readonly SequenceRange[]): number {
  return ranges.reduce((rows, range) => rows + range.last - range.first + 1, 0);
}

/** `ranges` without what `taken` covers. */
export function without(ranges: readonly SequenceRange[], taken: SequenceRange): SequenceRange[] {
  return ranges.flatMap((range) => {
    if (taken.last < range.first || taken.first > range.last || taken.last < taken.first) return [range];
    const left = { first: range.first, last: taken.first - 1 };
    const right = { first: taken.last + 1, last: range.last };
    return [left, right].filter((part) => part.first <= part.last);
  });
}
