import { describe, expect, test } from 'vitest';
import { SequenceCheck } from '../../../agent/bag/sequence-check.ts';
import { range } from '../recording/recording-fixtures.ts';

/** How many messages are missing of a topic with these sequences; `beginnings` are indexes into them. */
function missing(sequences: readonly number[], beginnings: readonly number[] = []): number {
  const check = new SequenceCheck();
  const gaps = sequences.map((sequence, index) => check.add(sequence, BigInt(index), beginnings.map(BigInt)));
  return gaps.reduce((sum, gap) => sum + (gap?.missing ?? 0), 0);
}

describe('a sequence', () => {
  test('that goes down begins anew, however short it was, and what is missing behind that is found', () => {
    for (const length of [1, 2, 7, 50, 99, 100, 500]) {
      expect(missing([...range(length), ...range(500)]), `after ${length}`).toBe(0);
      expect(missing([...range(length), ...range(20), ...range(500, 23)]), `after ${length}`).toBe(3);
      expect(missing([...range(length), ...range(500, 1)]), `first lost, after ${length}`).toBe(0);
    }
    expect(missing([...range(7), ...range(7), ...range(20), ...range(20, 22)])).toBe(2);
    expect(missing([...range(30, 4_294_967_280), ...range(10)].map((each) => each >>> 0))).toBe(0);
  });

  test('whose messages came late, twice, or of two publishers by turns, misses none', () => {
    expect(missing([1, 0, 2, 3, 4, 5])).toBe(0);
    expect(missing([0, 1, 2, 3, 1, 4, 5])).toBe(0);
    expect(missing(range(40).flatMap((index) => [index, index]))).toBe(0);
    expect(missing(range(40).flatMap((index) => [index + 10, index]))).toBe(0);
    expect(missing(range(40).flatMap((index) => [index + 1000, index]))).toBe(0);
  });

  test('that runs on where a recording is known to begin is not looked at across that', () => {
    expect(missing([...range(20), ...range(20, 27)])).toBe(7);
    expect(missing([...range(20), ...range(20, 27)], [0, 20])).toBe(0);
    expect(missing([...range(20), ...range(5, 27), ...range(20, 34)], [0, 20])).toBe(2);
  });
});
