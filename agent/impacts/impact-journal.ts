/**
 * Remembers on disk which impacts still owe their clip, one small file an impact, so that a clip is cut even when the agent or
 * the power ends between the impact and its post-roll.
 */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const nanoseconds = z
  .string()
  .regex(/^-?\d{1,19}$/)
  .transform(BigInt);

const owedClipSchema = z.object({
  event_id: z.uuid(),
  /** Whether the event itself is in the outbox. */
  committed: z.boolean(),
  captured_at_ns: nanoseconds,
  monotonic_ns: nanoseconds,
  boot_id: z.string(),
  synchronised: z.boolean(),
  estimated_error_ns: nanoseconds.nullable(),
  end_ns: nanoseconds,
  label: z.string(),
  score: z.number(),
  scores: z.record(z.string(), z.number()),
  model: z.object({ name: z.string(), version: z.string() }),
});

/** An impact whose clip is not made yet; times in nanoseconds, keys as in the file. */
export type OwedClip = z.infer<typeof owedClipSchema>;

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
    await rename(`${path}.new`, path);
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
      const read = owedClipSchema.safeParse(parseJson(await readFile(path, 'utf8').catch(() => '')));
      if (read.success) owed.push(read.data);
      else await rm(path, { force: true });
    }
    return owed.sort((a, b) => (a.captured_at_ns < b.captured_at_ns ? -1 : 1));
  }

  #path(eventId: string): string {
    return join(this.#folder, `${eventId}${SUFFIX}`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
