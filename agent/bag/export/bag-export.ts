/** Owns `fender bag export`: sound as WAVE files, every other topic as a table, in one new folder. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { McapTypes } from '@mcap/core';
import { readSchemaText } from '../../messages/schema-text.ts';
import { compressedAudioType, plainTopicOf } from '../../sound/raw-audio.ts';
import { type BagSelection, BagSet, type SetDamage, type SetMessage } from '../bag-set.ts';
import { counted } from '../counted.ts';
import { RecordingError } from '../error.ts';
import { formatInputs, type Work, writeNewFolder } from '../new-output.ts';
import { CsvTable } from './csv-table.ts';
import { ParquetTable } from './parquet-table.ts';
import { isSound, SoundExport, type SoundFile, type SoundOptions } from './sound-export.ts';
import { cdrRows, jsonRows, type RowReader, tableColumns } from './table-columns.ts';

/** Kinds of files that are made. */
export type ExportFormat = 'wav' | 'csv' | 'parquet';

/** What to export, and as what. */
export interface ExportOptions extends BagSelection, SoundOptions {
  readonly formats: readonly ExportFormat[];
}

/** One table made. */
export interface TableFile {
  readonly file: string;
  readonly topic: string;
  readonly type: string;
  readonly rows: number;
  /** Messages whose bytes are not what their definition says, and what is wrong with the first of them. */
  readonly undecoded: number;
  readonly problem: string;
}

/** What was exported, as `export.json` in the folder has it too. */
export interface BagExport {
  readonly out: string;
  readonly inputs: readonly string[];
  readonly sound: readonly SoundFile[];
  readonly tables: readonly TableFile[];
  /** Topics of which nothing could be exported, and why. */
  readonly skipped: readonly { readonly topic: string; readonly reason: string }[];
  /** Topics that the chosen formats are not for. */
  readonly unasked: readonly string[];
  readonly damage: readonly SetDamage[];
  readonly problems: readonly string[];
}

const reportName = 'export.json';
/** Each has files open. */
const maxTopics = 500;

/** What takes a topic's messages. */
interface TopicSink {
  add(message: SetMessage): Promise<void>;
  finish(): Promise<void>;
  abandon(): Promise<void>;
}

type Table = CsvTable | ParquetTable;

/** A topic on its way into tables of all formats. */
class TableSink implements TopicSink {
  readonly files: TableFile[] = [];
  readonly #rows: RowReader;
  readonly #tables: readonly { readonly file: string; readonly table: Table }[];
  readonly #topic: string;
  readonly #type: string;
  #count = 0;
  #undecoded = 0;
  #problem = '';

  constructor(topic: string, type: string, rows: RowReader, tables: readonly { file: string; table: Table }[]) {
    this.#topic = topic;
    this.#type = type;
    this.#rows = rows;
    this.#tables = tables;
  }

