/** What whole chunks of a bag hold, read by the format's own reader and by none of our code. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { McapStreamReader } from '@mcap/core';

const decompressHandlers = { zstd: (bytes: Uint8Array) => new Uint8Array(zstdDecompressSync(bytes)) };

/** One line a message, `topic time hash`, of all messages in whole chunks; a torn end is left out. */
export function readableMessages(path: string): string[] {
  const reader = new McapStreamReader({ decompressHandlers, validateCrcs: true });
  const topics = new Map<number, string>();
  const lines: string[] = [];
  reader.append(readFileSync(path));
  try {
    for (let record = reader.nextRecord(); record; record = reader.nextRecord()) {
      if (record.type === 'Channel') topics.set(record.id, record.topic);
      if (record.type !== 'Message') continue;
      const hash = createHash('sha1').update(record.data).digest('hex').slice(0, 12);
      lines.push(`${topics.get(record.channelId)} ${record.logTime} ${hash}`);
    }
  } catch (error) {
    if (!path.endsWith('.active')) throw error;
  }
  return lines;
}

/** Topic and sequence of all messages of a whole bag, in the order of the file. */
export function messageSequences(path: string): { readonly topic: string; readonly sequence: number }[] {
  const reader = new McapStreamReader({ decompressHandlers, validateCrcs: true });
  const topics = new Map<number, string>();
  const found: { topic: string; sequence: number }[] = [];
  reader.append(readFileSync(path));
  for (let record = reader.nextRecord(); record; record = reader.nextRecord()) {
    if (record.type === 'Channel') topics.set(record.id, record.topic);
    if (record.type === 'Message') found.push({ topic: topics.get(record.channelId) ?? '', sequence: record.sequence });
  }
  return found;
}

/** UTC nanoseconds of the first message of `topic` in a whole bag. */
export function firstMessageTimeNs(path: string, topic: string): bigint {
  const line = readableMessages(path).find((message) => message.startsWith(`${topic} `));
  if (line === undefined) throw new Error(`${path} holds no message of ${topic}`);
  return BigInt(line.split(' ')[1] ?? '0');
}

/** All files below `folder` whose name ends in `ending`. */
export function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name));
}
