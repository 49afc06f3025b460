import { expect, test } from 'vitest';
import { fuzzBags } from './bag-cases.ts';
import { toolCheck } from './tool-cases.ts';

/** Always the same cases, so that a change that has nothing to do with bags never fails here; `npm run fuzz` takes new ones, and many more. */
const cases = 1500;
/** Among them is 148607927: a chunk without a CRC that was cut and reached over a whole one. */
const seed = 148_607_113;

test(`damaged bags: no crash, nothing made up, no untouched chunk lost (${cases} cases from seed ${seed})`, async () => {
  const { failures, slowestMs, largestResidentBytes } = await fuzzBags(seed, cases);
  expect(failures).toEqual([]);
  expect(slowestMs).toBeLessThan(60_000);
  expect(largestResidentBytes).toBeLessThan(1.5e9);
}, 300_000);

test('what recover, export, cut, merge and the viewer make of damaged bags is whole or nothing (200 cases from seed 5)', async () => {
  const { check, end } = await toolCheck();
  const { failures } = await fuzzBags(5, 200, undefined, check).finally(end);
  expect(failures).toEqual([]);
}, 300_000);
