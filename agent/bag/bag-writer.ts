/**
 * Owns writing a whole new bag from messages that exist already: numbers their channels anew, packs small messages with zstd and
 * leaves sound as it is, and lays the bag out as one file or as a rosbag2 folder.
 */

import { basename, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { McapTypes } from '@mcap/core';
import { stringify } from 'yaml';
import type { ByteSource } from './byte-source.ts';
import { ChunkDraft } from './chunk-draft.ts';
import { definitionKey } from './definition-key.ts';
import { createDurable, type DurableHandle, writeFully } from './durable-file.ts';
import { RecordingError } from './error.ts';
import { parseForeignYaml } from './foreign-yaml.ts';
import { type Attachment, McapBuilder } from './mcap-builder.ts';
import { parseRecordBytes, type RawMessage } from './mcap-records.ts';
import { type Work, writeNewFile, writeNewFolder } from './new-output.ts';
import type { AttachmentPlace } from './rebuild.ts';
import { isBagFolder, renewMetadata } from './rosbag2-metadata.ts';

/** Messages from this size on are sound and pictures, which zstd hardly makes smaller. */
const bulkBytes = 4096;
const maxChunkBytes = 1024 * 1024;
/** A chunk of small messages ends after this much time, so that chunks overlap little. */
const maxChunkNs = 10_000_000_000n;
/** Larger ones are not found by a scan either. */
const maxAttachmentBytes = 256 * 1024 * 1024;
/** Channel numbers are 16 bits wide. */
const maxChannels = 65_535;
const qosKey = 'offered_qos_profiles';

/** One new MCAP file. Methods must not overlap. */
export class BagWriter {
  readonly #handle: DurableHandle;
  readonly #builder = new McapBuilder();
  readonly #channels = new Map<string, McapTypes.Channel>();
  readonly #schemas = new Map<string, McapTypes.Schema>();
  readonly #metadata: { name: string; values: ReadonlyMap<string, string> }[] = [];
  #small = new ChunkDraft();
  #bulk = new ChunkDraft();
  #written = 0;

  private constructor(handle: DurableHandle) {
    this.#handle = handle;
  }

  static async create(path: string, profile: string): Promise<BagWriter> {
    const writer = new BagWriter(await createDurable(path));
    await writer.#write(writer.#builder.begin(profile));
    return writer;
  }

  /** Messages taken so far. */
  messages = 0;

  /**
   * The number in this file of a channel of another, which may be one that is here already: the same topic, type and encoding are one
   * channel, however the type's definition is worded. Of two lists of offered QoS the new one is added to the old. All channels must be declared before the first message.
   */
  declare(channel: McapTypes.Channel, schema: McapTypes.Schema | undefined): number {
    const schemaId = schema === undefined ? 0 : this.#declareSchema(schema);
    const key = JSON.stringify([channel.topic, channel.messageEncoding, schemaId]);
    const known = this.#channels.get(key);
    if (known !== undefined) {
      known.metadata.set(qosKey, joinQos(known.metadata.get(qosKey), channel.metadata.get(qosKey)));
      for (const [name, value] of channel.metadata) if (!known.metadata.has(name)) known.metadata.set(name, value);
      if (known.metadata.get(qosKey) === '') known.metadata.delete(qosKey);
      return known.id;
    }
    const id = this.#channels.size + 1;
    if (id > maxChannels) {
      throw new RecordingError('not-joinable', `expected at most ${maxChannels} channels in one file, found more`);
    }
    this.#channels.set(key, { ...channel, id, schemaId, metadata: new Map(channel.metadata) });
    return id;
  }

  /** A metadata record; one that is the same as another is written once. */
  async addMetadata(name: string, values: ReadonlyMap<string, string>): Promise<void> {
    if (this.#metadata.some((known) => isDeepStrictEqual(known, { name, values }))) return;
    this.#metadata.push({ name, values });
    await this.#write(this.#builder.metadata(name, values));
  }

  /** Copies an attachment record as it is. False when it cannot be read. */
  async addAttachment(source: ByteSource, place: AttachmentPlace): Promise<boolean> {
    if (place.bytes > maxAttachmentBytes) return false;
    const bytes = await source.read(place.offset, place.bytes);
    let record: McapTypes.TypedMcapRecord;
    try {
      record = parseRecordBytes(bytes);
    } catch {
      return false;
    }
    if (record.type !== 'Attachment') return false;
    await this.#write(this.#builder.copiedAttachment(record, bytes));
    return true;
  }

  /** Adds an attachment that was made for this file. */
  async addNewAttachment(attachment: Attachment): Promise<void> {
    await this.#write(this.#builder.attachment(attachment));
  }

  /** Adds a message to the channel `channelId` of this file. Its data must not change afterwards. */
  async add(channelId: number, message: RawMessage): Promise<void> {
    const isBulk = message.data.byteLength >= bulkBytes;
    const draft = isBulk ? this.#bulk : this.#small;
    draft.add(channelId, message.sequence, message.logTimeNs, message.data, message.publishTimeNs);
    this.messages += 1;
    if (draft.byteLength < maxChunkBytes && draft.endNs - draft.startNs < maxChunkNs) return;
    if (isBulk) await this.#closeBulk();
    else await this.#closeSmall();
  }

  /** Ends the file and brings it to the disk. */
  async finish(): Promise<void> {
    await this.#closeBulk();
    await this.#closeSmall();
    // Channels without messages are in the bag too: that nothing was said is known of them.
    await this.#define([...this.#channels.values()]);
    await this.#write(this.#builder.end());
    await this.#handle.datasync();
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  #declareSchema(schema: McapTypes.Schema): number {
    const key = definitionKey(schema);
    const known = this.#schemas.get(key);
    if (known !== undefined) return known.id;
    const id = this.#schemas.size + 1;
    this.#schemas.set(key, { ...schema, id });
    return id;
  }

  async #closeBulk(): Promise<void> {
    const draft = this.#bulk;
    this.#bulk = new ChunkDraft();
    await this.#chunk(draft, 'none');
  }

  async #closeSmall(): Promise<void> {
    const draft = this.#small;
    this.#small = new ChunkDraft();
    await this.#chunk(draft, 'zstd');
  }

  async #chunk(draft: ChunkDraft, compression: 'none' | 'zstd'): Promise<void> {
    if (draft.messageCount === 0) return;
    await this.#define([...this.#channels.values()].filter(({ id }) => draft.index.has(id)));
    await this.#write(this.#builder.chunk(draft, compression));
  }

  async #define(channels: readonly McapTypes.Channel[]): Promise<void> {
    const schemas = new Map([...this.#schemas.values()].map((schema) => [schema.id, schema]));
    for (const channel of channels) {
      const schema = schemas.get(channel.schemaId);
      await this.#write([
        ...(schema === undefined ? [] : this.#builder.schema(schema)),
        ...this.#builder.channel(channel),
      ]);
    }
  }

  async #write(pieces: readonly Uint8Array[]): Promise<void> {
    if (pieces.length === 0) return;
    this.#written += await writeFully(this.#handle, pieces, this.#written);
  }
}

