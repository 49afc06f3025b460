import { expect, test } from 'vitest';
import { fuzzModels } from './model-cases.ts';

/** Always the same cases, so that a change that has nothing to do with models never fails here; `npm run fuzz -- --models` takes new ones. */
const cases = 400;
const seed = 7_000_000;

test(`damaged models: refused with a reason, or harmless to the runtime (${cases} cases from seed ${seed})`, async () => {
  const { failures, refused, failedTrial } = await fuzzModels(seed, cases);
  console.log(`${refused} refused at once, ${failedTrial} by the runtime or for their scores, of ${cases}`);
  expect(failures).toEqual([]);
  // Were all refused at once, the runtime would not be tried.
  expect(cases - refused).toBeGreaterThan(cases / 20);
}, 120_000);
