/**
 * Makes the message sequences that the reference's sets are known for: whole numbers only, so that a seed gives the same messages on
 * every machine.
 */

/** One input of a policy: its parameters and the messages in the order of their arrival. */
export interface ReferenceSequence {
  readonly policy: 'approximate' | 'exact';
  readonly topics: number;
  readonly queueSize: number;
  readonly agePenalty: number;
  readonly maxIntervalNs: bigint;
  readonly lowerBoundsNs: readonly bigint[];
  readonly messages: readonly { readonly topic: number; readonly stampNs: bigint }[];
}

/** What a sequence is made to try. */
export const sequenceKinds = [
  'steady',
  'drops',
  'bursts',
  'duplicates',
  'reordered',
  'leaps',
  'stall',
  'bounds',
  'grid',
  'double-ties',
  'long-double-ties',
  'exact',
] as const;

export type SequenceKind = (typeof sequenceKinds)[number];

const penalties = [0.1, 0.15, 0.05, 0.3, 0.7, 0.2, 0.45, 0.07, 1.3, 0.9, 0.01, 0.0];
const defaultMaxIntervalNs = 2_147_483_647_999_999_999n;

/** Whole random numbers (xorshift32). */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed + 1, 0x9e3779b1) ^ 0x5bd1e995) >>> 0 || 1;
    for (let i = 0; i < 8; i += 1) this.below(2);
  }

  /** From 0 to `count` − 1; `count` below 2³¹. */
  below(count: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state % count;
  }

  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }
}

interface Given {
  readonly topics: number;
  readonly queueSize: number;
  readonly agePenalty: number;
}

/** A duration and the whole number that its penalised value is compared with. */
export interface Tie {
  readonly agePenalty: number;
  readonly durationNs: bigint;
  readonly penalisedNs: bigint;
}

interface Draft {
  topic: number;
  stampNs: bigint;
  arrivalNs: bigint;
}

const msNs = 1_000_000n;

/** The sequence of a seed. */
export function referenceSequence(kind: SequenceKind, seed: number): ReferenceSequence {
  const dice = new Dice(Math.imul(seed, 31) + sequenceKinds.indexOf(kind));
  const topics = dice.between(2, 6);
  const queueSize = dice.pick([1, 2, 3, 4, 5, 8, 10, 20, 50]);
  const agePenalty = dice.pick(penalties);
  if (kind === 'grid') return onGrid(dice, { topics, queueSize, agePenalty });
  if (kind === 'double-ties') return onTies(dice.pick(doubleTies), dice, { topics, queueSize, agePenalty });
  if (kind === 'long-double-ties') return onTies(dice.pick(longDoubleTies), dice, { topics, queueSize, agePenalty });
  const periodsMs = Array.from({ length: topics }, () => dice.pick([5, 10, 10, 20, 33, 50, 100, 100]));
  const messages = dice.between(40, 120);
  const drafts = streams(kind, dice, periodsMs, messages);
  const longestMs = Math.max(...periodsMs);
  const maxIntervalNs = dice.chance(50) ? defaultMaxIntervalNs : BigInt(dice.between(1, 2 * longestMs)) * msNs;
  const isBounded = kind === 'bounds' || dice.chance(30);
  const lowerBoundsNs = periodsMs.map((ms) => (isBounded ? (BigInt(ms * dice.between(0, 130)) * msNs) / 100n : 0n));
  const policy = kind === 'exact' ? 'exact' : 'approximate';
  return { policy, topics, queueSize, agePenalty, maxIntervalNs, lowerBoundsNs, messages: inOrderOfArrival(drafts) };
}

function inOrderOfArrival(drafts: readonly Draft[]): { topic: number; stampNs: bigint }[] {
  return drafts
    .map((draft, index) => ({ ...draft, index }))
    .sort((a, b) => (a.arrivalNs < b.arrivalNs ? -1 : a.arrivalNs > b.arrivalNs ? 1 : a.index - b.index))
    .map(({ topic, stampNs }) => ({ topic, stampNs }));
}

