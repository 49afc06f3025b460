import { expect, test } from 'vitest';
import { isTooMuch, measureCrashLoss } from './crash-loss.ts';
import { seededRandom } from './seeded-random.ts';

const KILLS = Number(process.env.FENDER_RECORDING_KILLS ?? 10);
const random = seededRandom();

test(`${KILLS} kills of a recording process cost at most 200 ms of sound and 1 s of slow topics each [seed ${random.seed}]`, async () => {
  const losses = await measureCrashLoss(KILLS, { random, longestS: 2 });
  expect(losses.length).toBe(KILLS);
  expect(losses.reduce((sum, { handed }) => sum + handed, 0)).toBeGreaterThan(KILLS * 5);
  // A machine that runs other tests has no time for the recording now and then: what it held up is not the recording's.
  expect(losses.filter((loss) => isTooMuch(loss, loss.stalledS))).toEqual([]);
}, 120_000);
