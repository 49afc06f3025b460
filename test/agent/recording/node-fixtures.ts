/** A recorder node with the clock of the recording's fixtures, for tests. */

import { join } from 'node:path';
import { RecorderNode, type RecorderNodeOptions } from '../../../agent/recording/recorder-node.ts';
import type { Clock } from '../../../drivers/sample.ts';
import { clock } from './recording-fixtures.ts';

/** The first recording of a node whose clock stands at `startNs`. */
export const firstRecording = '2025-11-24T16-00-00Z_000001';

export function openNode(
  folder: string,
  options: Partial<RecorderNodeOptions> = {},
  itsClock: Clock = clock,
): Promise<RecorderNode> {
  const defaults = {
    vehicle: 'car-7',
    clipFolder: join(folder, 'clips'),
    minFreeBytes: 0,
    ring: { maxAgeMs: 60_000, maxBytes: 64_000_000 },
    snapshot: { preRollS: 2, postRollS: 1 },
    takeSnapshot: async () => 'event',
  };
  return RecorderNode.open(join(folder, 'recordings'), { ...defaults, ...options }, itsClock);
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
