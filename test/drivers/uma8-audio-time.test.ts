/**
 * How far the stamps of sound are from the truth, by simulation: what a stamp says of a chunk's first frame when the chunk is given out, against
 * when the simulated array captured it. The first seconds count. The figures are printed.
 *
 * The truth is the moment of capture plus the least delay that any arrival has (USB and the period's end on a real machine; 0 here), which cannot
 * be seen in arrivals. Where the jitter of a scenario hardly ever is at its least, stamps are late by what is left of it.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { AudioTimeline, type Gap } from '../../drivers/uma8/audio-timeline.ts';
import { JITTERS, quantile, type Scenario, simulateArrivals, Truth } from './uma8-arrivals.ts';

const ORIGIN_NS = 5_000_000_000n;
const CHUNK_FRAMES = 4800;
const HOUR_S = 3600;
/** Reading stops now and then; beyond 600 ms the buffers run over. */
const STALLS = [
  [200, 150],
  [500, 700],
  [800, 300],
  [1200, 1500],
  [1500, 450],
  [2000, 3000],
  [2400, 250],
  [2900, 900],
  [3000, 400],
].map(([atS, ms]) => ({ atS: atS as number, ms: ms as number }));

interface Stamped {
  readonly s: number;
  readonly errorMs: number;
}

function measure(timeline: AudioTimeline, scenario: Scenario) {
  const truth = new Truth();
  const stamped: Stamped[] = [];
  const gaps: (Gap & { s: number })[] = [];
  let next = 0;
  for (const arrival of simulateArrivals(scenario)) {
    truth.learn(arrival);
    const gap = timeline.observe(arrival.frames, ORIGIN_NS + BigInt(Math.round(arrival.arrivalNs)));
    if (gap !== null) gaps.push({ ...gap, s: arrival.arrivalNs / 1e9 });
    for (; next + CHUNK_FRAMES <= arrival.frames; next += CHUNK_FRAMES) {
      const capturedNs = truth.capturedNs(next);
      const errorMs = (Number(timeline.timeOf(next) - ORIGIN_NS) - capturedNs) / 1e6;
      stamped.push({ s: capturedNs / 1e9, errorMs });
    }
  }
  return { stamped, gaps };
}

const table: string[] = [];
afterAll(() => console.log(['error of stamps in ms (first minute | whole), drift found', ...table].join('\n')));

function figures(name: string, stamped: readonly Stamped[], timeline: AudioTimeline) {
  const sizes = stamped.map(({ errorMs }) => Math.abs(errorMs));
  const first = stamped.filter(({ s }) => s < 60).map(({ errorMs }) => Math.abs(errorMs));
  const later = stamped.filter(({ s }) => s >= 60).map(({ errorMs }) => Math.abs(errorMs));
  const found = {
    p99: quantile(sizes, 0.99),
    max: Math.max(...sizes),
    firstMedian: quantile(first, 0.5),
    firstP99: quantile(first, 0.99),
    laterMax: Math.max(...later),
    meanMs: stamped.reduce((sum, { errorMs }) => sum + errorMs, 0) / stamped.length,
  };
  table.push(
    `${name.padEnd(48)} median ${found.firstMedian.toFixed(2)}, p99 ${found.firstP99.toFixed(2)} | p99 ${found.p99.toFixed(2)}, ` +
      `max ${found.max.toFixed(1)}, max after 1 min ${found.laterMax.toFixed(1)} | ${timeline.driftPpm.toFixed(1)} ppm`,
  );
  return found;
}

function run(name: string, scenario: Partial<Scenario>) {
  const timeline = new AudioTimeline(48_000);
  const full = { seed: 7, durationS: HOUR_S, ppm: () => 0, jitterMs: JITTERS.even, ...scenario };
  const { stamped, gaps } = measure(timeline, full);
  return { ...figures(name, stamped, timeline), gaps, timeline, stamped };
}

