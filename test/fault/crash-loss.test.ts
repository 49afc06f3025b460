import { expect, test } from 'vitest';
import { measureCrashLoss } from './crash-loss.ts';
import { seededRandom } from './seeded-random.ts';

const KILLS = Number(process.env.FENDER_RECORDING_KILLS ?? 10);
const random = seededRandom();

test(`${KILLS} kills of a recording process cost at most 200 ms of sound and 1 s of slow topics each [seed ${random.seed}]`, async () => {
  const losses = await measureCrashLoss(KILLS, { random, longestS: 2 });
  expect(losses.length).toBe(KILLS);
  expect(losses.reduce((sum, { handed }) => sum + handed, 0)).toBeGreaterThan(KILLS * 5);
  expect(losses.filter(({ soundS, slowS, wrong }) => soundS > 0.2 || slowS > 1 || wrong > 0)).toEqual([]);
}, 120_000);
