import { expect, test } from 'vitest';
import { WindowCounts } from '../../../agent/detector/window-counts.ts';
import { testDescription } from '../../models/description.ts';

test("a window is told with the model's own sureness, and is over the threshold beside the ambience", () => {
  const counts = new WindowCounts(testDescription());
  const scores = Float32Array.of(0.25, 0.5, 0.25);
  const beside = Float32Array.of(0.5, 0.375, 0.125);
  counts.count(scores, 0n, new Float32Array(8000), beside);
  counts.count(scores, 250_000_000n, new Float32Array(8000), scores);
  const [calm, own] = counts.takeWindows();
  expect(calm).toMatchObject({ end_ns: '1000000000', sureness: 0.75, share: 1 });
  expect(own).toMatchObject({ end_ns: '1250000000', sureness: 0.75, share: 1.5 });
});
