/** Owns `fender bag cut` and `fender bag merge`: a new whole bag from chosen messages of one or more others. */

import type { McapTypes } from '@mcap/core';
import { type Levels, levelsOf } from '../sound/levels.ts';
import { Overview, overviewName } from '../sound/overview.ts';
import { compressedAudioType, plainTopicOf } from '../sound/raw-audio.ts';
import { bagFiles } from './bag-folder.ts';
import { type BagSelection, BagSet, type SetDamage } from './bag-set.ts';
import { type BagWriter, writeBag } from './bag-writer.ts';
import { FileSource } from './byte-source.ts';
import { counted } from './counted.ts';
import { definitionKey } from './definition-key.ts';
import { RecordingError } from './error.ts';
import { mergeMetadata, writeBeginnings } from './merge-metadata.ts';
import { formatInputs, type Work } from './new-output.ts';
import { earliest } from './time-span.ts';

/** What was made. */
export interface BagJoin {
  readonly out: string;
  readonly inputs: readonly string[];
  readonly messages: number;
  readonly topics: readonly { readonly topic: string; readonly messages: number }[];
  /** What could not be read of the inputs, and why they are not whole. */
  readonly damage: readonly SetDamage[];
  readonly problems: readonly string[];
}

const cutMetadata = 'fender.cut';
const lossMetadata = 'fender.loss';
/**
 * Tells of the whole of its file or segment, so it would be wrong in another: `ros2 bag` counts messages in its own. What the recorder
 * counted as lost is summed up where whole recordings are joined.
 */
const wholeFileMetadata: ReadonlySet<string> = new Set(['rosbag2', 'fender.synchroniser', lossMetadata]);

/** The profile of a bag made of all files. @throws RecordingError `not-joinable` */
function joinedProfile(set: BagSet): string {
  const profiles = new Set(set.files.map(({ profile }) => profile));
  if (profiles.size <= 1) return [...profiles][0] ?? '';
  profiles.delete('');
  const [first = ''] = profiles;
  if (profiles.size > 1) {
    const found = set.files.map(({ name, profile }) => `${profile || 'none'} in ${name}`).join(', ');
    throw new RecordingError('not-joinable', `expected bags of one profile, found ${found}: convert one of them first`);
  }
  const encodings = set.files.flatMap((_, file) => set.channels(file).map(({ messageEncoding }) => messageEncoding));
  return first === 'ros2' && encodings.every((encoding) => encoding === 'cdr') ? first : '';
}

/** @throws RecordingError `not-joinable` when a topic has two types, which no reader of ROS bags understands. */
function refuseTwoTypes(set: BagSet): void {
  const seen = new Map<string, { type: string; encoding: string; definition: string; file: string }>();
  for (const [file, { name, schemas }] of set.files.entries()) {
    for (const { topic, schemaId, messageEncoding } of set.channels(file)) {
      const schema = schemas.get(schemaId);
      const definition = schema === undefined ? '' : definitionKey(schema);
      const here = { type: schema?.name ?? '', encoding: messageEncoding, definition, file: name };
      const known = seen.get(topic);
      if (known === undefined) {
        seen.set(topic, here);
        continue;
      }
      const differs =
        known.type !== here.type
          ? 'type'
          : known.encoding !== here.encoding
            ? 'encoding'
            : known.definition !== definition
              ? 'definition'
              : '';
      if (differs === '') continue;
      const what = (each: typeof here): string => `${each.type || 'no type'} (${each.encoding}) in ${each.file}`;
      throw new RecordingError(
        'not-joinable',
        `${topic}: expected the same ${differs} in all bags, found ${what(known)} and ${what(here)}; leave one out with --topic, or cut them apart first`,
      );
    }
  }
}

