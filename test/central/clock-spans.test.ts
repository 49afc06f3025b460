import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ClockSpan, learn, timeBy } from '../../central/storage/clock-spans.ts';

const second = 1_000_000_000n;
/** 2026-01-02T03:04:05Z. */
const offsetNs = 1_767_323_045n * second;
const year = 31_557_600n * second;

function stampAt(monotonicNs: bigint, ofNs: bigint, estimatedErrorNs: bigint | null = null) {
  return { monotonicNs, capturedAtNs: monotonicNs + ofNs, estimatedErrorNs };
}

function learnAll(stamps: readonly ReturnType<typeof stampAt>[]): readonly ClockSpan[] {
  return stamps.reduce<readonly ClockSpan[]>((spans, stamp) => learn(spans, stamp).spans, []);
}

describe('the time of an unsynchronised stamp', () => {
  test.each([
    ['in 1970, 56 years back', -56n * year],
    ['an hour back', -3600n * second],
    ['an hour ahead', 3600n * second],
    ['ten years back', -10n * year],
    ['ten years ahead', 10n * year],
    ['a tenth of a second ahead', second / 10n],
  ])('of a boot that began %s is put right by what is learnt later', (_, wrongNs) => {
    const spans = learnAll([stampAt(100n * second, offsetNs)]);
    expect(timeBy(spans, stampAt(40n * second, offsetNs + wrongNs))).toBe(40n * second + offsetNs);
  });

  test('is unknown while the boot knows no time', () => {
    expect(timeBy([], stampAt(1n, 5n))).toBeNull();
  });

  test('follows the stamp with the smallest error, whatever order they come in', () => {
    const stamps = [
      stampAt(100n * second, offsetNs - 80_000_000n, 100_000_000n),
      stampAt(110n * second, offsetNs - 30_000_000n, 50_000_000n),
      stampAt(200n * second, offsetNs, 1_000_000n),
      stampAt(300n * second, offsetNs + 60_000_000n, 200_000_000n),
    ];
    for (const order of [stamps, stamps.toReversed(), [2, 0, 3, 1].map((index) => stamps[index] as never)]) {
      expect(timeBy(learnAll(order), stampAt(second, -1n))).toBe(second + offsetNs);
    }
  });

  test('never overtakes the first synchronised stamp, whose clock was slewed backwards then', () => {
    const first = stampAt(100n * second, offsetNs - 80_000_000n, 100_000_000n);
    const spans = learnAll([first, stampAt(200n * second, offsetNs, 1n)]);
    let before = -1n;
    for (let monotonicNs = 99n * second; monotonicNs < 100n * second; monotonicNs += 1_000_000n) {
      const timeNs = timeBy(spans, stampAt(monotonicNs, 0n)) as bigint;
      expect(timeNs).toBeGreaterThan(before);
      expect(timeNs).toBeLessThan(first.capturedAtNs);
      before = timeNs;
    }
  });

  test('is left alone after a synchronised stamp, as long as the clock makes no step', () => {
    const spans = learnAll([stampAt(100n * second, offsetNs, 1n)]);
    const lost = stampAt(900n * second, offsetNs + 40_000_000n);
    expect(timeBy(spans, lost)).toBe(lost.capturedAtNs);
    expect(timeBy(spans, stampAt(950n * second, offsetNs + 10n * year))).toBe(950n * second + offsetNs);
  });

  test('follows the next synchronised stamp where the synchronised clock itself made a step', () => {
    const spans = learnAll([stampAt(100n * second, offsetNs), stampAt(500n * second, offsetNs + 3600n * second)]);
    expect(spans).toHaveLength(2);
    expect(timeBy(spans, stampAt(50n * second, 0n))).toBe(50n * second + offsetNs);
    expect(timeBy(spans, stampAt(400n * second, 0n))).toBe(400n * second + offsetNs + 3600n * second);
    expect(timeBy(spans, stampAt(400n * second, offsetNs))).toBe(400n * second + offsetNs);
  });

  test('is none beyond what 64 bits hold, and absurd stamps teach nothing', () => {
    const spans = learnAll([stampAt(100n * second, offsetNs)]);
    expect(timeBy(spans, stampAt(2n ** 63n - 1n, 0n))).toBeNull();
    expect(learnAll([stampAt(-(2n ** 62n), 2n ** 62n), { ...stampAt(1n, 0n), capturedAtNs: 2n ** 63n - 1n }])).toEqual(
      [],
    );
  });
});

describe('learning', () => {
  test('the same again changes nothing, and steps are bounded', () => {
    const stamp = stampAt(5n, offsetNs, 64n);
    const { spans } = learn([], stamp);
    expect(learn(spans, stamp)).toEqual({ spans, changedFromNs: null });
    const steps = Array.from({ length: 100 }, (_, step) => stampAt(BigInt(step) * second, BigInt(step) * year));
    expect(learnAll(steps)).toHaveLength(16);
  });

  test('keeps the order of any boot that was set right once, whenever what was learnt (seeded)', () => {
    const slewNs = fc.integer({ min: -45_000_000, max: 45_000_000 }).map(BigInt);
    const boots = fc.record({
      wrongNs: fc.constantFrom(-56n * year, -10n * year, 10n * year, -3600n * second, 3600n * second, second / 4n),
      moments: fc.uniqueArray(fc.integer({ min: 0, max: 200_000 }), { minLength: 2, maxLength: 60 }),
      knownFrom: fc.integer({ min: 0, max: 200_000 }),
      slews: fc.tuple(slewNs, slewNs),
      errors: fc.tuple(fc.nat(1000), fc.nat(1000)),
    });
    fc.assert(
      fc.property(boots, fc.infiniteStream(fc.nat()), ({ wrongNs, moments, knownFrom, slews, errors }, order) => {
        const sorted = moments.toSorted((a, b) => a - b);
        const stamps = sorted.map((ms) => {
          const late = ms > knownFrom + 20_000;
          const slewed = late ? slews[1] : slews[0];
          const isKnown = ms >= knownFrom;
          const error = BigInt(late ? errors[1] : errors[0]);
          const atNs = BigInt(ms) * 1_000_000n;
          return { ...stampAt(atNs, offsetNs + (isKnown ? slewed : wrongNs), error), isKnown };
        });
        const shuffled = stamps.filter(({ isKnown }) => isKnown).toSorted(() => ((order.next().value ?? 0) % 2) - 0.5);
        const spans = learnAll(shuffled);
        const times = stamps.map((stamp) => (stamp.isKnown ? null : timeBy(spans, stamp)) ?? stamp.capturedAtNs);
        const inOrder = shuffled.length === 0 || isRising(times, stamps);
        expect(inOrder).toBe(true);
      }),
      { numRuns: 500, seed: 20260102 },
    );
  });
});

/** Rising, but for what the synchronised stamps (never changed) do among themselves. */
function isRising(times: readonly bigint[], stamps: readonly { readonly isKnown: boolean }[]): boolean {
  return times.every((time, index) => {
    const before = times[index - 1];
    return before === undefined || before < time || (stamps[index]?.isKnown && stamps[index - 1]?.isKnown);
  });
}
