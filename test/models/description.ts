/** A complete description for tests that need no real model. */
import type { ModelDescription } from '../../models/description.ts';

export function testDescription(): ModelDescription {
  return {
    format: 'fender-model/1',
    name: 'test-model',
    version: '1.2.3',
    task: 'sound-events',
    author: 'A test',
    dataset_tag: 'none',
    input: { topic: '/uma8/audio', channels: 2, sample_rate_hz: 8000, window_s: 1, hop_s: 0.25, downmix: 'mean' },
    labels: ['background', 'body_impact', 'glass_break'],
    thresholds: { body_impact: 0.5, glass_break: 0.5 },
    metrics: ['roc_auc'],
    drift_reference: { histograms: [{ feature: 'rms_dbfs', edges: [-120, -60, 0], counts: [1, 2] }] },
    training_run: { seed: 1, commit: '0000000', data: 'none' },
  };
}
