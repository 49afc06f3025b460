import { describe, expect, test } from 'vitest';
import { ImpactDetector } from '../../models/detector.ts';
import { eventsIn, type HeardSound, hearSound, timedEvents } from '../../models/heard-sound.ts';
import { curveOf, measuredAt, pointForBudget, pointForRecall } from '../../models/operating-point.ts';
import { SeededRandom } from '../../models/seeded-random.ts';
import type { Scorer } from '../../models/session.ts';
import { testDescription } from './description.ts';

const RATE = 8000;
const description = testDescription();

/** As sure of a blow as the window is loud. */
const loudness: Scorer = {
  async run(audio, batch) {
    const width = audio.length / batch;
    const scores: number[] = [];
    for (let i = 0; i < batch; i++) {
      const window = audio.subarray(i * width, (i + 1) * width);
      const peak = Math.min(
        0.999,
        window.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0),
      );
      scores.push(1 - peak, 0.8 * peak, 0.2 * peak);
    }
    return Float32Array.from(scores);
  },
};

/** Faint noise, as 16-bit samples have it, with decaying knocks [seconds, level]. */
function street(seconds: number, blows: readonly (readonly [number, number])[]): Float32Array {
  const random = new SeededRandom('street');
  return Float32Array.from({ length: seconds * RATE }, (_, i) => {
    const sound = blows.reduce(
      (sum, [at, level]) => {
        const t = i / RATE - at;
        return sum + (t < 0 || t > 0.3 ? 0 : level * Math.exp(-t / 0.02) * Math.cos(2 * Math.PI * 700 * t));
      },
      random.between(-0.005, 0.005),
    );
    return Math.round(sound * 32767) / 32768;
  });
}

const hear = (sound: Float32Array): Promise<HeardSound> => hearSound(loudness, description, [sound]);

describe('sound heard once', () => {
  const beside = { weight: 0.3, usual: -6, span_s: 5, assumed_s: 1.5 };
  test.each([
    ['', description],
    [' beside its ambience', { ...description, events: { ambience: beside } }],
  ])(
    'gives the events that the detector finds%s, at any threshold, in whatever pieces it came',
    async (_, description) => {
      const random = new SeededRandom('events');
      const blows = Array.from({ length: 12 }, () => [random.between(1, 28), random.between(0.1, 0.95)] as const);
      const sound = street(30, blows);
      const pcm = Int16Array.from(sound, (sample) => Math.round(sample * 32768));
      const pieces = [0, 1000, 1003, 77_777, 200_000].map((from, i, all) => sound.subarray(from, all[i + 1]));
      const heard = await hearSound(loudness, description, pieces);
      const counts: number[] = [];
      for (const threshold of [0.9, 0.15, 0.5]) {
        const thresholds = { body_impact: threshold, glass_break: threshold };
        const options = { sampleRateHz: RATE, channels: 1 };
        const detector = new ImpactDetector(loudness, { ...description, thresholds }, options);
        const found = [...(await detector.push(pcm, 0n)), ...(await detector.flush())];
        const made = eventsIn(heard, description, thresholds);
        expect(made.map(({ onset }) => onset / RATE)).toEqual(found.map(({ onsetNs }) => Number(onsetNs) / 1e9));
        expect(made.map(({ score }) => score)).toEqual(found.map(({ score }) => score));
        expect(timedEvents(made, description).every(({ label }) => label === 'body_impact')).toBe(true);
        counts.push(made.length);
      }
      expect(counts[1]).toBeGreaterThan(counts[2] ?? 0);
      expect(counts[2]).toBeGreaterThan(counts[0] ?? 0);
    },
  );
});

describe('a threshold', () => {
  test('is set for a recall, or for a budget of false alarms an hour, and says what it does', async () => {
    const impacts = await Promise.all([0.9, 0.8, 0.7, 0.6, 0.3].map((level) => hear(street(5, [[2, level]]))));
    // 72 seconds with alarms of five sizes: fifty an hour each.
    const sizes = [0.85, 0.55, 0.45, 0.4, 0.2];
    const quiet = [
      await hear(
        street(
          72,
          sizes.map((level, i) => [6 + 12 * i, level] as const),
        ),
      ),
    ];
    const heard = [{ description, impacts, quiet }];
    const at = pointForRecall(heard, 0.8);
    expect(at?.recall).toBe(0.8);
    expect(at?.threshold).toBeGreaterThan(0.45);
    expect(at?.threshold).toBeLessThanOrEqual(0.6);
    expect(at?.false_alarms).toBeLessThanOrEqual(2);
    const budget = pointForBudget(heard, 100);
    expect(budget?.false_alarms).toBe(2);
    expect(budget?.false_alarms_per_hour).toBeCloseTo(100, 6);
    expect(budget?.threshold).toBeGreaterThan(0.44);
    expect(budget?.threshold).toBeLessThan(0.55);
    expect(pointForBudget(heard, 1)?.false_alarms).toBe(0);
    expect(measuredAt(heard, null)).toMatchObject({ found: 4, impacts: 5, false_alarms: 2 });
    const curve = curveOf(heard);
    expect(Math.max(...curve.map(({ recall }) => recall ?? 0))).toBe(1);
    expect(curve.at(-1)?.false_alarms).toBe(0);
  });

  test('is none without impacts, or without sound that has none', async () => {
    const impacts = [await hear(street(3, [[1.5, 0.9]]))];
    expect(pointForRecall([{ description, impacts: [], quiet: impacts }], 0.9)).toBeNull();
    expect(pointForBudget([{ description, impacts, quiet: [] }], 2)).toBeNull();
  });
});
