/** Owns `metadata.yaml`, which makes a folder of segments a bag for `ros2 bag` (format version 9). */

import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Channel, McapTypes, Schema } from '@mcap/core';
import { stringify } from 'yaml';
import { typeHashOrNone } from '../messages/type-hash.ts';
import { bagFiles, metadataName } from './bag-folder.ts';
import { openSummary } from './bag-summary.ts';
import { FileSource } from './byte-source.ts';
import { replaceDurably } from './durable-file.ts';
import { parseForeignYaml } from './foreign-yaml.ts';

/** What the bag's metadata says of one finished segment. Times are UTC nanoseconds. */
export interface SegmentFacts {
  readonly file: string;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly messages: bigint;
  readonly topics: readonly {
    readonly topic: string;
    readonly type: string;
    /** How the messages are laid out: `cdr`. */
    readonly encoding: string;
    readonly qos: readonly unknown[];
    /** `RIHS01_…`, empty where it is not known. */
    readonly typeHash: string;
    readonly messages: bigint;
  }[];
}

/** The facts of a segment from its summary. */
export function segmentFacts(
  file: string,
  channels: ReadonlyMap<number, Channel>,
  schemas: ReadonlyMap<number, Schema>,
  statistics: McapTypes.Statistics,
): SegmentFacts {
  const topics = [...channels.values()].map(({ id, topic, schemaId, messageEncoding, metadata }) => {
    const schema = schemas.get(schemaId);
    const type = schema?.name ?? '';
    return {
      topic,
      type,
      encoding: messageEncoding,
      qos: readQos(metadata.get('offered_qos_profiles')),
      typeHash: metadata.get('topic_type_hash') || hashOf(schema),
      messages: statistics.channelMessageCounts.get(id) ?? 0n,
    };
  });
  const { messageStartTime, messageEndTime, messageCount } = statistics;
  return { file, startNs: messageStartTime, endNs: messageEndTime, messages: messageCount, topics };
}

/** A channel's offered QoS; none, which rosbag2 takes for not known, where it says nothing or is no list: the bag may be anybody's. */
function readQos(text: string | undefined): readonly unknown[] {
  if (text === undefined || text === '') return [];
  try {
    const profiles: unknown = parseForeignYaml(text);
    return Array.isArray(profiles) ? profiles : [];
  } catch {
    return [];
  }
}

function hashOf(schema: Schema | undefined): string {
  return schema?.encoding === 'ros2msg' ? typeHashOrNone(schema.name, new TextDecoder().decode(schema.data)) : '';
}

/** The text of `metadata.yaml` for segments in their order; `custom` becomes its `custom_data`. */
function metadataYaml(segments: readonly SegmentFacts[], custom: Readonly<Record<string, string>>): string {
  const filled = segments.filter((segment) => segment.messages > 0n);
  let startNs = filled[0]?.startNs ?? 0n;
  let endNs = startNs;
  for (const segment of filled) {
    if (segment.startNs < startNs) startNs = segment.startNs;
    if (segment.endNs > endNs) endNs = segment.endNs;
  }
  type Topic = Omit<SegmentFacts['topics'][number], 'topic'>;
  const topics = new Map<string, Topic>();
  for (const { topic, messages, ...told } of segments.flatMap((segment) => segment.topics)) {
    const before = topics.get(topic);
    topics.set(topic, { ...told, messages: messages + (before?.messages ?? 0n) });
  }
  return stringify(
    {
      rosbag2_bagfile_information: {
        version: 9,
        storage_identifier: 'mcap',
        duration: { nanoseconds: endNs - startNs },
        starting_time: { nanoseconds_since_epoch: startNs },
        message_count: segments.reduce((sum, { messages }) => sum + messages, 0n),
        topics_with_message_count: [...topics].map(([name, { type, encoding, qos, typeHash, messages }]) => ({
          topic_metadata: {
            name,
            type,
            serialization_format: encoding,
            offered_qos_profiles: qos,
            type_description_hash: typeHash,
          },
          message_count: messages,
        })),
        compression_format: '',
        compression_mode: '',
        relative_file_paths: segments.map(({ file }) => file),
        files: segments.map(({ file, startNs: start, endNs: end, messages }) => ({
          path: file,
          starting_time: { nanoseconds_since_epoch: start },
          duration: { nanoseconds: end - start },
          message_count: messages,
        })),
        custom_data: custom,
        ros_distro: '',
      },
    },
    { aliasDuplicateObjects: false },
  );
}

/**
 * Writes a recording's `metadata.yaml`, durably: of those `segments` that were not removed meanwhile to make room.
 * @returns those.
 */
export async function writeMetadata(
  folder: string,
  segments: readonly SegmentFacts[],
  custom: Readonly<Record<string, string>>,
): Promise<SegmentFacts[]> {
  const there = new Set(await readdir(folder));
  const kept = segments.filter(({ file }) => there.has(file));
  await replaceDurably(join(folder, metadataName), new TextEncoder().encode(metadataYaml(kept, custom)));
  return kept;
}

/** Whether `metadata.yaml` is there, names every finished segment, and none that was removed. */
export async function metadataIsCurrent(folder: string): Promise<boolean> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.mcap'));
  const text = await readFile(join(folder, metadataName), 'utf8').catch(() => null);
  if (text === null) return names.length === 0;
  const listed = new Set(text.match(/[\w.-]+\.mcap\b/g));
  return listed.size === names.length && names.every((name) => listed.has(name));
}

/** Makes `metadata.yaml` anew from the summaries of a folder's finished segments. */
export async function renewMetadata(folder: string): Promise<void> {
  const { segments, unreadable } = await readSegmentFacts(folder);
  await writeMetadata(folder, segments, unreadable);
}

/** The facts of a folder's finished segments from their summaries, and of which there are none, and why. */
export async function readSegmentFacts(
  folder: string,
): Promise<{ segments: SegmentFacts[]; unreadable: Record<string, string> }> {
  const segments: SegmentFacts[] = [];
  const unreadable: Record<string, string> = {};
  for (const path of await bagFiles(folder)) {
    if (!path.endsWith('.mcap')) continue;
    const source = await FileSource.open(path);
    try {
      const opened = await openSummary(source);
      if ('problem' in opened || opened.reader.statistics === undefined) {
        unreadable[`unreadable ${basename(path)}`] = 'problem' in opened ? opened.problem : 'no statistics';
        continue;
      }
      const { channelsById, schemasById, statistics } = opened.reader;
      segments.push(segmentFacts(basename(path), channelsById, schemasById, statistics));
    } finally {
      await source.close();
    }
  }
  return { segments, unreadable };
}

/** Whether a folder holds a bag and nothing else, by the names in it: then a tool may replace it when it was told to. */
export function isBagFolder(names: readonly string[]): boolean {
  return names.every((name) => name === metadataName || /\.mcap(\.active)?$/.test(name));
}
