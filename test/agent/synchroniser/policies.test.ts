import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AgePenalty } from '../../../agent/synchroniser/age-penalty.ts';
import { ApproximateTime } from '../../../agent/synchroniser/approximate-time.ts';
import { ExactTime } from '../../../agent/synchroniser/exact-time.ts';
import type { SetPolicy, TimedSet } from '../../../agent/synchroniser/set-policy.ts';

/** Messages of any order and stamp: near, equal, an hour off. */
const inputs = fc
  .record({
    topics: fc.integer({ min: 2, max: 5 }),
    queueSize: fc.integer({ min: 1, max: 12 }),
    agePenalty: fc.constantFrom(0, 0.1, 0.5, 3),
    maxIntervalNs: fc.constantFrom(0n, 5n, 40n, 10n ** 18n),
  })
  .chain((options) =>
    fc.record({
      options: fc.constant(options),
      bounds: fc.array(fc.bigInt({ min: 0n, max: 30n }), { minLength: options.topics, maxLength: options.topics }),
      messages: fc.array(
        fc.record({
          topic: fc.integer({ min: 0, max: options.topics - 1 }),
          stampNs: fc.oneof(
            { weight: 8, arbitrary: fc.bigInt({ min: 0n, max: 300n }) },
            { weight: 1, arbitrary: fc.constantFrom(-3_600_000_000_000n, 3_600_000_000_000n) },
          ),
        }),
        { maxLength: 150 },
      ),
      inOrder: fc.boolean(),
    }),
  )
  .map(({ options, bounds, messages, inOrder }) => ({
    ...options,
    lowerBoundsNs: bounds,
    messages: inOrder ? messages.toSorted((a, b) => Number(a.stampNs - b.stampNs)) : messages,
    inOrder,
  }));

interface Pushed {
  readonly sets: TimedSet<number>[];
  readonly mostPending: number;
}

function pushAll(policy: SetPolicy<number>, topics: number, messages: readonly { topic: number; stampNs: bigint }[]) {
  const pushed: Pushed & { mostPending: number } = { sets: [], mostPending: 0 };
  for (const [index, { topic, stampNs }] of messages.entries()) {
    pushed.sets.push(...policy.push(topic, stampNs, index));
    for (let each = 0; each < topics; each += 1) {
      pushed.mostPending = Math.max(pushed.mostPending, policy.pending(each));
    }
  }
  return pushed;
}

