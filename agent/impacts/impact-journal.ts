/**
 * Remembers on disk which impacts and snapshots still owe their clip, one small file an impact, so that a clip is cut even when the agent or
 * the power ends between the impact and its post-roll.
 */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { renameDurably } from '../bag/durable-file.ts';
import type { Direction } from '../direction/direction.ts';
import type { AirLevel, EventKind, EventReading } from '../messages/messages.ts';

/** An impact whose clip is not made yet; times in nanoseconds (decimal text in the file). */
export interface OwedClip {
  /** UUID. */
  readonly event_id: string;
  /** Whether the event itself is in the outbox. */
  readonly committed: boolean;
  readonly captured_at_ns: bigint;
  readonly monotonic_ns: bigint;
  readonly boot_id: string;
  readonly synchronised: boolean;
  readonly estimated_error_ns: bigint | null;
  readonly end_ns: bigint;
  readonly label: string;
  readonly score: number;
  readonly scores: Readonly<Record<string, number>>;
  readonly model: { readonly name: string; readonly version: string };
  /** What a clip holds around it, where that is not as configured: a snapshot's. */
  readonly pre_roll_ns?: bigint;
  readonly post_roll_ns?: bigint;
  /** Why somebody asked for a snapshot. */
  readonly reason?: string;
  /** Absent in what versions without kinds wrote: a snapshot by its label, else an impact. */
  readonly kind?: EventKind;
  readonly direction?: Direction;
  readonly pressure_change_pa?: number;
  readonly level?: AirLevel;
  readonly detail?: string;
  readonly readings?: readonly EventReading[];
  readonly ongoing?: boolean;
}

const SUFFIX = '.owed.json';

/** The journal in one folder. */
export class ImpactJournal {
  readonly #folder: string;

  /** `folder` is made when needed. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Writes the impact down, durably; replaces what was written of it before. Rejects when the disk refuses. */
  async put(owed: OwedClip): Promise<void> {
    const path = this.#path(owed.event_id);
    const text = JSON.stringify(owed, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
    await mkdir(this.#folder, { recursive: true });
    const file = await open(`${path}.new`, 'w');
    try {
      await file.writeFile(text);
      await file.datasync();
    } finally {
      await file.close();
    }
    // An impact that is in the outbox and not here would never get its clip; that it is in the outbox can be noted once more.
    if (owed.committed) await rename(`${path}.new`, path);
    else await renameDurably(`${path}.new`, path);
  }

  /** Strikes the impact out: its clip is in the outbox. */
  async remove(eventId: string): Promise<void> {
    await rm(this.#path(eventId), { force: true });
  }

  /** All impacts that owe a clip, oldest first; unreadable files are removed. */
  async all(): Promise<OwedClip[]> {
    const names = await readdir(this.#folder).catch(() => []);
    const owed: OwedClip[] = [];
    for (const name of names.filter((each) => each.endsWith(SUFFIX))) {
      const path = join(this.#folder, name);
      const read = parseOwed(await readFile(path, 'utf8').catch(() => ''));
      if (read !== null) owed.push(read);
      else await rm(path, { force: true });
    }
    return owed.sort((a, b) => (a.captured_at_ns < b.captured_at_ns ? -1 : 1));
  }

  #path(eventId: string): string {
    return join(this.#folder, `${eventId}${SUFFIX}`);
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const NANOSECONDS = /^-?\d{1,19}$/;

/** The entry of a file; null for anything that `put` did not write whole. Checked by hand: a schema library costs the vehicle memory. */
function parseOwed(text: string): OwedClip | null {
  let read: Record<string, unknown>;
  try {
    read = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof read !== 'object' || read === null) return null;
  const { captured_at_ns: capturedAt, monotonic_ns: monotonic, end_ns: end, estimated_error_ns: error } = read;
  const { pre_roll_ns: preRoll, post_roll_ns: postRoll, reason } = read;
  const times = [capturedAt, monotonic, end, error ?? '0', preRoll ?? '0', postRoll ?? '0'];
  if (!times.every((time) => typeof time === 'string' && NANOSECONDS.test(time))) return null;
  const { event_id: id, label, score, scores, model, boot_id: bootId } = read;
  if (typeof id !== 'string' || !UUID.test(id) || typeof label !== 'string' || typeof bootId !== 'string') return null;
  if (reason !== undefined && typeof reason !== 'string') return null;
  if (typeof score !== 'number' || typeof scores !== 'object' || typeof model !== 'object') return null;
  return {
    ...(read as unknown as OwedClip),
    captured_at_ns: BigInt(capturedAt as string),
    monotonic_ns: BigInt(monotonic as string),
    end_ns: BigInt(end as string),
    estimated_error_ns: typeof error === 'string' ? BigInt(error) : null,
    ...(typeof preRoll === 'string' && { pre_roll_ns: BigInt(preRoll) }),
    ...(typeof postRoll === 'string' && { post_roll_ns: BigInt(postRoll) }),
  };
}
