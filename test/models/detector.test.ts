import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ModelDescription } from '../../models/description.ts';
import { type Detection, ImpactDetector } from '../../models/detector.ts';
import type { Scorer } from '../../models/session.ts';
import { testDescription } from './description.ts';

const RATE = 8000;
const START_NS = 1_700_000_000_000_000_000n;

/** Hears a blow in every window whose loudest sample exceeds a quarter; sure by the loudness. */
const loudness: Scorer = {
  async run(audio, batch) {
    const scores: number[] = [];
    for (let i = 0; i < batch; i++) {
      const window = audio.subarray((i * audio.length) / batch, ((i + 1) * audio.length) / batch);
      const peak = window.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
      const score = peak > 0.25 ? Math.min(peak, 0.95) : 0.02;
      scores.push(1 - score, score * 0.9, score * 0.1);
    }
    return Float32Array.from(scores);
  },
};

/** Two channels of faint noise with decaying blows: [seconds, amplitude]. */
function street(lengthS: number, blows: readonly (readonly [number, number])[], decayS = 0.05): Int16Array {
  const pcm = new Int16Array(2 * Math.round(lengthS * RATE));
  let state = 7;
  for (let frame = 0; frame < pcm.length / 2; frame++) {
    state = (state * 1103515245 + 12345) % 2147483648;
    let value = (state / 2147483648 - 0.5) * 0.01;
    for (const [atS, amplitude] of blows) {
      const t = frame / RATE - atS;
      value += t < 0 ? 0 : amplitude * Math.exp(-t / decayS) * Math.cos(2 * Math.PI * 900 * t);
    }
    pcm[2 * frame] = pcm[2 * frame + 1] = Math.round(value * 32767);
  }
  return pcm;
}

async function detect(pcm: Int16Array, chunkFrames: readonly number[], batch = 1): Promise<Detection[]> {
  const detector = new ImpactDetector(loudness, testDescription(), { sampleRateHz: RATE, channels: 2, batch });
  const found: Detection[] = [];
  let frame = 0;
  for (let i = 0; frame * 2 < pcm.length; i++) {
    const frames = chunkFrames[i % chunkFrames.length] ?? 800;
    const stamp = START_NS + (BigInt(frame) * 1_000_000_000n) / BigInt(RATE);
    found.push(...(await detector.push(pcm.slice(2 * frame, 2 * (frame + frames)), stamp)));
    frame += frames;
  }
  return [...found, ...(await detector.flush())];
}

const secondsOf = (ns: bigint) => Number(ns - START_NS) / 1e9;

