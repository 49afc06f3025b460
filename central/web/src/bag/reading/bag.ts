/** Owns an open bag: its files as one timeline, its topics, and the messages that were read of it, within bounds of memory. */
import type { McapTypes } from '@mcap/core';
import { BagError, type BagFault, faultOf } from './bag-error.ts';
import type { BagInfo } from './bag-model.ts';
import { type Decoded, decodedBytes, peaksBytes, type SoundPeaks, soundPeaks } from './decoded.ts';
import { type ChunkPlace, channelRecords, type FileIndex, readChunk } from './file-index.ts';
import { inOurWords } from './library-errors.ts';
import { Lru } from './lru.ts';
import type { OverviewPart } from './overview.ts';
import type { Track } from './track.ts';

export interface BagChunk {
  readonly file: number;
  readonly place: ChunkPlace;
}

/** A topic's part of a chunk. */
export interface Want {
  readonly track: Track;
  /** Number of the chunk in the bag. */
  readonly chunk: number;
}

const numbersBound = 64 * 1024 * 1024;
const soundBound = 48 * 1024 * 1024;
const peaksBound = 48 * 1024 * 1024;
/** Neighbouring chunks are read together when no more than this lies between them. */
const widestGap = 64 * 1024;
const longestRun = 4 * 1024 * 1024;
const readsAtOnce = 3;
const mostFaults = 50;
const chunksPerTrack = 2 ** 24;

interface Run {
  readonly file: number;
  readonly offset: number;
  end: number;
  readonly chunks: number[];
}

export class Bag {
  readonly name: string;
  readonly originNs: bigint;
  readonly durationS: number;
  readonly tracks: readonly Track[];
  readonly faults: BagFault[];
  readonly device: string;
  hasOverview = false;
  readonly #files: readonly FileIndex[];
  readonly #known: readonly Uint8Array[];
  readonly #chunks: readonly BagChunk[];
  readonly #trackOf: readonly ReadonlyMap<number, Track>[];
  readonly #numbers = new Lru<Decoded>(numbersBound);
  readonly #sound = new Lru<Decoded>(soundBound);
  readonly #peaks = new Lru<SoundPeaks>(peaksBound);
  /** Chunks that could not be read, not tried again. */
  readonly #damaged = new Set<number>();

  constructor(parts: {
    readonly name: string;
    readonly originNs: bigint;
    readonly durationS: number;
    readonly device: string;
    readonly tracks: readonly Track[];
    readonly faults: BagFault[];
    readonly files: readonly FileIndex[];
    readonly chunks: readonly BagChunk[];
    readonly trackOf: readonly ReadonlyMap<number, Track>[];
  }) {
    this.name = parts.name;
    this.originNs = parts.originNs;
    this.durationS = parts.durationS;
    this.device = parts.device;
    this.tracks = parts.tracks;
    this.faults = parts.faults;
    this.#files = parts.files;
    this.#known = parts.files.map(({ channels }) => channelRecords(channels));
    this.#chunks = parts.chunks;
    this.#trackOf = parts.trackOf;
  }

  info(): BagInfo {
    const counts = this.tracks.map(({ messages }) => messages);
    return {
      name: this.name,
      files: this.#files.map(({ source }) => ({ name: source.name, bytes: source.size })),
      startNs: String(this.originNs),
      durationS: this.durationS,
      messages: counts.includes(null) ? null : counts.reduce<number>((sum, count) => sum + (count ?? 0), 0),
      chunks: this.#chunks.length,
      topics: this.tracks.map(({ info }) => info),
      overview: this.hasOverview,
      device: this.device,
      faults: this.faults.slice(0, mostFaults),
    };
  }

  /** Gives each topic its recorded overview. */
  takeOverview(parts: readonly OverviewPart[]): void {
    const topics = Map.groupBy(parts, ({ topic }) => topic);
    for (const track of this.tracks) {
      const own = topics.get(track.name);
      if (own === undefined) continue;
      const sorted = own.toSorted((one, other) => one.startS - other.startS);
      track.overview = Map.groupBy(sorted, ({ field }) => field);
      this.hasOverview = true;
    }
  }

  /** The name that all segments of a chunk's recording have, up to their number. */
  recordingOf(chunk: number): string {
    const name = this.#files[this.#chunks[chunk]?.file ?? -1]?.source.name ?? '';
    return name.replace(/_\d+\.mcap(\.active)?$/i, '');
  }

  bytesOf(chunk: number): number {
    return this.#chunks[chunk]?.place.length ?? 0;
  }

  /** What is in memory of a topic's part of a chunk. */
  decoded(track: Track, chunk: number): Decoded | undefined {
    return this.#storeOf(track).get(track.id * chunksPerTrack + chunk);
  }