async function copyAll(set: BagSet, writer: BagWriter, work: Work): Promise<Map<string, number>> {
  const ids = set.files.map(({ schemas }, file) => {
    return new Map(
      set.channels(file).map((channel) => [channel.id, writer.declare(channel, schemas.get(channel.schemaId))]),
    );
  });
  for (const { name, attachments } of set.files) {
    const wanted = attachments.filter((attachment) => attachment.name !== overviewName);
    if (wanted.length === 0) continue;
    const source = await FileSource.open(name);
    try {
      for (const place of wanted) {
        if (await writer.addAttachment(source, place)) continue;
        const { offset, bytes } = place;
        set.addDamage({ file: name, offset, bytes, reason: `attachment ${place.name} cannot be read` });
      }
    } finally {
      await source.close();
    }
  }
  const counts = new Map<string, number>();
  const overview = new Overview();
  for await (const { file, channel, message } of set.messages(work)) {
    const levels = await levelsIn(channel, set.files[file]?.schemas.get(channel.schemaId)?.name ?? '', message.data);
    if (levels !== null) overview.add(levels, message.logTimeNs);
    await writer.add(ids[file]?.get(message.channelId) ?? 0, message);
    counts.set(channel.topic, (counts.get(channel.topic) ?? 0) + 1);
  }
  const attachment = overview.attachment();
  if (attachment !== null) await writer.addNewAttachment(attachment);
  return counts;
}

/** What a message adds to the overview, sound in FLAC too; null for what adds nothing, and what cannot be read. */
async function levelsIn(
  { topic, messageEncoding }: McapTypes.Channel,
  type: string,
  data: Uint8Array,
): Promise<Levels | null> {
  if (messageEncoding !== 'cdr') return null;
  if (type !== compressedAudioType) return levelsOf(topic, type, data);
  const { plainSound } = await import('../sound/plain-sound.ts');
  const plain = await plainSound({ topic, type, data }).catch(() => null);
  return plain === null ? null : levelsOf(plain.topic, plain.type, plain.data);
}

async function join(
  paths: readonly string[],
  out: string,
  set: BagSet,
  records: Readonly<Record<string, ReadonlyMap<string, string>>>,
  work: Work,
): Promise<BagJoin> {
  return writeBag(out, paths, joinedProfile(set), work, async (writer) => {
    for (const { metadata } of set.files) {
      for (const each of metadata) {
        if (!wholeFileMetadata.has(each.name)) await writer.addMetadata(each.name, each.metadata);
      }
    }
    for (const [name, values] of Object.entries(records)) await writer.addMetadata(name, values);
    const counts = await copyAll(set, writer, work);
    if (writer.messages === 0) throw set.notCovered(paths);
    const topics = [...counts]
      .map(([topic, messages]) => ({ topic, messages }))
      .sort((a, b) => (a.topic < b.topic ? -1 : 1));
    const { damage, problems } = set;
    return { out, inputs: set.files.map(({ name }) => name), messages: writer.messages, topics, damage, problems };
  });
}

/**
 * Cuts chosen topics and a span of time out of a bag into the new bag `out` (a folder, or a file when the name ends in `.mcap`).
 * @throws RecordingError as `BagSet.open` and `writeBag`; `not-covered` when there is nothing in the span.
 */
export async function bagCut(path: string, out: string, selection: BagSelection, work: Work = {}): Promise<BagJoin> {
  const set = await BagSet.open([path], selection, work);
  const values = new Map([
    ['from_ns', String(set.span.fromNs ?? '')],
    ['to_ns', String(set.span.toNs ?? '')],
    ['topics', (selection.topics ?? []).join(' ')],
  ]);
  return join([path], out, set, { [cutMetadata]: values }, work);
}

/** One of the recordings that bags are of. */
interface JoinedRecording {
  /** Log time of its first message; null without any. */
  startNs: bigint | null;
  /** What its recorder says was lost, by topic; null when it says nothing, or nothing of what is here. */
  loss: ReadonlyMap<string, string> | null;
}