/** All profiles of two lists in rosbag2's YAML, each once; the first list where the second is none. */
function joinQos(first: string | undefined, second: string | undefined): string {
  if (second === undefined || second === first) return first ?? '';
  const lists = [first, second].map((text) => {
    try {
      const list: unknown = parseForeignYaml(text ?? '');
      return Array.isArray(list) ? (list as unknown[]) : [];
    } catch {
      return [];
    }
  });
  const joined: unknown[] = [];
  for (const profile of lists.flat()) {
    if (!joined.some((known) => isDeepStrictEqual(known, profile))) joined.push(profile);
  }
  return joined.length === 0 ? (first ?? '') : stringify(joined, { aliasDuplicateObjects: false });
}

/**
 * Makes a bag at `out`: a file when the name ends in `.mcap`, else a rosbag2 folder with one segment and `metadata.yaml`. `fill` gets
 * the writer; the bag has its name only when all of it is on the disk.
 * @param inputs paths that the bag must not touch.
 * @throws RecordingError `exists`, `no-space`, `write-failed`, and what `fill` throws.
 */
export async function writeBag<T>(
  out: string,
  inputs: readonly string[],
  profile: string,
  work: Work,
  fill: (writer: BagWriter) => Promise<T>,
): Promise<T> {
  const writeFile = async (path: string): Promise<T> => {
    const writer = await BagWriter.create(path, profile);
    try {
      const result = await fill(writer);
      await writer.finish();
      return result;
    } finally {
      await writer.close();
    }
  };
  if (out.endsWith('.mcap')) return writeNewFile(out, inputs, work.force ?? false, writeFile);
  return writeNewFolder(out, inputs, work.force ?? false, isBagFolder, async (folder) => {
    const result = await writeFile(join(folder, `${basename(resolve(out))}_0.mcap`));
    await renewMetadata(folder);
    return result;
  });
}
