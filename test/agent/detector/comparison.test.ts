import { describe, expect, it } from 'vitest';
import { Comparison } from '../../../agent/detector/comparison.ts';
import type { ScoredWindow } from '../../../agent/detector/window-reports.ts';

const SECOND_NS = 1_000_000_000n;

function window(endS: number, sureness: number, run_ms = 1): ScoredWindow {
  return { end_ns: String(BigInt(Math.round(endS * 1e9))), sureness, share: sureness / 0.5, run_ms };
}

/** A generator of the same numbers for the same seed (mulberry32), 0 to 1. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function compare(hopS = { active: 0.25, candidate: 0.25 }): Comparison {
  const comparison = new Comparison();
  comparison.setHop('active', hopS.active);
  comparison.setHop('candidate', hopS.candidate);
  return comparison;
}

describe('the comparison of two models', () => {
  it('finds agreement, kappa, correlation and difference as their definitions have them, however late either is', () => {
    const seed = Math.floor(Math.random() * 1e9);
    const next = random(seed);
    const a = Array.from({ length: 500 }, next);
    const c = a.map((value) => Math.min(1, Math.max(0, value + 0.5 * (next() - 0.5))));
    const comparison = compare();
    const sent = { active: 0, candidate: 0 };
    while (sent.active < 500 || sent.candidate < 500) {
      const side = next() < 0.5 ? 'active' : 'candidate';
      const values = side === 'active' ? a : c;
      const to = Math.min(500, sent[side] + Math.floor(20 * next()));
      const windows = values.slice(sent[side], to).map((value, i) => window((sent[side] + i) * 0.25, value));
      comparison.windows(side, windows);
      sent[side] = to;
    }
    const figures = comparison.total();
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const over = (values: number[]) => values.map((value) => (value >= 0.5 ? 1 : 0));
    const [overA, overC] = [over(a), over(c)];
    const agreement = mean(overA.map((value, i) => (value === overC[i] ? 1 : 0)));
    const chance = mean(overA) * mean(overC) + (1 - mean(overA)) * (1 - mean(overC));
    const [meanA, meanC] = [mean(a), mean(c)];
    const covariance = mean(a.map((value, i) => (value - meanA) * ((c[i] ?? 0) - meanC)));
    const spread = (values: number[], middle: number) => Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
    expect(figures.windows, `seed ${seed}`).toBe(500);
    expect(figures.agreement).toBeCloseTo(agreement, 12);
    expect(figures.kappa).toBeCloseTo((agreement - chance) / (1 - chance), 12);
    expect(figures.correlation).toBeCloseTo(covariance / spread(a, meanA) / spread(c, meanC), 9);
    expect(figures.difference).toBeCloseTo(mean(a.map((value, i) => Math.abs(value - (c[i] ?? 0)))), 12);
    expect(figures.active.counts.reduce((sum, count) => sum + count, 0)).toBe(500);
    expect(figures.active.alone + figures.candidate.alone).toBe(0);
  });

  it('windows of another length are compared with those that end nearest', () => {
    const comparison = compare({ active: 0.25, candidate: 1 });
    comparison.windows(
      'active',
      Array.from({ length: 41 }, (_, i) => window(i * 0.25, i % 4 === 0 ? 1 : 0)),
    );
    comparison.windows(
      'candidate',
      Array.from({ length: 10 }, (_, i) => window(i + 0.05, 1)),
    );
    const { windows, agreement, active, candidate } = comparison.total();
    expect({ windows, agreement, alone: candidate.alone }).toEqual({ windows: 10, agreement: 1, alone: 0 });
    expect(active.alone).toBe(27);
  });

  it('windows that one model missed are its own loss and shift nothing', () => {
    const comparison = compare();
    const all = Array.from({ length: 100 }, (_, i) => window(i * 0.25, i / 100));
    comparison.windows('active', all);
    comparison.windows('candidate', [...all.slice(0, 30), ...all.slice(50)]);
    const { windows, difference, active } = comparison.total();
    expect({ windows, difference, alone: active.alone }).toEqual({ windows: 80, difference: 0, alone: 20 });
  });

  it('an event is both’s when both raise it, else its model’s alone once the other has heard on', () => {
    const comparison = compare();
    comparison.event('active', 10n * SECOND_NS);
    comparison.event('candidate', 10n * SECOND_NS + 200_000_000n);
    comparison.event('candidate', 20n * SECOND_NS);
    comparison.event('active', 30n * SECOND_NS);
    comparison.windows('active', [window(40, 0)]);
    comparison.windows('candidate', [window(33, 0)]);
    expect(comparison.total()).toMatchObject({
      eventsBoth: 1,
      active: { eventsAlone: 0 },
      candidate: { eventsAlone: 1 },
    });
    comparison.windows('candidate', [window(36, 0)]);
    expect(comparison.takeRecent()).toMatchObject({ eventsBoth: 1, active: { eventsAlone: 1 } });
    expect(comparison.takeRecent()).toMatchObject({ eventsBoth: 0, active: { eventsAlone: 0 } });
  });

  it('times are told as median and 95th percentile, to 5 %', () => {
    const comparison = compare();
    const times = Array.from({ length: 100 }, (_, i) => window(i * 0.25, 0, 1 + i * 0.1));
    comparison.windows('active', times);
    comparison.windows('candidate', times);
    const { p50Ms, p95Ms } = comparison.total().candidate;
    expect(Math.abs(p50Ms / 5.95 - 1)).toBeLessThan(0.05);
    expect(Math.abs(p95Ms / 10.45 - 1)).toBeLessThan(0.05);
  });

  it('a model that tells nothing more costs no memory', () => {
    const comparison = compare();
    for (let i = 0; i < 5_000; i += 1) comparison.windows('active', [window(i * 0.25, 0)]);
    expect(comparison.total().active.alone).toBe(5_000 - 256);
  });
});
