/** Opens the MCAP of a clip for reading: by its index, message by message, decoded by the schemas inside the file. */
import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { parse } from '@foxglove/rosmsg';
import { MessageReader } from '@foxglove/rosmsg2-serialization';
import { type IReadable, McapIndexedReader } from '@mcap/core';
import { CentralError, messageOf } from '../error.ts';

/** Reads a file at given places; owns the handle. */
class FileReadable implements IReadable {
  readonly #handle: FileHandle;
  /** For messages: the name alone, because they reach whoever asks the API. */
  readonly #name: string;

  constructor(handle: FileHandle, name: string) {
    this.#handle = handle;
    this.#name = name;
  }

  async size(): Promise<bigint> {
    return BigInt((await this.#handle.stat()).size);
  }

  async read(offset: bigint, length: bigint): Promise<Uint8Array> {
    if (length > BigInt(maxReadBytes)) {
      throw new CentralError(
        'clip-unreadable',
        `${this.#name}: expected to read at most ${maxReadBytes} bytes, found ${length}`,
      );
    }
    const bytes = new Uint8Array(Number(length));
    let done = 0;
    while (done < bytes.byteLength) {
      const { bytesRead } = await this.#handle.read(bytes, done, bytes.byteLength - done, Number(offset) + done);
      if (bytesRead === 0)
        throw new CentralError(
          'clip-unreadable',
          `${this.#name}: expected ${length} bytes at ${offset}, found ${done}`,
        );
      done += bytesRead;
    }
    return bytes;
  }
}

const maxReadBytes = 64 * 1024 * 1024;
const maxChunkBytes = 64 * 1024 * 1024;
/** Of all messages that are read, decompressed: minutes of sound. A clip is seconds long. */
const maxMessageBytes = 256 * 1024 * 1024;

/** One message of a clip. `logTimeNs`: UTC nanoseconds. `fields`: decoded by the schema in the file. */
export interface ClipMessage {
  readonly topic: string;
  readonly type: string;
  readonly logTimeNs: bigint;
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * The messages of the types in `types`, in order of time. A message that does not decode by its schema is skipped;
 * `skipped` counts them. Throws CentralError `clip-unreadable` when the file is no MCAP with ROS 2 messages in it.
 */
export async function readClip(
  path: string,
  types: ReadonlySet<string>,
): Promise<{ messages: ClipMessage[]; skipped: number }> {
  const name = basename(path);
  const handle = await open(path, 'r'); // a file that is gone is no fault of its content
  try {
    const reader = await McapIndexedReader.Initialize({
      readable: new FileReadable(handle, name),
      decompressHandlers: { zstd: (bytes) => zstdDecompressSync(bytes, { maxOutputLength: maxChunkBytes }) },
    });
    const readers = new Map<number, MessageReader>();
    for (const schema of reader.schemasById.values()) {
      if (!types.has(schema.name) || schema.encoding !== 'ros2msg') continue;
      readers.set(schema.id, new MessageReader(parse(new TextDecoder().decode(schema.data), { ros2: true })));
    }
    const channels = [...reader.channelsById.values()];
    const wanted = channels.filter((channel) => channel.messageEncoding === 'cdr' && readers.has(channel.schemaId));
    const messages: ClipMessage[] = [];
    let skipped = 0;
    let readBytes = 0;
    if (wanted.length === 0) return { messages, skipped };
    for await (const message of reader.readMessages({ topics: wanted.map((channel) => channel.topic) })) {
      readBytes += message.data.byteLength;
      if (readBytes > maxMessageBytes) {
        throw new CentralError(
          'clip-unreadable',
          `${name}: expected at most ${maxMessageBytes} bytes of messages, found more`,
        );
      }
      const channel = reader.channelsById.get(message.channelId);
      const decoder = channel === undefined ? undefined : readers.get(channel.schemaId);
      const schema = channel === undefined ? undefined : reader.schemasById.get(channel.schemaId);
      if (channel === undefined || decoder === undefined || schema === undefined) continue;
      try {
        const fields = decoder.readMessage<Record<string, unknown>>(message.data);
        messages.push({ topic: channel.topic, type: schema.name, logTimeNs: message.logTime, fields });
      } catch {
        skipped++;
      }
    }
    return { messages, skipped };
  } catch (cause) {
    if (cause instanceof CentralError) throw cause;
    throw new CentralError('clip-unreadable', `${name}: expected a finished MCAP file, ${messageOf(cause)}`, { cause });
  } finally {
    await handle.close();
  }
}