/** Periodic topics with jitter and latency, about `total` messages together, spoilt as the kind says. */
function streams(kind: SequenceKind, dice: Dice, periodsMs: readonly number[], total: number): Draft[] {
  const rate = periodsMs.reduce((sum, ms) => sum + 1000 / ms, 0);
  const spanUs = Math.floor((total * 1_000_000) / rate);
  const jitterPercent = kind === 'exact' ? 0 : dice.pick([0, 1, 10, 40]);
  const drafts: Draft[] = [];
  for (const [topic, ms] of periodsMs.entries()) {
    const periodUs = ms * 1000;
    const jitterUs = Math.floor((periodUs * jitterPercent) / 100);
    const latencyUs = dice.pick([0, 0, 500, 5_000, 60_000]);
    const stall = kind === 'stall' && dice.chance(60) ? dice.below(spanUs) : Number.POSITIVE_INFINITY;
    let lastArrivalUs = 0;
    const phaseUs = kind === 'exact' ? 0 : dice.below(periodUs);
    for (let us = phaseUs; us < spanUs; us += periodUs) {
      const stampUs = us + (jitterUs > 0 ? dice.below(jitterUs) : 0);
      const isLost = (kind === 'drops' || kind === 'exact') && dice.chance(20);
      if (isLost || (us >= stall && us < stall + Math.floor(spanUs / 3))) continue;
      const late = kind === 'bursts' && dice.chance(30) ? dice.between(3, 12) * periodUs : 0;
      const mayPass = kind === 'reordered' || (kind === 'exact' && dice.chance(10));
      const arrivalUs = Math.max(
        stampUs + late + (latencyUs > 0 ? dice.below(latencyUs) : 0) + (mayPass ? dice.below(3 * periodUs) : 0),
        mayPass ? 0 : lastArrivalUs,
      );
      lastArrivalUs = Math.max(lastArrivalUs, arrivalUs);
      const draft = { topic, stampNs: BigInt(stampUs) * 1000n + 7_000_000_000n, arrivalNs: BigInt(arrivalUs) * 1000n };
      drafts.push(draft);
      if ((kind === 'duplicates' || kind === 'exact') && dice.chance(15)) {
        drafts.push({ ...draft, arrivalNs: draft.arrivalNs + BigInt(dice.below(periodUs)) * 1000n });
      }
    }
  }
  if (kind === 'leaps') leap(dice, drafts, spanUs);
  return drafts;
}

/** From one moment on the stamps, of one topic or of all, are an hour or ten years off, and perhaps come back. */
function leap(dice: Dice, drafts: readonly Draft[], spanUs: number): void {
  const fromNs = BigInt(dice.below(spanUs)) * 1000n;
  const untilNs = fromNs + BigInt(dice.below(spanUs)) * 1000n;
  const topic = dice.chance(50) ? dice.below(6) : null;
  const hourNs = 3_600_000_000_000n;
  const byNs = dice.pick([hourNs, -hourNs, 87_600n * hourNs, -87_600n * hourNs, 40n * msNs, -40n * msNs]);
  for (const draft of drafts) {
    if (draft.arrivalNs < fromNs || draft.arrivalNs >= untilNs) continue;
    if (topic === null || draft.topic === topic) draft.stampNs += byNs;
  }
}

/**
 * Durations (days long: shorter ones do not do it) whose penalised value lies so little below a whole number that a long double rounds
 * it up: cut without that rounding it is one nanosecond less.
 */
export const longDoubleTies: readonly Tie[] = [
  { agePenalty: 0.07, durationNs: 160_842_843_120_457n, penalisedNs: 172_101_842_138_889n },
  { agePenalty: 0.33, durationNs: 140_737_483_355_403n, penalisedNs: 187_180_852_862_686n },
  { agePenalty: 0.15, durationNs: 562_949_953_421_327n, penalisedNs: 647_392_446_434_526n },
  { agePenalty: 1.3, durationNs: 562_949_953_421_317n, penalisedNs: 1_294_784_892_869_029n },
];

