import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type EventCounts, eventMetrics, type JudgedEvents, matchOnsets } from '../../models/event-metrics.ts';

const PYTHON = fileURLToPath(new URL('../peers/.venv/bin/python', import.meta.url));
/** `.ci/run` makes the environment with what test/peers/requirements*.txt name. */
const isThere = existsSync(PYTHON) || process.env.CI !== undefined;
const reason = isThere ? '' : ' (skipped: test/peers/.venv is not there)';
const LABELS = ['body_impact', 'glass_break', 'horn'];

/** Mulberry32: numbers in [0, 1) that a seed repeats. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** True events, and found ones that are near them, doubled, mistaken for others, or free. */
function randomSound(random: () => number): JudgedEvents {
  const lengthS = 2 + 20 * random();
  const label = () => LABELS[Math.floor(random() * LABELS.length)] as string;
  // Every other sound has its times on a grid of 50 ms, where the edge of the collar is met.
  const grid = random() < 0.5 ? 20 : 0;
  const time = (second: number) => (grid === 0 ? second : Math.round(second * grid) / grid);
  const many = Math.floor(random() * 12);
  const reference = Array.from({ length: many }, () => ({ onsetS: time(random() * lengthS), label: label() }));
  const near = reference.filter(() => random() < 0.8).flatMap((event) => (random() < 0.3 ? [event, event] : [event]));
  const moved = near.map((event) => ({
    onsetS: time(Math.max(0, event.onsetS + (random() - 0.5) * 0.8)),
    label: random() < 0.8 ? event.label : label(),
  }));
  const free = Array.from({ length: Math.floor(random() * 5) }, () => ({
    onsetS: time(random() * lengthS),
    label: label(),
  }));
  return { reference, estimated: [...moved, ...free].sort(() => random() - 0.5) };
}

describe('event-based metrics', () => {
  test('count worked examples: a hit, a double, a wrong label, a miss, a late one', () => {
    const reference = [1, 2, 3, 4].map((onsetS) => ({ onsetS, label: onsetS === 2 ? 'glass_break' : 'body_impact' }));
    const estimated = [1.1, 1.2, 2.25, 3.26].map((onsetS) => ({ onsetS, label: 'body_impact' }));
    const { overall, labels, any_label } = eventMetrics([{ reference, estimated }]);
    expect(overall).toEqual({ reference: 4, estimated: 4, hits: 1, precision: 0.25, recall: 0.25, f1: 0.25 });
    expect(labels.glass_break).toEqual({ reference: 1, estimated: 0, hits: 0, precision: null, recall: 0, f1: null });
    expect(any_label).toMatchObject({ hits: 2, precision: 0.5, recall: 0.5, f1: 0.5 });
    expect(eventMetrics([]).overall).toMatchObject({ precision: null, recall: null, f1: null });
  });

  test('never spend on one event what another needs', () => {
    expect(matchOnsets([1, 1.2], [1.2, 0.9])).toEqual([
      [0, 1],
      [1, 0],
    ]);
    expect(matchOnsets([5, 5.2, 5.4], [5.6, 5.35, 5.15]).length).toBe(3);
  });
});

describe.skipIf(!isThere)(`event-based metrics against sed_eval${reason}`, () => {
  test('are the same on 200 random sets of event lists, to 1e-9', () => {
    const seed = 20_260;
    const random = randomOf(seed);
    const cases = Array.from({ length: 200 }, () =>
      Array.from({ length: 1 + Math.floor(random() * 3) }, () => randomSound(random)),
    );
    const pairs = (events: JudgedEvents['reference']) => events.map(({ onsetS, label }) => [onsetS, label]);
    const input = cases.map((files) => {
      const lists = files.map(({ reference, estimated }) => ({
        reference: pairs(reference),
        estimated: pairs(estimated),
      }));
      return JSON.stringify({ labels: LABELS, collar: 0.25, files: lists });
    });
    const script = fileURLToPath(new URL('../peers/sed-eval.py', import.meta.url));
    const output = execFileSync(PYTHON, [script], { input: `${input.join('\n')}\n`, encoding: 'utf8' });
    const peers = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Peer);
    expect(peers.length).toBe(cases.length);
    let hits = 0;
    for (const [i, files] of cases.entries()) {
      const ours = eventMetrics(files);
      const where = `seed ${seed}, case ${i}: ${input[i]}`;
      same(ours.overall, peers[i]?.overall, where);
      for (const label of LABELS) same(ours.labels[label], peers[i]?.labels[label], `${where}, ${label}`);
      hits += ours.overall.hits;
    }
    expect(hits).toBeGreaterThan(500);
  });
});

interface Peer {
  readonly overall: readonly (number | null)[];
  readonly labels: Readonly<Record<string, readonly (number | null)[]>>;
}

function same(ours: EventCounts | undefined, theirs: readonly (number | null)[] | undefined, where: string): void {
  const values = [ours?.precision ?? null, ours?.recall ?? null, ours?.f1 ?? null];
  for (const [at, value] of values.entries()) {
    const other = theirs?.[at] ?? null;
    if (value === null || other === null) expect(value, where).toBe(other);
    else expect(Math.abs(value - other), where).toBeLessThanOrEqual(1e-9);
  }
}
