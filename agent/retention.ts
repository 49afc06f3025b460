/**
 * Keeps recordings within their share of the disk, and the disk from filling up by whatever else is on it: the oldest segment of the
 * oldest recording goes first, one that is being written last, and a recording's folder with its last segment. So no more goes than
 * must, also of a recording of days. Each removal is reported, and declared for central.
 */
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Diagnostic } from '../drivers/sample.ts';
import { readSegmentFacts, writeMetadata } from './bag/rosbag2-metadata.ts';
import { type DiskSpace, readDisk } from './health/machine.ts';
import { byAge } from './recording/recording-names.ts';

/** Says for ever that segments `first` to `last` of a recording are given up; resolves when that is on the disk. */
export type DeclareRemoval = (recordingId: string, first: number, last: number) => Promise<void>;

/** What retention works on. */
export interface RetentionParts {
  readonly recordingsFolder: string;
  /** Whether a recording is being written: its open segment stays. */
  readonly isOpen: (recordingId: string) => boolean;
  /** Share of the disk that recordings may take, 0 to 1. */
  readonly diskShare: number;
  readonly report: (diagnostic: Diagnostic) => void;
  readonly declare: DeclareRemoval;
  /** Told when segments of recordings that are being written are gone. */
  readonly segmentsRemoved: () => Promise<void>;
  /** Size and free room of the disk; null when they cannot be told. */
  readonly readDisk?: () => Promise<DiskSpace | null>;
}

/** Free room kept by giving up recordings: twice what the recorder needs to go on (64 MiB), which one minute of sound does not fill. */
const KEPT_FREE_BYTES = 128 * 1024 * 1024;
/** A disk too full for the declaration does not keep the room from being made; so many declarations wait for it. */
const MAX_UNDECLARED = 1_000;

interface Removable {
  readonly path: string;
  readonly bytes: number;
  readonly recordingId: string;
  /** Numbers of its segments; null when it has none. */
  readonly segments: { readonly first: number; readonly last: number } | null;
  /** The recording's folder where some of it stays, with a `metadata.yaml` that shall not name this any more. */
  readonly rest: string | null;
  readonly isRunning: boolean;
}

interface Removal {
  readonly recordingId: string;
  readonly first: number;
  readonly last: number;
}

/** The retention of one folder; its calls must not overlap. */
export class Retention {
  readonly #parts: RetentionParts;
  /** Removals that no declaration is on the disk of. */
  #undeclared: Removal[] = [];
  /** What is known of the recording that loses segment after segment. */
  #reduced: ({ readonly folder: string } & Awaited<ReturnType<typeof readSegmentFacts>>) | null = null;

  constructor(parts: RetentionParts) {
    this.#parts = parts;
  }