/** Durations whose penalised value a double rounds up to the next whole number, and a long double does not. */
export const doubleTies: readonly Tie[] = [
  { agePenalty: 0.15, durationNs: 20n, penalisedNs: 23n },
  { agePenalty: 0.15, durationNs: 40n, penalisedNs: 46n },
  { agePenalty: 0.7, durationNs: 10n, penalisedNs: 17n },
  { agePenalty: 0.7, durationNs: 20n, penalisedNs: 34n },
  { agePenalty: 0.2, durationNs: 5n, penalisedNs: 6n },
  { agePenalty: 0.2, durationNs: 10n, penalisedNs: 12n },
  { agePenalty: 0.45, durationNs: 20n, penalisedNs: 29n },
  { agePenalty: 0.45, durationNs: 40n, penalisedNs: 58n },
  { agePenalty: 1.3, durationNs: 10n, penalisedNs: 23n },
  { agePenalty: 1.3, durationNs: 20n, penalisedNs: 46n },
  { agePenalty: 0.9, durationNs: 10n, penalisedNs: 19n },
  { agePenalty: 0.9, durationNs: 20n, penalisedNs: 38n },
];

/** Stamps that are sums of steps of 1 to 4 ns, so that equal times and equal durations are common. */
function onGrid(dice: Dice, given: Given): ReferenceSequence {
  const clocksNs = Array.from({ length: given.topics }, () => 0n);
  const messages: { topic: number; stampNs: bigint }[] = [];
  for (let left = dice.between(30, 90); left > 0; left -= 1) {
    // Mostly the topic that is behind, as messages arrive in life.
    let topic = dice.below(given.topics);
    for (let tries = 0; tries < 2; tries += 1) {
      const other = dice.below(given.topics);
      if ((clocksNs[other] ?? 0n) < (clocksNs[topic] ?? 0n)) topic = other;
    }
    const stampNs = (clocksNs[topic] ?? 0n) + BigInt(dice.chance(10) ? 0 : dice.between(1, 4));
    clocksNs[topic] = stampNs;
    messages.push({ topic, stampNs });
  }
  const lowerBoundsNs = clocksNs.map(() => BigInt(dice.chance(20) ? dice.between(1, 4) : 0));
  const maxIntervalNs = dice.chance(70) ? defaultMaxIntervalNs : BigInt(dice.between(1, 12));
  return { policy: 'approximate', ...given, maxIntervalNs, lowerBoundsNs, messages };
}

/**
 * Again and again a choice that hangs on one nanosecond: a message of topic 0, the others `penalisedNs` later, and topic 0 once
 * more `durationNs` after them.
 */
function onTies(tie: Tie, dice: Dice, { topics }: Given): ReferenceSequence {
  const { agePenalty, durationNs, penalisedNs } = tie;
  const messages: { topic: number; stampNs: bigint }[] = [];
  let stampNs = BigInt(dice.below(1_000_000));
  for (let left = dice.between(4, 10); left > 0; left -= 1) {
    messages.push({ topic: 0, stampNs });
    stampNs += penalisedNs + BigInt(dice.between(-1, 1));
    for (let topic = 1; topic < topics; topic += 1) if (!dice.chance(5)) messages.push({ topic, stampNs });
    stampNs += durationNs;
    if (!dice.chance(5)) messages.push({ topic: 0, stampNs });
    stampNs += durationNs * BigInt(dice.below(4)) + BigInt(dice.below(3));
  }
  const lowerBoundsNs = new Array<bigint>(topics).fill(0n);
  const queueSize = dice.between(2, 10);
  return {
    policy: 'approximate',
    topics,
    queueSize,
    agePenalty,
    maxIntervalNs: defaultMaxIntervalNs,
    lowerBoundsNs,
    messages,
  };
}
