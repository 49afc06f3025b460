/** The stamps that the whole device loop gives, on a simulated machine: no real time passes. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { AudioChunk, Clock, Diagnostic, Stamp } from '../../drivers/sample.ts';
import { Uma8Device } from '../../drivers/uma8/device.ts';
import type { SoundSource } from '../../drivers/uma8/sound-source.ts';
import { JITTERS, quantile, type Scenario, simulateArrivals, Truth } from './uma8-arrivals.ts';

const START_NS = 7_000_000_000n;
/** One channel is enough for time, and eight times quicker. */
const FRAME_BYTES = 2;
const READ = new Uint8Array(6000 * FRAME_BYTES).fill(1);

/** A stream whose bytes the test gives out. */
class SimulatedSource implements SoundSource {
  data: ((bytes: Uint8Array) => void) | null = null;
  end: (error: Error | null) => void = () => {};

  onData(listener: (bytes: Uint8Array) => void): void {
    this.data = listener;
  }

  onEnd(listener: (error: Error | null) => void): void {
    this.end = listener;
  }

  async stop(): Promise<void> {}
}

/** Plays one stream after the other through a device; each begins `pauseS` after the end of the one before. */
async function play(scenarios: readonly Scenario[], pauseS: number) {
  let nowNs = START_NS;
  const at = (monotonicNs: bigint): Stamp => ({
    capturedAtNs: monotonicNs,
    monotonicNs,
    bootId: '00000000-0000-4000-8000-000000000000',
    synchronised: true,
    estimatedErrorNs: 0n,
  });
  const clock: Clock = { monotonicNs: () => nowNs, now: () => at(nowNs), at };
  const heard: { chunk: AudioChunk; errorMs: number }[] = [];
  const diagnostics: Diagnostic[] = [];
  let truth = new Truth();
  let originNs = START_NS;
  const sources: SimulatedSource[] = [];
  const device = new Uma8Device(
    { channels: 1, firstBackoffMs: 1, mostBackoffMs: 1 },
    { open: async () => sources[sources.push(new SimulatedSource()) - 1] as SimulatedSource, clock },
    {
      sample: (chunk) => {
        const capturedNs = truth.capturedNs(Number(chunk.firstFrame));
        heard.push({ chunk, errorMs: (Number(chunk.stamp.monotonicNs - originNs) - capturedNs) / 1e6 });
      },
      diagnostic: (diagnostic) => diagnostics.push(diagnostic),
    },
  );
  const stop = new AbortController();
  const running = device.run(stop.signal);
  for (const [index, scenario] of scenarios.entries()) {
    while (sources[index]?.data === undefined || sources[index].data === null) await turn();
    const source = sources[index] as SimulatedSource;
    originNs = nowNs;
    truth = new Truth();
    let frames = 0;
    for (const arrival of simulateArrivals(scenario)) {
      truth.learn(arrival);
      nowNs = originNs + BigInt(Math.round(arrival.arrivalNs));
      source.data?.(READ.subarray(0, (arrival.frames - frames) * FRAME_BYTES));
      frames = arrival.frames;
    }
    source.end(null);
    nowNs += BigInt(pauseS * 1e9);
  }
  await turn();
  stop.abort();
  await running;
  return { heard, diagnostics };
}

function expectRising(chunks: readonly AudioChunk[]): void {
  for (const [index, { stamp }] of chunks.entries()) {
    const before = chunks[index - 1];
    if (before !== undefined && stamp.monotonicNs <= before.stamp.monotonicNs) {
      expect.fail(`chunk ${index}: ${stamp.monotonicNs} is not after ${before.stamp.monotonicNs}`);
    }
  }
}

it('stamps an hour of chunks to 2 ms (p99), with overruns, and counts what was lost', async () => {
  const losses = [
    { atS: 600, ms: 180 },
    { atS: 2400, ms: 2000 },
  ];
  const { heard, diagnostics } = await play(
    [{ seed: 21, durationS: 3600, ppm: () => -100, jitterMs: JITTERS.even, losses, stalls: [{ atS: 1200, ms: 400 }] }],
    0,
  );
  expect(heard.length).toBeGreaterThan(35_950);
  const errors = heard.map(({ errorMs }) => Math.abs(errorMs));
  console.log(
    `a device for an hour: p99 ${quantile(errors, 0.99).toFixed(2)} ms, max ${Math.max(...errors).toFixed(1)} ms`,
  );
  expect(quantile(errors, 0.99)).toBeLessThan(2);
  expectRising(heard.map(({ chunk }) => chunk));
  const { gaps, lost_frames: lost, drift_ppm: drift } = diagnostics.at(-1)?.values ?? {};
  expect(gaps).toBe(2);
  expect(Math.abs(Number(lost) / 48 - 2180)).toBeLessThan(3);
  expect(Math.abs(Number(drift) + 100)).toBeLessThan(6);
});

it('stamps a stream that begins anew as well as the first, and knows the drift already', async () => {
  const stream = { durationS: 300, ppm: () => 100, jitterMs: JITTERS.usual };
  const { heard, diagnostics } = await play(
    [
      { ...stream, seed: 1 },
      { ...stream, seed: 2 },
    ],
    3,
  );
  const chunks = heard.map(({ chunk }) => chunk);
  expectRising(chunks);
  const second = chunks.findLastIndex(({ firstFrame }) => firstFrame === 0n);
  expect(second).toBeGreaterThan(2900);
  const errors = heard.slice(second).map(({ errorMs }) => Math.abs(errorMs));
  expect(quantile(errors, 0.99)).toBeLessThan(1);
  expect(Number(diagnostics.find(({ code }) => code === 'gap')?.values.lost_frames) / 48).toBeGreaterThan(2990);
});

it('stamps in rising order though a second of lateness was taken for lost sound and is taken back', async () => {
  const { heard, diagnostics } = await play(
    [
      {
        seed: 4,
        durationS: 120,
        ppm: () => 0,
        jitterMs: (random, s) => (s > 60 && s < 75 ? 450 : 0) + JITTERS.usual(random),
      },
    ],
    0,
  );
  expectRising(heard.map(({ chunk }) => chunk));
  expect(diagnostics.filter(({ code }) => code === 'gap').map(({ message }) => message.includes('came late'))).toEqual([
    false,
    true,
  ]);
  expect(diagnostics.at(-1)?.values).toMatchObject({ gaps: 0, lost_frames: 0 });
  const settled = heard.slice(850).map(({ errorMs }) => Math.abs(errorMs));
  expect(Math.max(...settled)).toBeLessThan(2);
});

it('finds what a suspended process lost', async () => {
  // For 20 s nothing reads: ALSA's buffer and the pipe run over, and afterwards bytes come as they were captured.
  const { heard, diagnostics } = await play(
    [
      {
        seed: 8,
        durationS: 200,
        ppm: () => 50,
        jitterMs: JITTERS.usual,
        stalls: [{ atS: 100, ms: 20_000 }],
      },
    ],
    0,
  );
  const gap = diagnostics.find(({ code }) => code === 'gap');
  expect(Number(gap?.values.last_gap_ns) / 1e9).toBeGreaterThan(19.7);
  expect(Number(gap?.values.last_gap_ns) / 1e9).toBeLessThan(20.01);
  expectRising(heard.map(({ chunk }) => chunk));
  const late = heard.filter(({ errorMs }) => Math.abs(errorMs) > 2);
  // Chunks of the first second after it are given out before it is known.
  expect(late.length).toBeLessThan(20);
});