  /** Removes what is too much, once. Returns the paths of what was removed; never rejects. */
  async retain(): Promise<readonly string[]> {
    const { recordingsFolder, report } = this.#parts;
    try {
      const disk = await (this.#parts.readDisk ?? (() => readDisk(recordingsFolder)))();
      if (disk === null) return [];
      const { removable, usedBytes } = await this.#survey();
      const allowed = Math.min(disk.totalBytes * this.#parts.diskShare, usedBytes + disk.freeBytes - KEPT_FREE_BYTES);
      const removed: Removable[] = [];
      let used = usedBytes;
      for (const each of removable) {
        if (used <= allowed) break;
        await this.#remove(each);
        used -= each.bytes;
        removed.push(each);
      }
      if (removed.some(({ isRunning }) => isRunning)) await this.#parts.segmentsRemoved();
      await this.#renewMetadata(removed);
      await this.#declareRest();
      if (removed.length > 0) report(retentionReport(removed, allowed));
      return removed.map(({ path }) => path);
    } catch (error) {
      const message = `retention failed: ${error instanceof Error ? error.message : String(error)}`;
      const cure = 'Check the rights of data_dir.';
      report({ source: 'retention', level: 'error', code: 'failed', message, cure, values: {} });
      return [];
    }
  }

  /** The declaration comes first: whoever dies in between removes, and declares, the same again. */
  async #remove({ path, recordingId, segments }: Removable): Promise<void> {
    if (segments !== null) {
      const removal = { recordingId, ...segments };
      const isDeclared = await this.#declare(removal);
      if (!isDeclared) this.#undeclared = [...this.#undeclared, removal].slice(-MAX_UNDECLARED);
    }
    await rm(path, { recursive: true, force: true });
  }

  /** `metadata.yaml` of the recording that lost its first segments, unless all of it is gone. */
  async #renewMetadata(removed: readonly Removable[]): Promise<void> {
    const folder = removed.findLast(({ isRunning }) => !isRunning)?.rest ?? null;
    if (folder === null) return;
    try {
      // Reading the summaries of days costs seconds: it is done once, not each time that a segment goes.
      if (this.#reduced?.folder !== folder) this.#reduced = { folder, ...(await readSegmentFacts(folder)) };
      const { segments, unreadable } = this.#reduced;
      await writeMetadata(folder, segments, unreadable);
    } catch {
      // A start of the agent renews what is not current.
      this.#reduced = null;
    }
  }

  #declare({ recordingId, first, last }: Removal): Promise<boolean> {
    return this.#parts.declare(recordingId, first, last).then(
      () => true,
      () => false,
    );
  }

  /** What no room was for before: now there may be. */
  async #declareRest(): Promise<void> {
    for (const removal of this.#undeclared) {
      if (!(await this.#declare(removal))) return;
      this.#undeclared = this.#undeclared.filter((each) => each !== removal);
    }
  }

  /** Everything that may go, in the order it goes, and the size of all recordings. */
  async #survey(): Promise<{ removable: Removable[]; usedBytes: number }> {
    const { recordingsFolder, isOpen } = this.#parts;
    const entries = await readdir(recordingsFolder, { withFileTypes: true });
    const ids = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    const whole: Removable[] = [];
    const running: Removable[] = [];
    let openBytes = 0;
    for (const id of ids.sort(byAge)) {
      const files = await filesOf(join(recordingsFolder, id), id);
      if (isOpen(id)) {
        running.push(...files.filter(({ path }) => path.endsWith('.mcap')));
        openBytes += sum(files);
        continue;
      }
      whole.push(...segmentsOf(join(recordingsFolder, id), files));
    }
    return { removable: [...whole, ...running], usedBytes: sum(whole) + openBytes };
  }
}

/** The files of a recording that is being written, segments in their order. */
async function filesOf(folder: string, recordingId: string): Promise<Removable[]> {
  const names = await readdir(folder).catch(() => []);
  const collator = new Intl.Collator('en', { numeric: true });
  const found: Removable[] = [];
  for (const name of names.sort(collator.compare)) {
    const path = join(folder, name);
    const info = await stat(path).catch(() => null);
    if (!info?.isFile()) continue;
    const number = /_(\d+)\.mcap(\.active)?$/.exec(basename(path))?.[1];
    const segments = number === undefined ? null : { first: Number(number), last: Number(number) };
    found.push({ path, bytes: info.size, recordingId, segments, rest: folder, isRunning: true });
  }
  return found;
}

/** The segments of a recording that has ended, one by one; with the last of them goes the folder, and all that is in it. */
function segmentsOf(folder: string, files: readonly Removable[]): Removable[] {
  const segments = files.filter(({ path }) => /\.mcap(\.active)?$/.test(path));
  const last = segments.at(-1);
  const others = sum(files) - sum(segments);
  const whole = { path: folder, bytes: others + (last?.bytes ?? 0), rest: null, isRunning: false };
  const recordingId = basename(folder);
  return [
    ...segments.slice(0, -1).map((segment) => ({ ...segment, isRunning: false })),
    { ...whole, recordingId, segments: last?.segments ?? null },
  ];
}

function sum(all: readonly { readonly bytes: number }[]): number {
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
