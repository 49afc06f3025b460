/** Turns the configuration into the recorder's options. */

import { join } from 'node:path';
import type { Diagnostic } from '../../drivers/sample.ts';
import type { AgentConfig } from '../config/schema.ts';
import type { ClipMessage } from './clip.ts';
import type { RecorderNodeOptions } from './recorder-node.ts';

const secondMs = 1_000;
/** Longest an impact sounds, and the detector takes to be sure of it, in s; a clip that needs more comes from the segments. */
const impactS = 3;

/** What the configuration says; `takeSnapshot` and what others add is still to come. */
export async function recorderOptions(
  { vehicle, recorder, detector }: AgentConfig,
  dataFolder: string,
  onDiagnostic: (diagnostic: Diagnostic) => void,
): Promise<Omit<RecorderNodeOptions, 'takeSnapshot'>> {
  // As much memory as the clip of an impact needs, at least.
  const ringS = Math.max(recorder.ring_s, detector.pre_roll_s + detector.post_roll_s + impactS);
  return {
    vehicle: vehicle.id,
    clipFolder: join(dataFolder, 'clips'),
    maxSegmentMs: recorder.segment_s * secondMs,
    maxSegmentBytes: recorder.segment_bytes,
    syncIntervalMs: recorder.fsync_ms,
    ring: { maxAgeMs: ringS * secondMs, maxBytes: recorder.ring_bytes },
    onDiagnostic,
    unpack,
    ...(recorder.sound === 'flac' && { packer: await flacPacker(onDiagnostic) }),
    snapshot: { preRollS: recorder.pre_roll_s, postRollS: recorder.post_roll_s },
  };
}

/** Loaded only where sound is packed. */
async function flacPacker(
  onDiagnostic: (diagnostic: Diagnostic) => void,
): Promise<NonNullable<RecorderNodeOptions['packer']>> {
  const { SoundCompressor } = await import('../sound/sound-compressor.ts');
  return (write) => new SoundCompressor({ write, onDiagnostic });
}

/** Recordings may hold FLAC whatever is configured now. Sound that cannot be unpacked goes into the clip as it is. */
async function unpack(message: ClipMessage): Promise<ClipMessage> {
  if (!message.topic.endsWith('/flac')) return message;
  const { plainSound } = await import('../sound/plain-sound.ts');
  try {
    return await plainSound(message);
  } catch {
    return message;
  }
}