  async add({ message }: SetMessage): Promise<void> {
    const { logTimeNs, publishTimeNs, sequence, data } = message;
    let row: ReturnType<RowReader['row']>;
    try {
      row = this.#rows.row(data);
    } catch (error) {
      this.#undecoded += 1;
      this.#problem ||= `message at ${logTimeNs} ns: ${(error as Error).message}`;
      return;
    }
    this.#count += 1;
    const values = [logTimeNs, publishTimeNs, sequence, ...row];
    for (const { table } of this.#tables) await table.add(values);
  }

  async finish(): Promise<void> {
    for (const { file, table } of this.#tables) {
      await table.finish();
      await table.close();
      const counts = { rows: this.#count, undecoded: this.#undecoded, problem: this.#problem };
      this.files.push({ file, topic: this.#topic, type: this.#type, ...counts });
    }
  }

  async abandon(): Promise<void> {
    for (const { table } of this.#tables) await table.close().catch(() => {});
  }
}

/** How the messages of a channel become rows, or why they do not. */
function rowsOf(channel: McapTypes.Channel, schema: McapTypes.Schema | undefined): RowReader | { reason: string } {
  if (channel.messageEncoding === 'json') return jsonRows;
  if (channel.messageEncoding !== 'cdr') {
    return { reason: `messages in '${channel.messageEncoding || 'no encoding'}': only 'cdr' and 'json' become tables` };
  }
  if (schema === undefined) return { reason: 'it has no schema, so its fields are not known' };
  let text = new TextDecoder().decode(schema.data);
  if (schema.encoding === 'ros2idl') {
    return {
      reason: `its definition is ros2idl, which is not read here; record it with .msg definitions, or convert the bag: rosbags-convert --src BAG --dst OUT --dst-storage mcap (pip install rosbags)`,
    };
  }
  if (schema.encoding !== 'ros2msg' && text !== '') {
    return { reason: `its definition is '${schema.encoding}': only ros2msg is read` };
  }
  try {
    // Early writers left the definition out; those of ROS itself are known.
    if (text.trim() === '') text = readSchemaText(schema.name);
    return cdrRows(schema.name, text);
  } catch (error) {
    return { reason: `its definition cannot be read: ${(error as Error).message}` };
  }
}

/** `/uma8/audio` → `uma8_audio`, never the same for two topics. */
function fileNames(topics: readonly string[]): Map<string, string> {
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const topic of topics) {
    const base =
      topic
        .replace(/^\/+/, '')
        .replaceAll(/[^\w.-]+/g, '_')
        .replace(/^\.+/, '_')
        .slice(0, 150) || 'topic';
    let name = base;
    for (let count = 2; taken.has(name.toLowerCase()); count += 1) name = `${base}_${count}`;
    taken.add(name.toLowerCase());
    names.set(topic, name);
  }
  return names;
}

class Exporter {
  readonly sinks = new Map<string, TopicSink>();
  readonly sounds: SoundExport[] = [];
  readonly tables: TableSink[] = [];
  readonly skipped: { topic: string; reason: string }[] = [];
  readonly unasked: string[] = [];
  readonly #set: BagSet;
  readonly #folder: string;
  readonly #options: ExportOptions;

  constructor(set: BagSet, folder: string, options: ExportOptions) {
    this.#set = set;
    this.#folder = folder;
    this.#options = options;
  }

  /** Makes the files of each topic, and of each of its types if it has several. */
  async begin(): Promise<Map<string, TopicSink>> {
    const keys = new Map<string, { channel: McapTypes.Channel; schema: McapTypes.Schema | undefined }>();
    for (const [file, { schemas }] of this.#set.files.entries()) {
      for (const channel of this.#set.channels(file)) {
        const schema = schemas.get(channel.schemaId);
        keys.set(sinkKey(channel, schema), { channel, schema });
      }
    }
    if (keys.size > maxTopics) {
      throw new RecordingError(
        'too-large',
        `expected at most ${maxTopics} topics at once, found ${keys.size}: choose some with --topic`,
      );
    }
    const topics = [...keys.values()].map(({ channel }) => channel.topic);
    const names = fileNames([...new Set(topics)].sort());
    const seen = new Map<string, number>();
    const isPacked = ([, { schema }]: [string, { schema: McapTypes.Schema | undefined }]): boolean =>
      schema?.name === compressedAudioType;
    // Sound as it came makes the file; what is FLAC of the same sound joins it.
    const inOrder = [...keys].sort((a, b) => Number(isPacked(a)) - Number(isPacked(b)));
    for (const [key, { channel, schema }] of inOrder) {
      const count = (seen.get(channel.topic) ?? 0) + 1;
      seen.set(channel.topic, count);
      const name = `${names.get(channel.topic)}${count > 1 ? `.type${count}` : ''}`;
      const sink = await this.#sink(channel, schema, name);
      if (sink !== null) this.sinks.set(key, sink);
    }
    return this.sinks;
  }

  /** The error of topics of which no file can be made. */
  nothing(path: string): RecordingError {
    const reasons = [
      ...this.skipped.map(({ topic, reason }) => `${topic}: ${reason}`),
      ...(this.unasked.length === 0
        ? []
        : [`no ${this.#options.formats.join(', ')} is made of ${this.unasked.join(', ')}`]),
    ];
    const found = reasons.length === 0 ? 'no topics' : reasons.join('; ');
    return new RecordingError('not-covered', `${path}: expected topics that these formats can hold, found ${found}`);
  }

  async #sink(
    channel: McapTypes.Channel,
    schema: McapTypes.Schema | undefined,
    name: string,
  ): Promise<TopicSink | null> {
    const { topic } = channel;
    const type = schema?.name ?? '';
    if (isSound(type, channel.messageEncoding)) return this.#soundSink(topic, type, name);
    const formats = this.#options.formats.filter((format) => format !== 'wav');
    if (formats.length === 0) return this.#leave(topic);
    const rows = rowsOf(channel, schema);
    if ('reason' in rows) return this.#skip(topic, rows.reason);
    const columns = tableColumns(rows);
    const tables: { file: string; table: Table }[] = [];
    for (const format of formats) {
      const file = `${name}.${format}`;
      const path = join(this.#folder, file);
      const table = format === 'csv' ? await CsvTable.create(path, columns) : await ParquetTable.create(path, columns);
      tables.push({ file, table });
    }
    const sink = new TableSink(topic, type, rows, tables);
    this.tables.push(sink);
    return sink;
  }

  #soundSink(topic: string, type: string, name: string): TopicSink | null {
    if (!this.#options.formats.includes('wav')) return this.#leave(topic);
    const pathOf = (part: number): string => join(this.#folder, `${name}${part === 0 ? '' : `_${part}`}.wav`);
    const plain = type === compressedAudioType ? plainTopicOf(topic) : topic;
    const joined = this.sounds.find((each) => each.topic === plain);
    if (joined !== undefined && plain !== topic) {
      return { add: (message) => joined.add(message, type), finish: async () => {}, abandon: async () => {} };
    }
    const sound = new SoundExport(topic, pathOf, this.#options);
    this.sounds.push(sound);
    return { add: (message) => sound.add(message, type), finish: () => sound.finish(), abandon: () => sound.abandon() };
  }

  #skip(topic: string, reason: string): null {
    this.skipped.push({ topic, reason });
    return null;
  }

  #leave(topic: string): null {
    this.unasked.push(topic);
    return null;
  }
}

function sinkKey(channel: McapTypes.Channel, schema: McapTypes.Schema | undefined): string {
  const text = Buffer.from(schema?.data ?? []).toString('base64');
  return JSON.stringify([channel.topic, channel.messageEncoding, schema?.name ?? '', schema?.encoding ?? '', text]);
}

/** Whether a folder holds an export and nothing else, by the names in it. */
function isExportFolder(names: readonly string[]): boolean {
  return names.every((name) => name === reportName || /\.(wav|csv|parquet)$/.test(name));
}

/**
 * Exports chosen topics and a span of time of a bag into the new folder `out`, in bounded memory.
 * @throws RecordingError as `BagSet.open`; `exists`, `no-space`, `write-failed`, `stopped`, `too-large`, `usage`.
 */
export async function bagExport(
  path: string,
  out: string,
  options: ExportOptions,
  work: Work = {},
): Promise<BagExport> {
  const set = await BagSet.open([path], options, work);
  return writeNewFolder(out, [path], work.force ?? false, isExportFolder, async (folder) => {
    const exporter = new Exporter(set, folder, options);
    try {
      const sinks = await exporter.begin();
      if (sinks.size === 0) throw exporter.nothing(path);
      const perFile = set.files.map(({ schemas }, file) => {
        return new Map(
          set.channels(file).map((channel) => [channel.id, sinks.get(sinkKey(channel, schemas.get(channel.schemaId)))]),
        );
      });
      let messages = 0;
      for await (const message of set.messages(work)) {
        const sink = perFile[message.file]?.get(message.message.channelId);
        if (sink) messages += 1;
        await sink?.add(message);
      }
      // Of a whole bag without messages the empty tables say so; of a damaged one the report says why.
      const isChosen = set.span.fromNs !== undefined || set.span.toNs !== undefined;
      if (messages === 0 && isChosen && set.damage.length === 0) throw set.notCovered([path]);
      for (const sink of sinks.values()) await sink.finish();
    } catch (error) {
      for (const sink of exporter.sinks.values()) await sink.abandon();
      throw error;
    }
    const report: BagExport = {
      out,
      inputs: set.files.map(({ name }) => name),
      sound: exporter.sounds.flatMap(({ files }) => files),
      tables: exporter.tables.flatMap(({ files }) => files),
      skipped: [...exporter.skipped, ...silentTopics(exporter.sounds)],
      unasked: exporter.unasked,
      damage: set.damage,
      problems: set.problems,
    };
    const asText = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);
    await writeFile(join(folder, reportName), `${JSON.stringify(report, asText, 2)}\n`);
    return report;
  });
}

/** Sound topics of which no file came: without messages, or with none that could be decoded. */
function silentTopics(sounds: readonly SoundExport[]): { topic: string; reason: string }[] {
  return sounds
    .filter(({ files }) => files.length === 0)
    .map(({ topic, firstProblem }) => ({ topic, reason: firstProblem || 'no messages in this span' }));
}

/** Whether everything asked for is in the files, and something is. */
export function exportedAll({ damage, problems, skipped, tables, sound }: BagExport): boolean {
  const files = [...tables, ...sound];
  const isWhole = damage.length === 0 && problems.length === 0 && skipped.length === 0;
  return isWhole && files.length > 0 && files.every((file) => file.undecoded === 0);
}

/** What `fender bag export` prints. */
export function formatExport(report: BagExport): string {
  const lines = [`${formatInputs(report.inputs)} → ${report.out}`];
  for (const {
    file,
    topic,
    frames,
    sampleRateHz,
    channels,
    gapCount,
    silentFrames,
    overlapping,
    undecoded,
  } of report.sound) {
    const seconds = (count: number): string => `${(count / sampleRateHz).toFixed(3)} s`;
    const gaps = gapCount === 0 ? '' : `, ${counted(gapCount, 'gap')} filled with ${seconds(silentFrames)} of silence`;
    const others = `${overlapping > 0 ? `, ${counted(overlapping, 'overlapping message')} left out` : ''}${undecoded > 0 ? `, ${undecoded} not decoded` : ''}`;
    lines.push(
      `  ${file}  ${topic}  ${seconds(frames)} of ${counted(channels.length, 'channel')} at ${sampleRateHz} Hz${gaps}${others}`,
    );
  }
  for (const { file, topic, rows, undecoded, problem } of report.tables) {
    lines.push(
      `  ${file}  ${topic}  ${counted(rows, 'row')}${undecoded > 0 ? `, ${undecoded} not decoded (${problem})` : ''}`,
    );
  }
  for (const { topic, reason } of report.skipped) lines.push(`  left out ${topic}: ${reason}`);
  if (report.unasked.length > 0) lines.push(`  not in these formats: ${report.unasked.join(', ')}`);
  for (const problem of report.problems) lines.push(`not whole: ${problem}`);
  for (const { file, offset, bytes, reason } of report.damage) {
    lines.push(`could not read ${counted(bytes, 'byte')} at offset ${offset} of ${file}: ${reason}`);
  }
  return `${lines.join('\n')}\n`;
}
