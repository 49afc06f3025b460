/** What the detector process promises of directions: an impact that it hears carries where it came from. */
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { openHearing } from '../../../agent/detector/hearing.ts';
import type { HeardImpact } from '../../../agent/detector/protocol.ts';
import { renderDrive } from '../../../drivers/uma8/generated/render-to-wav.ts';
import type { TruthEntry } from '../../../drivers/uma8/generated/scene.ts';
import { apartDeg, FLAT, timeOf } from './simulated-events.ts';

const MODEL = fileURLToPath(new URL('../../../models/impact.int8.onnx', import.meta.url));

it('an impact of the generated drive is heard with the azimuth at which it was made', {
  timeout: 120_000,
}, async () => {
  const common = {
    modelPath: MODEL,
    checkedModel: null,
    thresholds: { body_impact: 0.2, glass_break: 0.2 },
    summaryPeriodS: 3_600,
    mount: FLAT,
  };
  const hearing = await openHearing({ ...common, sampleRateHz: 48_000, channels: 8 });
  const truth: TruthEntry[] = [];
  const heard: HeardImpact[] = [];
  const options = { seed: 12, seconds: 12, eventsPerMinute: 60, minGapS: 1, snrDb: [20, 30] as const };
  for (const block of renderDrive({ ...options, confusersPerMinute: 0 })) {
    truth.push(...block.truth);
    heard.push(...(await hearing.push(block.pcm, timeOf(block.firstFrame))));
  }
  heard.push(...(await hearing.flush()));
  const errors = heard.flatMap(({ onsetNs, direction }) => {
    const made = truth.find(({ onsetS }) => Math.abs(Number(onsetNs - timeOf(0)) / 1e9 - onsetS) < 0.1);
    return made && direction ? [apartDeg(direction.azimuthDeg, made.azimuthDeg)] : [];
  });
  expect(errors.length).toBeGreaterThan(1);
  expect(errors.sort((a, b) => a - b)[errors.length >> 1]).toBeLessThan(5);
});
