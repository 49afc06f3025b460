/** Turns the configuration into the recorder's options. */

import { join } from 'node:path';
import type { AgentConfig } from '../config/schema.ts';
import type { RecorderNodeOptions } from './recorder-node.ts';

const secondMs = 1_000;
/** Longest an impact sounds, and the detector takes to be sure of it, in s; a clip that needs more comes from the segments. */
const impactS = 3;

/** What the configuration says; `takeSnapshot` and what others add is still to come. */
export function recorderOptions(
  { vehicle, recorder, detector }: AgentConfig,
  dataFolder: string,
): Omit<RecorderNodeOptions, 'takeSnapshot'> {
  // As much memory as the clip of an impact needs, at least.
  const ringS = Math.max(recorder.ring_s, detector.pre_roll_s + detector.post_roll_s + impactS);
  return {
    vehicle: vehicle.id,
    clipFolder: join(dataFolder, 'clips'),
    maxSegmentMs: recorder.segment_s * secondMs,
    maxSegmentBytes: recorder.segment_bytes,
    syncIntervalMs: recorder.fsync_ms,
    ring: { maxAgeMs: ringS * secondMs, maxBytes: recorder.ring_bytes },
    snapshot: { preRollS: recorder.pre_roll_s, postRollS: recorder.post_roll_s },
  };
}
