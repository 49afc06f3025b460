import { expect, test } from 'vitest';
import { fuzzBags } from './bag-cases.ts';

/** `npm run fuzz` runs a hundred thousand. */
const cases = 1500;
const seed = Math.floor(Math.random() * 1_000_000_000);

test(`damaged bags: no crash, nothing made up, no untouched chunk lost (${cases} cases from seed ${seed})`, async () => {
  const { failures, slowestMs, largestResidentBytes } = await fuzzBags(seed, cases);
  expect(failures).toEqual([]);
  expect(slowestMs).toBeLessThan(60_000);
  expect(largestResidentBytes).toBeLessThan(1.5e9);
}, 300_000);