describe('ApproximateTime, whatever comes', () => {
  it('makes sets of one message a topic, each message in one set at most, in the order of their arrival', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const { sets } = pushAll(new ApproximateTime<number>(input), input.topics, input.messages);
        for (let topic = 0; topic < input.topics; topic += 1) {
          const used = sets.map(({ payloads }) => payloads[topic] as number);
          for (const message of used) expect(input.messages[message]?.topic).toBe(topic);
          expect(used).toEqual([...new Set(used)].sort((a, b) => a - b));
        }
      }),
    );
  });

  it('never holds more than its queue size, nor a set longer than the maximum interval before its pivot', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const { sets, mostPending } = pushAll(new ApproximateTime<number>(input), input.topics, input.messages);
        expect(mostPending).toBeLessThanOrEqual(input.queueSize);
        if (!input.inOrder) return;
        for (const { stampsNs } of sets) {
          const sorted = stampsNs.toSorted((a, b) => Number(a - b));
          expect((sorted.at(-1) as bigint) - (sorted[0] as bigint)).toBeLessThanOrEqual(input.maxIntervalNs);
        }
      }),
    );
  });

  it('does not care when the clock started', () => {
    fc.assert(
      fc.property(inputs, fc.bigInt({ min: -(2n ** 61n), max: 2n ** 61n }), (input, offsetNs) => {
        const moved = input.messages.map(({ topic, stampNs }) => ({ topic, stampNs: stampNs + offsetNs }));
        const here = pushAll(new ApproximateTime<number>(input), input.topics, input.messages).sets;
        const there = pushAll(new ApproximateTime<number>(input), input.topics, moved).sets;
        expect(there.map(({ payloads }) => payloads)).toEqual(here.map(({ payloads }) => payloads));
      }),
    );
  });

  it('finds all sets again once a topic that stood still goes on', () => {
    const policy = new ApproximateTime<number>({ topics: 2, queueSize: 5, maxIntervalNs: 10n });
    const isSilent = (tick: number): boolean => tick >= 40 && tick < 60;
    const ticks = Array.from({ length: 100 }, (_, tick) => tick);
    const sets = ticks.flatMap((tick) => {
      const found = [...policy.push(0, BigInt(100 * tick), tick)];
      if (!isSilent(tick)) found.push(...policy.push(1, BigInt(100 * tick + 5), tick));
      return found.map(({ payloads }) => [...payloads]);
    });
    const expected = ticks.filter((tick) => !isSilent(tick)).map((tick) => [tick, tick]);
    // The last set is certain only when something newer comes.
    expect(sets).toEqual(expected.slice(0, sets.length));
    expect(sets.length).toBeGreaterThanOrEqual(expected.length - 1);
  });

  it('never keeps the process waiting: the worst that is known takes milliseconds with the longest queues', () => {
    // Every set has to pass all messages of all topics but the last, as their stamps fall; one message makes all sets certain.
    const [topics, queueSize] = [9, 200];
    const takenMs = Array.from({ length: 5 }, () => {
      const policy = new ApproximateTime<number>({ topics, queueSize, agePenalty: 0 });
      for (let index = 0; index < queueSize; index += 1) policy.push(topics - 1, 1_000_000n, 0);
      for (let topic = 0; topic < topics - 1; topic += 1) {
        for (let index = 1; index < queueSize; index += 1) {
          policy.push(topic, BigInt(500_000 - index * topics - topic), 0);
        }
      }
      for (let topic = 0; topic < topics - 2; topic += 1) policy.push(topic, 3_000_000n, 0);
      const before = process.cpuUsage();
      const sets = policy.push(topics - 2, 3_000_000n, 0);
      const { user, system } = process.cpuUsage(before);
      expect(sets).toHaveLength(queueSize - 1);
      return (user + system) / 1000;
    });
    expect(Math.min(...takenMs)).toBeLessThan(40);
  });

  it('refuses parameters and topics that there are not', () => {
    expect(() => new ApproximateTime({ topics: 1, queueSize: 5 })).toThrow(/at least 2 topics, found 1/);
    expect(() => new ApproximateTime({ topics: 2, queueSize: 0 })).toThrow(/queue size of at least 1, found 0/);
    expect(() => new ApproximateTime({ topics: 2, queueSize: 5, maxIntervalNs: -1n })).toThrow(/maximum interval/);
    expect(() => new ApproximateTime({ topics: 2, queueSize: 5, lowerBoundsNs: [0n, -1n] })).toThrow(/topic 1/);
    expect(() => new ApproximateTime({ topics: 2, queueSize: 5 }).push(2, 0n, 0)).toThrow(/below 2, found 2/);
  });
});

describe('ExactTime, whatever comes', () => {
  it('makes sets of equal stamps, rising while the stamps do, within its queue size', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const { sets, mostPending } = pushAll(new ExactTime<number>(input), input.topics, input.messages);
        expect(mostPending).toBeLessThanOrEqual(input.queueSize);
        const seen = new Set<number>();
        for (const { stampsNs, payloads } of sets) {
          expect(new Set(stampsNs).size).toBe(1);
          for (const [topic, message] of payloads.entries()) {
            expect(input.messages[message]).toEqual({ topic, stampNs: stampsNs[0] });
            expect(seen.has(message)).toBe(false);
            seen.add(message);
          }
        }
      }),
    );
  });
});

describe('the fast comparison of penalised durations', () => {
  it('decides as the exact one, also where a double cannot hold the duration', () => {
    const duration = fc.oneof(fc.integer({ min: -1000, max: 1000 }).map(BigInt), fc.bigInt(-(2n ** 62n), 2n ** 61n));
    const agePenalty = fc.integer({ min: 0, max: 2_000_000_007 }).map((billionths) => billionths / 1e9);
    fc.assert(
      fc.property(agePenalty, duration, fc.bigInt(-4n, 4n), (share, durationNs, byNs) => {
        const penalty = new AgePenalty(share);
        expect(penalty.reaches(durationNs, penalty.penalised(durationNs) + byNs)).toBe(byNs <= 0n);
      }),
      { numRuns: 3_000 },
    );
  });
});
