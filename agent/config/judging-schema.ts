/** The keys of what judges: the impact detector, and the detectors of smoke and bad air. */
import { z } from 'zod';
import { key, path, section } from './keys.ts';

const distance = z.number().min(0).max(1_000);

export const detector = section('The impact detector in its own process.', {
  enabled: key(z.boolean().default(true), 'none', 'Whether impacts are detected at all.'),
  model: key(
    path.default('models/impact.int8.onnx'),
    'none',
    'The ONNX model file; a relative path starts at the program.',
  ),
  model_fp32: key(
    z.string().default(''),
    'none',
    'The same model in fp32, listened with where it is faster; empty: NAME.fp32.onnx beside NAME.int8.onnx, if there is one.',
  ),
  candidate: key(
    z.string().default(''),
    'none',
    'A model file that listens beside the model, in a process of its own, and is only compared with it; empty: none.',
  ),
  candidate_fp32: key(z.string().default(''), 'none', 'The candidate in fp32, as model_fp32.'),
  thresholds: key(
    z.record(z.string(), z.number().min(0).max(1)).default({}),
    'ratio',
    "Score per label from which an impact is reported, instead of the model's own, for instance {glass_break: 0.6}.",
  ),
  pre_roll_s: key(z.number().min(0).max(30).default(2), 's', 'How much of all sensors a clip holds before the impact.'),
  post_roll_s: key(z.number().min(0).max(30).default(2), 's', 'How much of all sensors a clip holds after the impact.'),
  hang_timeout_s: key(
    z.number().min(0.2).max(60).default(0.6),
    's',
    'A detector that makes no progress for this time is restarted; time in which it waits for its turn or for the disk counts in part.',
  ),
  start_timeout_s: key(
    z.number().min(1).max(300).default(30),
    's',
    'A detector that has not loaded its model after this time is restarted.',
  ),
  queue_chunks: key(
    z.int().min(2).max(600).default(30),
    'count',
    'Sound chunks of 100 ms that may wait for the detector; more are missed and counted.',
  ),
  max_model_bytes: key(
    z.int().min(10_000).max(2_000_000_000).default(67_108_864),
    'B',
    'Larger model files are refused unread.',
  ),
  max_memory_mb: key(
    z.int().min(50).max(4_000).default(250),
    'none',
    'A detector process that holds more megabytes is replaced by a new one, without missing anything.',
  ),
  report_period_s: key(
    z.int().min(5).max(86_400).default(3_600),
    's',
    'The candidate is compared and drift is judged over so long.',
  ),
  drift_threshold: key(
    z
      .strictObject({ hellinger: distance, kullback_leibler: distance, average_pairwise: distance })
      .partial()
      .default({}),
    'none',
    "Distance from the model's reference from which a feature has drifted, instead of the model's own, or of {hellinger: 0.9, kullback_leibler: 3, average_pairwise: 0.4} where it has none; average_pairwise is in shares of the feature's range.",
  ),
  drift_min_windows: key(
    z.int().min(10).max(1_000_000).default(2_400),
    'count',
    'Drift is not judged over fewer windows than this.',
  ),
});

const ugM3 = z.number().min(5).max(1_000);
const share = z.number().min(0.01).max(1);

export const air = section('Smoke and bad air in the cabin, found by the particle sensor and the gas sensor.', {
  enabled: key(z.boolean().default(true), 'none', 'Whether the air is judged.'),
  clips: key(
    z.boolean().default(true),
    'none',
    'Whether an event of the air gets a clip, of the length of a snapshot.',
  ),
  raised_ugm3: key(
    ugM3.default(35.5),
    'µg/m³',
    'PM2.5 above what is usual from which the air is bad; this and the next are where the air quality index of the EPA (2024) begins to be unhealthy for sensitive groups, very unhealthy and hazardous.',
  ),
  high_ugm3: key(ugM3.default(125.5), 'µg/m³', 'From this the level is high.'),
  very_high_ugm3: key(ugM3.default(225.5), 'µg/m³', 'From this the level is very high.'),
  baseline_limit_ugm3: key(
    ugM3.default(35.4),
    'µg/m³',
    'What is usual follows the air over hours, but is never taken for more than this.',
  ),
  raised_gas_ratio: key(
    share.default(0.5),
    'ratio',
    'Gas resistance by what is usual from which downwards the air is bad.',
  ),
  high_gas_ratio: key(share.default(0.3), 'ratio', 'From this downwards the level is high.'),
  very_high_gas_ratio: key(share.default(0.15), 'ratio', 'From this downwards the level is very high.'),
  humid_ratio: key(
    share.default(0.85),
    'ratio',
    'From this relative humidity on particles may be droplets, and count only where the gas sensor agrees.',
  ),
  particle_warm_up_s: key(
    z.number().min(0).max(3_600).default(30),
    's',
    'The particle sensor is not judged so long after its start: its fan needs 30 s.',
  ),
  gas_warm_up_s: key(
    z.number().min(0).max(86_400).default(600),
    's',
    'The gas sensor is not judged so long after its start: its resistance rises while it burns in.',
  ),
  end_after_s: key(
    z.number().min(1).max(3_600).default(60),
    's',
    'An event is over when the air was half way back to what is usual for so long.',
  ),
  longest_s: key(
    z.number().min(60).max(86_400).default(7_200),
    's',
    'An event that lasts longer is ended, and the air of then is taken for usual.',
  ),
}).refine(
  (air) =>
    air.raised_ugm3 <= air.high_ugm3 &&
    air.high_ugm3 <= air.very_high_ugm3 &&
    air.raised_gas_ratio >= air.high_gas_ratio &&
    air.high_gas_ratio >= air.very_high_gas_ratio,
  'levels in order: raised, high, very high (particles rising, gas ratios falling)',
);
