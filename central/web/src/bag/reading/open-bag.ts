/** Opens the files of a bag as one timeline: reads their indexes, joins their topics, and learns each from a first message. */
import type { McapTypes } from '@mcap/core';
import { Bag, type BagChunk } from './bag.ts';
import { BagError, type BagFault, faultOf } from './bag-error.ts';
import { type BagFile, openSource } from './byte-source.ts';
import { channelRecords, type FileIndex, readChunk, readNamed, readSummary } from './file-index.ts';
import { type OverviewPart, readOverview } from './overview.ts';
import { RecentReads } from './recent-reads.ts';
import { expectMcap } from './recognise.ts';
import { scanFile } from './scan-file.ts';
import { Track, trackKey } from './track.ts';

/** Told while a file without an index is read through. */
export type OpenProgress = (file: string, done: number, total: number) => void;

/** Chunks that are read to meet each topic once. */
const mostFirstChunks = 200;

/** @throws BagError when not one of the files can be read. */
export async function openBag(name: string, files: readonly BagFile[], onProgress: OpenProgress): Promise<Bag> {
  const faults: BagFault[] = [];
  const failed = (file: string) => (error: unknown) => {
    faults.push(faultOf(error, file));
    return null;
  };
  const recent = new RecentReads();
  const opened = await Promise.all(files.map((file) => openFile(file, recent, onProgress).catch(failed(file.name))));
  const indexes = opened.filter((index) => index !== null);
  const [first] = faults;
  if (indexes.length === 0 && first) throw new BagError(first.file, first.offset, first.message, first.cure);
  const chunks = indexes.flatMap(({ chunks: places }, file): BagChunk[] => places.map((place) => ({ file, place })));
  if (chunks.length === 0) throw new BagError(name, null, 'expected recorded messages, found none: the bag is empty');
  for (const index of indexes) faults.push(...index.faults);
  const starts = chunks.map(({ place }) => place.startNs);
  // biome-ignore lint/complexity/useMathMinMax: these are bigints
  const originNs = starts.reduce((least, startNs) => (startNs < least ? startNs : least));
  const { tracks, trackOf } = joinTopics(indexes, chunks, originNs);
  const [device, overviews] = await Promise.all([
    deviceName(indexes),
    Promise.all(indexes.map((index) => readOverview(index, originNs).catch(failed(index.source.name)))),
    meetTopics(indexes, tracks, trackOf, chunks, faults),
  ]);
  const lastS = tracks.reduce((latest, { ends, blockS }) => Math.max(latest, (ends.at(-1) ?? 0) + blockS), 0);
  // A single message lasts no time, but something has to be drawn.
  const durationS = Math.max(lastS, 1e-3);
  const bag = new Bag({ name, originNs, durationS, device, tracks, faults, files: indexes, chunks, trackOf });
  bag.takeOverview(overviews.flatMap((parts): OverviewPart[] => parts ?? []));
  return bag;
}

async function openFile(file: BagFile, recent: RecentReads, onProgress: OpenProgress): Promise<FileIndex> {
  const source = recent.of(await openSource(file));
  const [summary] = await Promise.all([readSummary(source), expectMcap(source)]);
  if ('index' in summary) return summary.index;
  return scanFile(source, summary.problem, (done, total) => onProgress(file.name, done, total));
}

interface Joined {
  readonly tracks: readonly Track[];
  /** By file and channel. */
  readonly trackOf: readonly ReadonlyMap<number, Track>[];
}

/** One track a topic and type, over all files; with its chunks in order of time. */
function joinTopics(indexes: readonly FileIndex[], chunks: readonly BagChunk[], originNs: bigint): Joined {
  const byName = new Map<string, Track>();
  const trackOf = indexes.map(({ channels, schemas, counts }) => {
    const own = new Map<number, Track>();
    for (const channel of channels.values()) {
      const schema = schemas.get(channel.schemaId);
      const key = trackKey(channel, schema);
      const track = byName.get(key) ?? new Track(byName.size, channel, schema);
      if (track.kind === 'sound') track.alsoOf(schema?.name ?? '');
      byName.set(key, track);
      own.set(channel.id, track);
      const count = counts.get(channel.id);
      track.messages = track.messages === null ? null : track.messages + (count ?? 0);
      if (count === undefined && counts.size === 0) track.messages = null;
    }
    return own;
  });
  const starts = Float64Array.from(chunks, ({ place }) => Number(place.startNs - originNs) / 1e9);
  const ends = Float64Array.from(chunks, ({ place }) => Number(place.endNs - originNs) / 1e9);
  const order = Uint32Array.from(chunks, (_, chunk) => chunk).sort((one, other) => {
    return (starts[one] as number) - (starts[other] as number) || one - other;
  });
  for (const chunk of order) {
    const { file, place } = chunks[chunk] as BagChunk;
    const own = trackOf[file];
    for (const channel of place.channels ?? own?.keys() ?? []) {
      const track = own?.get(channel);
      // Two channels of one topic share a chunk once.
      if (track !== undefined && track.chunks.at(-1) !== chunk) track.chunks.push(chunk);
    }
  }
  for (const track of byName.values()) {
    track.starts = Float64Array.from(track.chunks, (chunk) => starts[chunk] as number);
    track.ends = Float64Array.from(track.chunks, (chunk) => ends[chunk] as number);
    track.longestS = track.ends.reduce((longest, end, at) => Math.max(longest, end - (track.starts[at] ?? 0)), 0);
  }
  return { tracks: [...byName.values()], trackOf };
}

/** Reads the first message of each topic; topics that share a chunk share the reading. */
async function meetTopics(
  indexes: readonly FileIndex[],
  tracks: readonly Track[],
  trackOf: Joined['trackOf'],
  chunks: readonly BagChunk[],
  faults: BagFault[],
): Promise<void> {
  const waiting = new Set(tracks.filter(({ kind }) => kind !== 'none'));
  let read = 0;
  for (const attempt of [0, 1, 2]) {
    const firsts = new Set([...waiting].map((track) => track.chunks[attempt]));
    for (const chunk of firsts) {
      const known = chunk === undefined ? undefined : chunks[chunk];
      const index = known && indexes[known.file];
      if (known === undefined || index === undefined || read >= mostFirstChunks) continue;
      read += 1;
      try {
        for (const record of await readChunk(index.source, known.place, channelRecords(index.channels))) {
          if (record.type !== 'Message') continue;
          const type = index.schemas.get(index.channels.get(record.channelId)?.schemaId ?? 0)?.name ?? '';
          await meet(trackOf[known.file]?.get(record.channelId), record, type, waiting);
        }
      } catch (error) {
        faults.push(faultOf(error, index.source.name, known.place.offset));
      }
    }
  }
  for (const track of waiting)
    track.cannot(new Error(track.messages === 0 ? 'it has no messages' : 'no message of it could be read'));
}

async function meet(
  track: Track | undefined,
  message: McapTypes.TypedMcapRecords['Message'],
  type: string,
  waiting: Set<Track>,
): Promise<void> {
  if (track === undefined || !waiting.delete(track)) return;
  await track.discover(message, type);
}

/** The name that Foxglove's metadata record gives the vehicle; empty without one. */
async function deviceName(indexes: readonly FileIndex[]): Promise<string> {
  for (const { source, metadata } of indexes) {
    const place = metadata.find(({ name, length }) => name === 'foxglove' && length < 65_536);
    if (place === undefined) continue;
    const record = await readNamed(source, place).catch(() => undefined);
    if (record?.type === 'Metadata') return record.metadata.get('deviceName') ?? '';
  }
  return '';
}
