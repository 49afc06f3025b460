/**
 * Owns the finished segments of one recording: what is known of them, the `metadata.yaml` that names them, and the repair of those that a
 * failing disk left unfinished.
 */

import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { openSummary } from '../bag/bag-summary.ts';
import { FileSource } from '../bag/byte-source.ts';
import { renameDurably } from '../bag/durable-file.ts';
import type { McapBuilder } from '../bag/mcap-builder.ts';
import { activeSuffix, writeRebuilt } from '../bag/repair.ts';
import { type SegmentFacts, segmentFacts, writeMetadata } from '../bag/rosbag2-metadata.ts';

const collator = new Intl.Collator('en', { numeric: true });

/** The segments of one recording's folder that are written no more. */
export class FinishedSegments {
  /** Of all segments that were written here, removed ones too. */
  bytes = 0;
  readonly #folder: string;
  readonly #vehicle: string;
  /** Of the segments that are still there, once `metadata.yaml` is written. */
  #facts: SegmentFacts[] = [];
  /** Unfinished files, without their suffix, that wait for a disk that works. */
  #abandoned: string[] = [];
  #writing: Promise<void> = Promise.resolve();
  #repairing: Promise<void> | null = null;

  constructor(folder: string, vehicle: string) {
    this.#folder = folder;
    this.#vehicle = vehicle;
  }

  /** How many segments are still under their unfinished names. */
  get abandoned(): number {
    return this.#abandoned.length;
  }

  /** A segment is whole and has its final name. */
  async add(path: string, { channels, schemas, statistics, position }: McapBuilder): Promise<void> {
    this.bytes += position;
    this.#facts.push(segmentFacts(basename(path), channels, schemas, statistics));
    await this.writeMetadata();
  }

  /** Resolves when no repair is under way. */
  async settled(): Promise<void> {
    await this.#repairing;
  }

  /** A segment could not be finished; its handle is closed. */
  abandon(path: string, bytes: number): void {
    this.bytes += bytes;
    this.#abandoned.push(path);
  }

  /** Writes `metadata.yaml` anew, of the segments that are still there. Never rejects: the segments are whole without it. */
  writeMetadata(): Promise<void> {
    this.#writing = this.#writing
      .then(async () => {
        const known = [...this.#facts];
        if (known.length === 0) return;
        const kept = new Set(await writeMetadata(this.#folder, known, { vehicle: this.#vehicle }));
        this.#facts = this.#facts.filter((each) => kept.has(each) || !known.includes(each));
      })
      .catch(() => {});
    return this.#writing;
  }

  /**
   * Makes whole what was abandoned, as far as the disk lets it; the rest waits for the next call, or for the next start. Never rejects.
   * @param keepOn asked now and then; false ends the work.
   */
  repairAbandoned(keepOn: () => boolean): Promise<void> {
    this.#repairing ??= this.#repairAll(keepOn)
      .catch(() => {})
      .finally(() => {
        this.#repairing = null;
      });
    return this.#repairing;
  }

  async #repairAll(keepOn: () => boolean): Promise<void> {
    for (const path of this.#abandoned) {
      if (!keepOn()) return;
      await this.#repair(path, keepOn);
      this.#abandoned = this.#abandoned.filter((each) => each !== path);
      await this.writeMetadata();
    }
  }

  /**
   * Writes the segment's whole chunks into a new file. Never in place: after a failed sync the kernel takes for written what the disk
   * does not have.
   */
  async #repair(path: string, keepOn: () => boolean): Promise<void> {
    const rebuilt = `${path}.repairing`;
    const source = await FileSource.open(`${path}${activeSuffix}`);
    try {
      await rm(rebuilt, { force: true });
      await writeRebuilt(source, rebuilt, undefined, () => {
        if (!keepOn()) throw new Error('the repair was stopped');
      });
      await renameDurably(rebuilt, path);
      await rm(`${path}${activeSuffix}`, { force: true });
    } catch (error) {
      await rm(rebuilt, { force: true }).catch(() => {});
      throw error;
    } finally {
      await source.close();
    }
    await this.#learn(path);
  }

  async #learn(path: string): Promise<void> {
    const source = await FileSource.open(path);
    try {
      const opened = await openSummary(source);
      if ('problem' in opened || opened.reader.statistics === undefined) return;
      const { channelsById, schemasById, statistics } = opened.reader;
      this.#facts.push(segmentFacts(basename(path), channelsById, schemasById, statistics));
      this.#facts.sort((a, b) => collator.compare(a.file, b.file));
    } finally {
      await source.close();
    }
  }
}