describe('the impact detector', () => {
  test('raises one event a blow, with its onset within 20 ms', async () => {
    const blows = [
      [1.3, 0.8],
      [3.77, 0.7],
      [7.02, 0.9],
    ] as const;
    const found = await detect(street(10, blows), [800]);
    expect(found.map((detection) => Math.round(secondsOf(detection.onsetNs) * 10))).toEqual([13, 38, 70]);
    found.forEach((detection, i) => {
      expect(detection.label).toBe('body_impact');
      expect(Math.abs(secondsOf(detection.onsetNs) - (blows[i]?.[0] ?? 0))).toBeLessThan(0.02);
      expect(detection.endNs).toBeGreaterThan(detection.onsetNs);
      expect(detection.score).toBeCloseTo(1 - (detection.scores.background ?? 0), 6);
    });
  });

  test('merges a rattle of blows into one event, and hears the next blow when the first still rings', async () => {
    const rattle = [1.5, 1.65, 1.8, 1.95].map((at) => [at, 0.6] as const);
    expect((await detect(street(4, rattle), [800])).length).toBe(1);
    const ringing = [
      [1.1, 0.9],
      [3.2, 0.9],
    ] as const;
    expect((await detect(street(6, ringing, 0.8), [800])).length).toBe(2);
  });

  test('counts knocks in quick succession once, and knocks nearly a second apart each', async () => {
    const knocking = (everyS: number) => [0, 1, 2].map((k) => [1.4 + everyS * k, 0.7] as const);
    expect((await detect(street(5, knocking(0.3), 0.02), [800])).length).toBe(1);
    const apart = await detect(street(5, knocking(0.95), 0.02), [800]);
    expect(apart.map(({ onsetNs }) => Math.round(100 * secondsOf(onsetNs)))).toEqual([140, 235, 330]);
  });

  test('raises the event at most 0.85 s of sound after its onset', async () => {
    const pcm = street(4, [[1.4, 0.8]]);
    const detector = new ImpactDetector(loudness, testDescription(), { sampleRateHz: RATE, channels: 2 });
    for (let chunk = 0; chunk < 40; chunk++) {
      const stamp = START_NS + BigInt(chunk) * 100_000_000n;
      const found = await detector.push(pcm.slice(chunk * 1600, (chunk + 1) * 1600), stamp);
      if (found.length > 0) {
        expect((chunk + 1) * 0.1 - 1.4).toBeLessThanOrEqual(0.9);
        return;
      }
    }
    throw new Error('expected an event, found none');
  });

  test('finds the same events however the sound is cut into chunks', async () => {
    const pcm = street(6, [
      [1.23, 0.7],
      [3.5, 0.4],
      [4.1, 0.6],
    ]);
    const whole = await detect(pcm, [48_000]);
    expect(whole.length).toBeGreaterThan(1);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 4000 }), { minLength: 1, maxLength: 8 }), async (cuts) => {
        const total = cuts.reduce((sum, size) => sum + size, 0);
        fc.pre(total / cuts.length > 200);
        expect(await detect(pcm, cuts)).toEqual(whole);
      }),
      { numRuns: 25 },
    );
  });

  test('finds the same events, and reports the same scores, however many windows it scores at once', async () => {
    const pcm = street(9, [
      [1.23, 0.7],
      [3.5, 0.4],
      [4.1, 0.6],
      [7.9, 0.8],
    ]);
    const hear = async (batch: number): Promise<unknown[]> => {
      const heard: unknown[] = [];
      const onScores = (scores: Float32Array, startNs: bigint, samples: Float32Array) =>
        heard.push([...scores, startNs, samples.length, samples[5]]);
      const options = { sampleRateHz: RATE, channels: 2, batch, onScores };
      const detector = new ImpactDetector(loudness, testDescription(), options);
      // Stamps that drift by 1 ms a second, a gap after 5 s, and an end in the middle of a window.
      for (let chunk = 0; chunk < 88; chunk++) {
        const stamp = START_NS + BigInt(chunk) * 100_100_000n + (chunk < 50 ? 0n : 700_000_000n);
        heard.push(...(await detector.push(pcm.slice(chunk * 1600, (chunk + 1) * 1600), stamp)));
      }
      heard.push(...(await detector.flush()));
      return [heard.filter(Array.isArray), heard.filter((each) => !Array.isArray(each))];
    };
    const single = await hear(1);
    expect((single[1] as Detection[]).length).toBe(3);
    for (const batch of [2, 3, 8, 64]) expect(await hear(batch)).toEqual(single);
    expect(
      () => new ImpactDetector(loudness, testDescription(), { sampleRateHz: RATE, channels: 2, batch: 0 }),
    ).toThrow(/1 to 64/);
  });

  test('forgets the ambience with the sound before a gap, and tells windows as they are judged', async () => {
    const ambience = { weight: 0.5, usual: -4, span_s: 3, assumed_s: 1 };
    const raps = Array.from({ length: 40 }, (_, i) => [0.2 + i / 4, 0.6] as const);
    const pcm = street(10, raps);
    const judged: number[] = [];
    const onScores = (scores: Float32Array, _startNs: bigint, _samples: Float32Array, relative: Float32Array) => {
      expect((scores[1] ?? 0) + (scores[2] ?? 0)).toBeCloseTo(1 - (scores[0] ?? 0), 5);
      judged.push(1 - (relative[0] ?? 0));
    };
    const options = { sampleRateHz: RATE, channels: 2, onScores };
    const detector = new ImpactDetector(loudness, { ...testDescription(), events: { ambience } }, options);
    await detector.push(pcm, START_NS);
    const once = judged.splice(0);
    expect(once.at(-1)).toBeLessThan(0.5 * (once[0] ?? 0));
    await detector.push(pcm, START_NS + 60_000_000_000n);
    expect(judged).toEqual(once);
    judged.length = 0;
    await detector.flush();
    await detector.push(pcm, START_NS + 70_000_000_000n);
    expect(judged).toEqual(once);
  });

  test("follows the description's times: what is merged, and when an event is sure", async () => {
    const knocks = [1.5, 2.0, 2.5].map((at) => [at, 0.7] as const);
    const pcm = street(5, knocks, 0.02);
    const hear = async (events: ModelDescription['events']): Promise<number> => {
      const options = { sampleRateHz: RATE, channels: 2 };
      const detector = new ImpactDetector(loudness, { ...testDescription(), events }, options);
      return (await detector.push(pcm, START_NS)).length + (await detector.flush()).length;
    };
    expect(await hear({})).toBe(1);
    expect(await hear({ merge_s: 0.3, sure_after_s: 0.1, shown_after_s: 0.3 })).toBe(3);
  });

  test('stays silent without a blow, and forgets what lies before a gap in time', async () => {
    expect(await detect(street(5, []), [800])).toEqual([]);
    const detector = new ImpactDetector(loudness, testDescription(), { sampleRateHz: RATE, channels: 2 });
    const half = street(0.7, [[0.3, 0.9]]);
    expect(await detector.push(half, START_NS)).toEqual([]);
    // Six tenths of a second and again six tenths never make a window when a second is missing between them.
    expect(await detector.push(street(0.7, []), START_NS + 1_700_000_000n)).toEqual([]);
    expect(await detector.flush()).toEqual([]);
  });

  test('follows stamps that drift, without taking them for a gap', async () => {
    const pcm = street(8, [[6.5, 0.8]]);
    const detector = new ImpactDetector(loudness, testDescription(), { sampleRateHz: RATE, channels: 2 });
    const found: Detection[] = [];
    for (let chunk = 0; chunk < 80; chunk++) {
      const stamp = START_NS + BigInt(chunk) * 100_100_000n;
      found.push(...(await detector.push(pcm.slice(chunk * 1600, (chunk + 1) * 1600), stamp)));
    }
    expect(found.length).toBe(1);
    expect(secondsOf(found[0]?.onsetNs ?? 0n)).toBeCloseTo(6.5065, 1);
  });

  test('refuses another rate, half frames and overlapping pushes', async () => {
    const options = { sampleRateHz: RATE, channels: 2 };
    expect(() => new ImpactDetector(loudness, testDescription(), { ...options, sampleRateHz: 44_100 })).toThrow(
      /8000 Hz/,
    );
    const detector = new ImpactDetector(loudness, testDescription(), options);
    await expect(detector.push(new Int16Array(3), 0n)).rejects.toMatchObject({ code: 'invalid-audio' });
    const first = detector.push(street(2, []), START_NS);
    await expect(detector.push(street(2, []), START_NS)).rejects.toMatchObject({ code: 'invalid-audio' });
    await first;
  });
});