describe('over a simulated hour, from the first second on, stamps of sound', () => {
  it.each([
    [100, 'even', 1],
    [-100, 'even', 2],
    [100, 'even', 3],
    [-100, 'exponential', 4],
    [0, 'even', 5],
    [100, 'usual', 6],
  ] as const)('are within 2 ms of the truth (p99) at %i ppm and 50 ms of %s jitter (seed %i)', (ppm, jitter, seed) => {
    const { p99, laterMax, gaps, timeline } = run(`${ppm} ppm, ${jitter} jitter`, {
      seed,
      ppm: () => ppm,
      jitterMs: JITTERS[jitter],
    });
    expect(p99).toBeLessThan(2);
    expect(laterMax).toBeLessThan(4);
    expect(gaps).toEqual([]);
    expect(Math.abs(timeline.driftPpm - ppm)).toBeLessThan(6);
  });

  it.each([100, -100])('stay so with stalls and overruns at %i ppm, and what is lost is known to 3 ms', (ppm) => {
    const name = `${ppm} ppm, even jitter, 5 stalls, 4 overruns`;
    const { p99, gaps, timeline } = run(name, { ppm: () => ppm, stalls: STALLS });
    expect(p99).toBeLessThan(2);
    expect(gaps.filter(({ gapFrames }) => gapFrames > 0)).toHaveLength(4);
    const lostMs = STALLS.filter(({ ms }) => ms > 600).map(({ ms }) => ms);
    const sum = lostMs.reduce((a, b) => a + b, 0);
    // What was read when the stall began is not lost: up to a period each.
    expect(timeline.lostFrames / 48).toBeLessThan(sum + 3);
    expect(timeline.lostFrames / 48).toBeGreaterThan(sum - 4 * 125 - 3);
  });

  it('stay so with a crystal whose temperature changes', () => {
    const swing = run('60 ± 30 ppm in 20 min, even jitter', {
      ppm: (s) => 60 + 30 * Math.sin((s / 1200) * 2 * Math.PI),
    });
    expect(swing.p99).toBeLessThan(2);
    const warmUp = run('60 → 100 ppm while warming up, usual jitter', {
      ppm: (s) => 100 - 40 * Math.exp(-s / 300),
      jitterMs: JITTERS.usual,
    });
    expect(warmUp.p99).toBeLessThan(1);
  });

  it.each([
    [500, 'even'],
    [-500, 'even'],
    [500, 'usual'],
    [300, 'usual'],
  ] as const)('follow a crystal far out of its specification after a minute: %i ppm, %s jitter', (ppm, jitter) => {
    const name = `${ppm} ppm, ${jitter} jitter`;
    const { max, gaps, stamped } = run(name, { durationS: 1200, ppm: () => ppm, jitterMs: JITTERS[jitter] });
    expect(max).toBeLessThan(20);
    expect(gaps).toEqual([]);
    const settled = stamped.filter(({ s }) => s > 60).map(({ errorMs }) => Math.abs(errorMs));
    expect(quantile(settled, 0.99)).toBeLessThan(3);
  });

  it('are late by the least delay there is, and by no more than jitter that hardly ever is at its least leaves', () => {
    const constant = run('100 ppm, usual jitter and always 7 ms', {
      ppm: () => 100,
      jitterMs: (random) => 7 + JITTERS.usual(random),
    });
    expect(constant.meanMs).toBeGreaterThan(7);
    expect(constant.meanMs).toBeLessThan(7.6);
    const rarely = run('100 ppm, rarely prompt', { ppm: () => 100, jitterMs: JITTERS.rarelyPrompt });
    const around = rarely.stamped.map(({ errorMs }) => Math.abs(errorMs - rarely.meanMs));
    expect(rarely.meanMs).toBeLessThan(3);
    expect(quantile(around, 0.99)).toBeLessThan(2);
    const bell = run('100 ppm, bell of 25 ± 8 ms', { ppm: () => 100, jitterMs: JITTERS.bell });
    expect(bell.meanMs).toBeLessThan(4);
    expect(bell.p99).toBeLessThan(10);
  });
});

