/** Owns `fender bag cut` and `fender bag merge`: a new whole bag from chosen messages of one or more others. */

import { bagFiles } from './bag-folder.ts';
import { type BagSelection, BagSet, type SetDamage } from './bag-set.ts';
import { type BagWriter, writeBag } from './bag-writer.ts';
import { FileSource } from './byte-source.ts';
import { RecordingError } from './error.ts';
import { mergeMetadata, writeBeginnings } from './merge-metadata.ts';
import { formatInputs, type Work } from './new-output.ts';

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
/** Tells of the whole of its segment, so it would be wrong in another file. */
const wholeSegmentAttachment = 'fender.overview';
/** Counts the messages of the file that it is in: `ros2 bag` writes it. */
const wholeFileMetadata = 'rosbag2';

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
  const seen = new Map<string, { type: string; encoding: string; text: string; file: string }>();
  for (const [file, { name, schemas }] of set.files.entries()) {
    for (const { topic, schemaId, messageEncoding } of set.channels(file)) {
      const schema = schemas.get(schemaId);
      const text = new TextDecoder().decode(schema?.data);
      const here = { type: schema?.name ?? '', encoding: messageEncoding, text, file: name };
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
            : known.text !== text
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
    const wanted = attachments.filter((attachment) => attachment.name !== wholeSegmentAttachment);
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
  for await (const { file, channel, message } of set.messages(work)) {
    await writer.add(ids[file]?.get(message.channelId) ?? 0, message);
    counts.set(channel.topic, (counts.get(channel.topic) ?? 0) + 1);
  }
  return counts;
}

async function join(
  paths: readonly string[],
  out: string,
  set: BagSet,
  record: { name: string; values: ReadonlyMap<string, string> },
  work: Work,
): Promise<BagJoin> {
  return writeBag(out, paths, joinedProfile(set), work, async (writer) => {
    for (const { metadata } of set.files) {
      for (const each of metadata) {
        if (each.name !== wholeFileMetadata) await writer.addMetadata(each.name, each.metadata);
      }
    }
    await writer.addMetadata(record.name, record.values);
    const counts = await copyAll(set, writer, work);
    if (writer.messages === 0) {
      const found = set.files.length === 1 ? paths.join(' ') : `${set.files.length} files`;
      const has = set.spanText === '' ? '' : `; there are messages from ${set.spanText}`;
      const wanted = 'expected messages of these topics in this span';
      throw new RecordingError('not-covered', `${found}: ${wanted}, found none${has}`);
    }
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
  return join([path], out, set, { name: cutMetadata, values }, work);
}

/** When the recordings begin that the files of `paths` are of, in log times: segments of one recording are one, wherever they lie. */
async function recordingBeginnings(paths: readonly string[], set: BagSet): Promise<bigint[]> {
  const beginnings = new Map<string, bigint>();
  const files = new Map(set.files.map((file) => [file.name, file]));
  for (const path of paths) {
    for (const name of await bagFiles(path)) {
      const { statistics, metadata = [] } = files.get(name) ?? {};
      if (statistics === undefined || statistics.messageCount === 0n) continue;
      const isCut = metadata.some((each) => each.name === cutMetadata);
      const whole = metadata.find((each) => each.name === 'fender.recording')?.metadata.get('recording');
      // What was cut away between two cuts of one recording was not lost.
      const recording = isCut || whole === undefined ? path : whole;
      const known = beginnings.get(recording);
      const { messageStartTime } = statistics;
      if (known === undefined || messageStartTime < known) beginnings.set(recording, messageStartTime);
    }
  }
  return [...beginnings.values()];
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
  const values = new Map([
    ['files', String(set.files.length)],
    ['beginnings_ns', writeBeginnings(await recordingBeginnings(paths, set))],
  ]);
  return join(paths, out, set, { name: mergeMetadata, values }, work);
}

/** What `fender bag cut` and `fender bag merge` print. */
export function formatJoin(joined: BagJoin): string {
  const lines = [`${formatInputs(joined.inputs)} → ${joined.out}: ${joined.messages} messages`];
  for (const { topic, messages } of joined.topics) lines.push(`  ${topic}  ${messages}`);
  for (const problem of joined.problems) lines.push(`not whole: ${problem}`);
  for (const { file, offset, bytes, reason } of joined.damage) {
    lines.push(`left out ${bytes} bytes at offset ${offset} of ${file}: ${reason}`);
  }
  return `${lines.join('\n')}\n`;
}
