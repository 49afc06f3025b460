import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  countSequences,
  holds,
  mergeRanges,
  type SequenceRange,
  subtractRanges,
} from '../../central/storage/ranges.ts';

const ranges = fc.array(
  fc.tuple(fc.nat(60), fc.nat(12)).map(([first, length]): SequenceRange => [first, first + length]),
  { maxLength: 12 },
);

function members(of: readonly SequenceRange[]): Set<number> {
  return new Set(of.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, index) => first + index)));
}

test('merged ranges are sorted, apart from each other, and hold the same sequences', () => {
  fc.assert(
    fc.property(ranges, (some) => {
      const merged = mergeRanges(some);
      expect(members(merged)).toEqual(members(some));
      expect(countSequences(merged)).toBe(members(some).size);
      for (const [index, range] of merged.entries()) {
        const next = merged[index + 1];
        if (next !== undefined) expect(next[0]).toBeGreaterThan(range[1] + 1);
      }
    }),
  );
});

test('subtraction leaves exactly what is in the first and not in the second', () => {
  fc.assert(
    fc.property(ranges, ranges, (from, remove) => {
      const rest = subtractRanges(mergeRanges(from), mergeRanges(remove));
      const removed = members(remove);
      expect(members(rest)).toEqual(new Set([...members(from)].filter((one) => !removed.has(one))));
      expect(countSequences(rest)).toBe(members(rest).size);
    }),
  );
});

test('a sorted list knows what it holds', () => {
  fc.assert(
    fc.property(ranges, fc.nat(80), (some, sequence) => {
      expect(holds(mergeRanges(some), sequence)).toBe(members(some).has(sequence));
    }),
  );
});
