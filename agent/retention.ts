/**
 * Keeps recordings within their share of the disk, and the disk from filling up by whatever else is on it: the oldest recording
 * goes first, then the oldest finished segments of the running one. Each removal is reported.
 */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Diagnostic } from '../drivers/sample.ts';
import { type DiskSpace, readDisk } from './health/machine.ts';

/** What retention works on. */
export interface RetentionParts {
  readonly recordingsFolder: string;
  /** The running recording, whose open segment stays. */
  readonly recordingId: string;
  /** Share of the disk that recordings may take, 0 to 1. */
  readonly diskShare: number;
  readonly report: (diagnostic: Diagnostic) => void;
  /** Size and free room of the disk; null when they cannot be told. */
  readonly readDisk?: () => Promise<DiskSpace | null>;
}

/** Free room kept by giving up recordings: twice what the recorder needs to go on (64 MiB), which one minute of sound does not fill. */
const KEPT_FREE_BYTES = 128 * 1024 * 1024;

interface Removable {
  readonly path: string;
  readonly bytes: number;
}

/** Removes what is too much, once. Returns what was removed; never rejects. */
export async function retain(parts: RetentionParts): Promise<readonly Removable[]> {
  try {
    const disk = await (parts.readDisk ?? (() => readDisk(parts.recordingsFolder)))();
    if (disk === null) return [];
    const { removable, usedBytes } = await survey(parts.recordingsFolder, parts.recordingId);
    const allowed = Math.min(disk.totalBytes * parts.diskShare, usedBytes + disk.freeBytes - KEPT_FREE_BYTES);
    const removed: Removable[] = [];
    let used = usedBytes;
    for (const each of removable) {
      if (used <= allowed) break;
      await rm(each.path, { recursive: true, force: true });
      used -= each.bytes;
      removed.push(each);
    }
    if (removed.length > 0) parts.report(retentionReport(removed, allowed));
    return removed;
  } catch (error) {
    const message = `retention failed: ${error instanceof Error ? error.message : String(error)}`;
    const cure = 'Check the rights of data_dir.';
    parts.report({ source: 'retention', level: 'error', code: 'failed', message, cure, values: {} });
    return [];
  }
}

/** Everything that may go, in the order it goes, and the size of all recordings. Names of recordings begin with their time. */
async function survey(folder: string, runningId: string): Promise<{ removable: Removable[]; usedBytes: number }> {
  const removable: Removable[] = [];
  const ids = (await readdir(folder, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  for (const id of ids.filter((name) => name !== runningId).sort()) {
    const files = await sizes(join(folder, id));
    removable.push({ path: join(folder, id), bytes: sum(files) });
  }
  const running = await sizes(join(folder, runningId));
  const collator = new Intl.Collator('en', { numeric: true });
  const finished = running
    .filter(({ path }) => path.endsWith('.mcap'))
    .sort((a, b) => collator.compare(a.path, b.path));
  const usedBytes = sum(removable) + sum(running);
  return { removable: [...removable, ...finished], usedBytes };
}

async function sizes(folder: string): Promise<Removable[]> {
  const names = await readdir(folder).catch(() => []);
  const found: Removable[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const info = await stat(path).catch(() => null);
    if (info?.isFile()) found.push({ path, bytes: info.size });
  }
  return found;
}

function sum(all: readonly Removable[]): number {
  return all.reduce((total, { bytes }) => total + bytes, 0);
}

function retentionReport(removed: readonly Removable[], allowedBytes: number): Diagnostic {
  const bytes = sum(removed);
  return {
    source: 'retention',
    level: 'warn',
    code: 'recordings-removed',
    message: `expected at most ${Math.max(0, Math.round(allowedBytes))} bytes of recordings, removed the oldest: ${removed.map(({ path }) => path).join(', ')}`,
    cure: 'Fetch recordings sooner, free other room, use a larger disk or raise recorder.disk_share.',
    values: { removed: removed.length, bytes },
  };
}