  #storeOf(track: Track): Lru<Decoded> {
    return track.kind === 'sound' ? this.#sound : this.#numbers;
  }

  /** Its least and greatest samples: kept longer than the sound itself. */
  peaks(track: Track, chunk: number): SoundPeaks | undefined {
    return this.#peaks.get(track.id * chunksPerTrack + chunk);
  }

  /** Whether there is something to read; not for what is damaged. */
  isMissing({ track, chunk }: Want, peaksDo = false): boolean {
    if (this.#damaged.has(chunk)) return false;
    const key = track.id * chunksPerTrack + chunk;
    return !(this.#storeOf(track).has(key) || (peaksDo && this.#peaks.has(key)));
  }

  /** Reads and decodes; what is damaged becomes a fault of the bag, and the rest goes on. */
  async load(wants: readonly Want[]): Promise<void> {
    const byChunk = Map.groupBy(wants, ({ chunk }) => chunk);
    const runs = this.#runs([...byChunk.keys()]);
    const next = runs[Symbol.iterator]();
    const work = async () => {
      for (let run = next.next(); !run.done; run = next.next()) await this.#loadRun(run.value, byChunk);
    };
    await Promise.all(Array.from({ length: Math.min(readsAtOnce, runs.length) }, work));
  }

  #runs(chunks: readonly number[]): Run[] {
    const places = chunks
      .flatMap((chunk) => {
        const known = this.#chunks[chunk];
        return known ? [{ chunk, file: known.file, place: known.place }] : [];
      })
      .sort((one, other) => one.file - other.file || one.place.offset - other.place.offset);
    const runs: Run[] = [];
    for (const { chunk, file, place } of places) {
      const last = runs.at(-1);
      const end = place.offset + place.length;
      if (last?.file === file && place.offset - last.end <= widestGap && end - last.offset <= longestRun) {
        last.end = end;
        last.chunks.push(chunk);
      } else {
        runs.push({ file, offset: place.offset, end, chunks: [chunk] });
      }
    }
    return runs;
  }

  async #loadRun(run: Run, wants: ReadonlyMap<number, readonly Want[]>): Promise<void> {
    const file = this.#files[run.file];
    if (file === undefined) return;
    let bytes: Uint8Array;
    try {
      bytes = await file.source.read(run.offset, run.end - run.offset);
    } catch (error) {
      for (const chunk of run.chunks) this.#damaged.add(chunk);
      this.#fault(faultOf(error, file.source.name, run.offset));
      return;
    }
    for (const chunk of run.chunks) {
      const place = this.#chunks[chunk]?.place;
      if (place === undefined) continue;
      const start = place.offset - run.offset;
      try {
        const given = bytes.subarray(start, start + place.length);
        const records = await readChunk(file.source, place, this.#known[run.file] ?? new Uint8Array(), given);
        for (const { track } of wants.get(chunk) ?? []) this.#take(track, chunk, run.file, records);
      } catch (error) {
        this.#damaged.add(chunk);
        this.#fault(faultOf(error, file.source.name, place.offset));
      }
    }
  }

  #take(track: Track, chunk: number, file: number, records: readonly McapTypes.TypedMcapRecord[]): void {
    const trackOf = this.#trackOf[file];
    const messages = records.filter((record) => record.type === 'Message' && trackOf?.get(record.channelId) === track);
    let decoded: Decoded | null;
    try {
      const typeOf = (channelId: number) => {
        const known = this.#files[file];
        return known?.schemas.get(known.channels.get(channelId)?.schemaId ?? 0)?.name ?? '';
      };
      decoded = track.decode(messages as McapTypes.TypedMcapRecords['Message'][], this.originNs, typeOf);
    } catch (error) {
      const { message } = inOurWords(error instanceof Error ? error.message : String(error));
      throw new BagError(
        this.#files[file]?.source.name ?? '',
        this.#chunks[chunk]?.place.offset ?? null,
        `a message of ${track.name} does not fit its type ${track.type}: ${message}`,
      );
    }
    if (decoded === null) return;
    const key = track.id * chunksPerTrack + chunk;
    this.#storeOf(track).set(key, decoded, decodedBytes(decoded));
    if (decoded.kind !== 'sound' || this.#peaks.has(key)) return;
    const peaks = soundPeaks(decoded);
    this.#peaks.set(key, peaks, peaksBytes(peaks));
  }

  #fault(fault: BagFault): void {
    // The same chunk may be wanted by several at once.
    const isKnown = this.faults.some(({ file, offset, message }) => {
      return file === fault.file && offset === fault.offset && message === fault.message;
    });
    if (!isKnown && this.faults.length < mostFaults) this.faults.push(fault);
  }
}
