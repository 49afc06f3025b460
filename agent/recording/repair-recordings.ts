/** Owns putting right, at start, everything that the last run left unfinished in the folder of recordings. */

import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Diagnostic } from '../../drivers/sample.ts';
import { systemCode } from '../bag/error.ts';
import type { Progress } from '../bag/rebuild.ts';
import { activeSuffix, type RepairReport, repairSegment } from '../bag/repair.ts';
import { metadataIsCurrent, renewMetadata } from '../bag/rosbag2-metadata.ts';

/**
 * Repairs every unfinished segment in every recording of a folder, except those that are being written, removes half-written side files,
 * and renews `metadata.yaml` where it does not name every segment. Never rejects; what failed is reported and tried again at the next start.
 * @param isOpen tells by its name whether a recording is being written now.
 * @returns one report for each unfinished segment; a `metadata.yaml` that could not be written is a failed report of its path.
 */
export async function repairRecordings(
  folder: string,
  isOpen: (name: string) => boolean = () => false,
  progress?: Progress,
): Promise<RepairReport[]> {
  const reports: RepairReport[] = [];
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (!entry.isDirectory() || isOpen(entry.name)) continue;
    const recording = join(folder, entry.name);
    try {
      await repairRecording(recording, reports, progress);
    } catch (cause) {
      const problem = `${recording}: ${systemCode(cause)}: ${(cause as Error).message}`;
      reports.push({ path: recording, outcome: 'failed', chunks: 0, messages: 0, lostBytes: 0, damage: [], problem });
    }
  }
  return reports;
}

async function repairRecording(recording: string, reports: RepairReport[], progress?: Progress): Promise<void> {
  const names = await readdir(recording);
  for (const name of names) {
    if (name.endsWith('.repairing') || name.endsWith('.partial')) await rm(join(recording, name), { force: true });
  }
  let repaired = false;
  for (const name of names) {
    if (!name.endsWith(`.mcap${activeSuffix}`)) continue;
    reports.push(await repairSegment(join(recording, name), progress));
    repaired = true;
  }
  if (repaired || !(await metadataIsCurrent(recording))) await renewMetadata(recording);
}

/** What a repair found, for people; null when there was nothing to repair. */
export function repairDiagnostic(reports: readonly RepairReport[]): Diagnostic | null {
  if (reports.length === 0) return null;
  const failed = reports.filter(({ outcome }) => outcome === 'failed');
  const messages = reports.reduce((sum, report) => sum + report.messages, 0);
  const lostBytes = reports.reduce((sum, report) => sum + report.lostBytes, 0);
  const values = { segments: reports.length - failed.length, messages, torn_bytes: lostBytes, failed: failed.length };
  const about = { source: 'repair', values };
  if (failed.length > 0) {
    const message = `${failed.length} of ${reports.length} unfinished segments could not be repaired: ${failed[0]?.problem}`;
    const cure = 'Free room on the disk of the recordings and check it; it is tried again.';
    return { ...about, level: 'error', code: 'repair-failed', message, cure };
  }
  const message = `${reports.length} segments that were left unfinished are whole again: ${messages} messages, ${lostBytes} bytes were torn`;
  return { ...about, level: 'ok', code: 'repaired', message, cure: '' };
}