/** The recordings that the files of `paths` are of: segments of one recording are one, wherever they lie. */
async function recordingsOf(paths: readonly string[], set: BagSet): Promise<Map<string, JoinedRecording>> {
  const recordings = new Map<string, JoinedRecording>();
  const files = new Map(set.files.map((file) => [file.name, file]));
  for (const path of paths) {
    for (const name of await bagFiles(path)) {
      const { statistics, metadata = [] } = files.get(name) ?? {};
      const isCut = metadata.some((each) => each.name === cutMetadata);
      const told = metadata.find((each) => each.name === 'fender.recording')?.metadata;
      const recording = told?.get('recording');
      // What was cut away between two cuts of one recording was not lost.
      const key = isCut || recording === undefined ? path : JSON.stringify([told?.get('vehicle'), recording]);
      const startNs = statistics === undefined || statistics.messageCount === 0n ? null : statistics.messageStartTime;
      const known = recordings.get(key);
      // Each segment says what was lost since the recording began, the last of its records all of it.
      const loss = metadata.findLast((each) => each.name === lossMetadata)?.metadata ?? known?.loss ?? null;
      recordings.set(key, { startNs: earliest([known?.startNs ?? null, startNs]), loss: isCut ? null : loss });
    }
  }
  return recordings;
}

/** What was lost in all recordings, of the wanted topics; null when one does not say. */
function joinedLoss(recordings: readonly JoinedRecording[], set: BagSet): Map<string, string> | null {
  const topics = new Set(set.files.flatMap((_, file) => set.channels(file).map(({ topic }) => plainTopicOf(topic))));
  const sums = new Map<string, Map<string, number>>();
  for (const { loss } of recordings) {
    if (loss === null) return null;
    for (const [topic, text] of loss) {
      if (!topics.has(plainTopicOf(topic))) continue;
      const counts = sums.get(topic) ?? new Map<string, number>();
      sums.set(topic, counts);
      for (const [, reason = '', count = ''] of text.matchAll(/(\w+)=(\d{1,15})\b/g)) {
        counts.set(reason, (counts.get(reason) ?? 0) + Number(count));
      }
    }
  }
  const text = (counts: ReadonlyMap<string, number>): string =>
    [...counts].map(([reason, count]) => `${reason}=${count}`).join(' ');
  return new Map([...sums].map(([topic, counts]) => [topic, text(counts)]));
}

/**
 * Joins bags into the new bag `out`, in order of time, with everything that is in them twice kept twice.
 * @throws RecordingError as `bagCut`; `not-joinable` when a topic has two types, or the bags are of two profiles.
 */
export async function bagMerge(
  paths: readonly string[],
  out: string,
  selection: BagSelection = {},
  work: Work = {},
): Promise<BagJoin> {
  const set = await BagSet.open(paths, selection, work);
  refuseTwoTypes(set);
  const recordings = await recordingsOf(paths, set);
  const values = new Map([
    ['files', String(set.files.length)],
    [
      'beginnings_ns',
      writeBeginnings([...recordings].flatMap(([, { startNs }]) => (startNs === null ? [] : [startNs]))),
    ],
  ]);
  const isWhole = selection.from === undefined && selection.to === undefined;
  const loss = isWhole ? joinedLoss([...recordings.values()], set) : null;
  return join(paths, out, set, { [mergeMetadata]: values, ...(loss && { [lossMetadata]: loss }) }, work);
}

/** What `fender bag cut` and `fender bag merge` print. */
export function formatJoin(joined: BagJoin): string {
  const lines = [`${formatInputs(joined.inputs)} → ${joined.out}: ${counted(joined.messages, 'message')}`];
  for (const { topic, messages } of joined.topics) lines.push(`  ${topic}  ${messages}`);
  for (const problem of joined.problems) lines.push(`not whole: ${problem}`);
  for (const { file, offset, bytes, reason } of joined.damage) {
    lines.push(`left out ${counted(bytes, 'byte')} at offset ${offset} of ${file}: ${reason}`);
  }
  return `${lines.join('\n')}\n`;
}
