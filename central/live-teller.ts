/** Turns what was committed into live messages, in the order of the commits. */
import type { Kysely } from 'kysely';
import { messageOf } from './error.ts';
import type { BlobReport } from './ingest/blob-receiver.ts';
import type { LiveHub } from './live.ts';
import type { Log } from './log.ts';
import { readCommand } from './storage/command-store.ts';
import { eventsOfBlob, readEvent } from './storage/event-queries.ts';
import type { Notice } from './storage/ingest-store.ts';
import type { CentralTables } from './storage/schema.ts';
import { atOfNs, clockOf } from './storage/times.ts';

/** Commits that may wait to be told; beyond, they are not told: the live view is a convenience, the API has it all. */
const maxWaiting = 1000;

export class LiveTeller {
  readonly #live: LiveHub;
  readonly #reader: Kysely<CentralTables>;
  readonly #log: Log;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(live: LiveHub, reader: Kysely<CentralTables>, log: Log) {
    this.#live = live;
    this.#reader = reader;
    this.#log = log;
  }

  /** Tells what one transaction committed. */
  committed(notices: readonly Notice[]): void {
    this.#then(async () => {
      for (const notice of notices) await this.#tell(notice);
    });
  }

  /** Tells of a file that is complete now. */
  received({ vehicle, sha256, complete }: BlobReport): void {
    if (!complete) return;
    this.#then(async () => {
      for (const event_id of await eventsOfBlob(this.#reader, vehicle, sha256)) {
        this.#live.publish({ event: 'clip', vehicle, data: { event_id } });
      }
    });
  }

  /** Resolves when everything was told. */
  async close(): Promise<void> {
    await this.#last;
  }

  #then(work: () => Promise<void>): void {
    if (this.#live.listeners === 0 || this.#waiting >= maxWaiting) return;
    this.#waiting++;
    this.#last = this.#last
      .then(work)
      .catch((error: unknown) => this.#log.error('live view failed', { found: messageOf(error) }))
      .finally(() => {
        this.#waiting--;
      });
  }

  async #tell(notice: Notice): Promise<void> {
    const { vehicle } = notice;
    if (notice.kind === 'sample') {
      const { stream, row, time } = notice;
      const measured = Object.entries(row.values).map(([name, value]) => [name, Number.isFinite(value) ? value : null]);
      const captured_at = atOfNs(time.capturedAtNs);
      const clock = clockOf({ synchronised: row.stamp.synchronised, ...time });
      const data = { vehicle, stream, captured_at, clock, values: Object.fromEntries(measured) };
      this.#live.publish({ event: 'sample', vehicle, data });
    } else if (notice.kind === 'impact') {
      const data = await readEvent(this.#reader, notice.eventId);
      if (data !== null) this.#live.publish({ event: 'impact', vehicle, data });
    } else if (notice.kind === 'update') {
      this.#live.publish({ event: 'update', vehicle, data: { event_id: notice.eventId } });
    } else if (notice.kind === 'clip') {
      this.#live.publish({ event: 'clip', vehicle, data: { event_id: notice.eventId } });
    } else if (notice.kind === 'clock') {
      this.#live.publish({ event: 'clock', vehicle, data: { vehicle } });
    } else if (notice.kind === 'command') {
      const data = await readCommand(this.#reader, vehicle, notice.commandId);
      if (data !== null) this.#live.publish({ event: 'command', vehicle, data });
    } else this.#live.publish({ event: 'vehicle', vehicle, data: { id: vehicle, online: notice.online } });
  }
}
