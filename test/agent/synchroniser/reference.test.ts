import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { AgePenalty } from '../../../agent/synchroniser/age-penalty.ts';
import { ApproximateTime } from '../../../agent/synchroniser/approximate-time.ts';
import { ExactTime } from '../../../agent/synchroniser/exact-time.ts';
import {
  doubleTies,
  longDoubleTies,
  type ReferenceSequence,
  referenceSequence,
  type SequenceKind,
  sequenceKinds,
} from './reference-sequences.ts';

interface ReferenceCase {
  readonly kind: SequenceKind;
  readonly seed: number;
  readonly inputHash: string;
  /** Per set: the index of the message whose arrival published it, and of its messages by topic. */
  readonly sets: readonly (readonly number[])[];
}

const fixture = new URL('../../fixtures/synchroniser-reference.csv', import.meta.url);

function readCases(): ReferenceCase[] {
  const lines = readFileSync(fixture, 'utf8').split('\n');
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [kind = '', seed = '', inputHash = '', ...fields] = line.split(',');
      let last: number[] = [];
      const sets = fields.map((field) => {
        last = field.split(' ').map((difference, index) => (last[index] ?? 0) + Number(difference));
        return last;
      });
      return { kind: kind as SequenceKind, seed: Number(seed), inputHash, sets };
    });
}

function hash(sequence: ReferenceSequence): string {
  const text = JSON.stringify(sequence, (_, value) => (typeof value === 'bigint' ? String(value) : value));
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

function setsOf(sequence: ReferenceSequence): number[][] {
  const policy = sequence.policy === 'exact' ? new ExactTime<number>(sequence) : new ApproximateTime<number>(sequence);
  return sequence.messages.flatMap(({ topic, stampNs }, index) =>
    policy.push(topic, stampNs, index).map(({ stampsNs, payloads }) => {
      expect(stampsNs).toEqual(payloads.map((message) => sequence.messages[message]?.stampNs));
      return [index, ...payloads];
    }),
  );
}

describe('the sets of the C++ policies of message_filters (Jazzy)', () => {
  const cases = readCases();

  it('are known for more than 300 sequences of every kind', () => {
    expect(cases.length).toBeGreaterThan(300);
    for (const kind of sequenceKinds) expect(cases.filter((each) => each.kind === kind).length).toBeGreaterThan(15);
    expect(cases.reduce((sum, { sets }) => sum + sets.length, 0)).toBeGreaterThan(3_000);
  });

  it.each(sequenceKinds)('come out the same, at the same message: %s', (kind) => {
    for (const { seed, inputHash, sets } of cases.filter((each) => each.kind === kind)) {
      const sequence = referenceSequence(kind, seed);
      expect(hash(sequence), `the sequence ${kind} ${seed} is the one that the reference was fed with`).toBe(inputHash);
      expect(setsOf(sequence), `sequence ${kind} ${seed}`).toEqual(sets);
    }
  });
});

describe('the age penalty', () => {
  it('is cut from the product as a long double, where a double would be rounded up to the next whole number', () => {
    for (const { agePenalty, durationNs, penalisedNs } of doubleTies) {
      expect(BigInt(Math.trunc(Number(durationNs) * (1 + agePenalty)))).toBe(penalisedNs);
      expect(new AgePenalty(agePenalty).penalised(durationNs)).toBe(penalisedNs - 1n);
      expect(new AgePenalty(agePenalty).penalised(-durationNs)).toBe(1n - penalisedNs);
    }
  });

  it('is rounded to 64 bits before it is cut', () => {
    for (const { agePenalty, durationNs, penalisedNs } of longDoubleTies) {
      const penalty = new AgePenalty(agePenalty);
      expect(penalty.penalised(durationNs)).toBe(penalisedNs);
      expect(penalty.reaches(durationNs, penalisedNs)).toBe(true);
      expect(penalty.reaches(durationNs, penalisedNs + 1n)).toBe(false);
    }
  });

  it('refuses what would make later sets better', () => {
    for (const agePenalty of [-0.1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => new AgePenalty(agePenalty)).toThrow(/expected a finite number of at least 0/);
    }
  });
});