describe('sound that is lost', () => {
  it.each([
    [10, 'usual', 2],
    [20, 'usual', 2],
    [100, 'usual', 2],
    [2000, 'usual', 2],
    [20, 'even', 10],
    [50, 'even', 4],
    [100, 'even', 2],
    [500, 'even', 2],
    [2000, 'even', 2],
  ] as const)('%i ms, with %s jitter, is found within %i s and known to 2 ms', (ms, jitter, withinS) => {
    const timeline = new AudioTimeline(48_000);
    const { gaps, stamped } = measure(timeline, {
      seed: 11,
      durationS: 400,
      ppm: () => 100,
      jitterMs: JITTERS[jitter],
      losses: [{ atS: 300, ms }],
    });
    expect(gaps.filter(({ gapFrames }) => gapFrames > 0)).toHaveLength(1);
    expect(gaps[0]?.s).toBeLessThan(300 + ms / 1000 + withinS);
    expect(Math.abs(timeline.lostFrames / 48 - ms)).toBeLessThan(2);
    const after = stamped.filter(({ s }) => s > 300 + ms / 1000 + withinS + 1).map(({ errorMs }) => Math.abs(errorMs));
    expect(quantile(after, 0.99)).toBeLessThan(2.5);
    table.push(`${ms} ms lost, ${jitter} jitter: found after ${((gaps[0]?.s ?? 0) - 300 - ms / 1000).toFixed(1)} s`);
  });

  it('of 2 ms is less than can be told from drift, and forgotten as such within minutes', () => {
    const timeline = new AudioTimeline(48_000);
    const { gaps, stamped } = measure(timeline, {
      seed: 11,
      durationS: 400,
      ppm: () => 100,
      jitterMs: JITTERS.usual,
      losses: [{ atS: 200, ms: 2 }],
    });
    expect(gaps).toEqual([]);
    const after = stamped.filter(({ s }) => s > 200).map(({ errorMs }) => errorMs);
    expect(Math.min(...after)).toBeGreaterThan(-2.5);
  });

  it('is not invented by a spell of lateness: what was taken for a gap is taken back', () => {
    const timeline = new AudioTimeline(48_000);
    const late = (s: number) => (s > 200 && s < 210 ? 80 : 0);
    const { gaps, stamped } = measure(timeline, {
      seed: 3,
      durationS: 300,
      ppm: () => 20,
      jitterMs: (random, s) => late(s) + JITTERS.usual(random),
    });
    expect(gaps.map(({ gapFrames }) => Math.sign(gapFrames))).toEqual([1, -1]);
    expect(timeline.lostFrames).toBe(0);
    const after = stamped.filter(({ s }) => s > 210.2).map(({ errorMs }) => Math.abs(errorMs));
    expect(Math.max(...after)).toBeLessThan(2);
  });

  it.each([200, 310, 700])('is not invented by a reader that wakes up each %i ms only', (blockMs) => {
    const timeline = new AudioTimeline(48_000);
    const waiting = (s: number) => (s > 100 && s < 160 ? blockMs - ((s * 1000) % blockMs) : 0);
    const { gaps, stamped } = measure(timeline, {
      seed: 9,
      durationS: 240,
      ppm: () => 20,
      jitterMs: (random, s) => waiting(s) + JITTERS.usual(random),
    });
    expect(gaps).toEqual([]);
    expect(Math.max(...stamped.slice(10).map(({ errorMs }) => Math.abs(errorMs)))).toBeLessThan(blockMs > 500 ? 15 : 6);
  });

  it('leaves the drift of the crystal for the next stream, whose first minute is the better for it', () => {
    const first = new AudioTimeline(48_000);
    measure(first, { seed: 5, durationS: 600, ppm: () => -300, jitterMs: JITTERS.even });
    const errors = [null, first].map((before) => {
      const timeline = new AudioTimeline(48_000, before);
      const { stamped } = measure(timeline, { seed: 6, durationS: 60, ppm: () => -300, jitterMs: JITTERS.even });
      return figures(`-300 ppm, stream ${before === null ? 'alone' : 'after another'}`, stamped, timeline).firstMedian;
    });
    expect(errors[1]).toBeLessThan(1);
    expect(errors[1]).toBeLessThan(errors[0] as number);
  });
});
