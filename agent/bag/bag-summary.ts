/** Owns reading what a whole MCAP file says of itself at its end, through the library's reader, and why that cannot be. */

import { crc32 } from 'node:zlib';
import { McapIndexedReader, type McapTypes, Opcode } from '@mcap/core';
import type { ByteSource } from './byte-source.ts';
import { decompressHandlers, foundHead, magicBytes, readRecordHead, recordHeadBytes } from './mcap-records.ts';

/** Larger summaries and records are not read: no memory bound could hold otherwise. */
const maxReadBytes = 256 * 1024 * 1024;
const footerBytes = recordHeadBytes + 20;

/** The library's view of a byte source. */
export function readableOf(source: ByteSource): McapTypes.IReadable {
  return {
    size: async () => BigInt(source.size),
    read: async (offset, size) => {
      if (size > BigInt(maxReadBytes)) {
        throw new Error(`expected at most ${maxReadBytes} bytes at offset ${offset}, found ${size}`);
      }
      const bytes = await source.read(Number(offset), Number(size));
      if (BigInt(bytes.byteLength) < size)
        throw new Error(`expected ${size} bytes at offset ${offset}, found ${bytes.byteLength}`);
      return bytes;
    },
  };
}

/** A reader of a whole file by its summary; or why it is not whole: what was expected, what was found, and at which offset. */
export async function openSummary(source: ByteSource): Promise<{ reader: McapIndexedReader } | { problem: string }> {
  try {
    return { reader: await McapIndexedReader.Initialize({ readable: readableOf(source), decompressHandlers }) };
  } catch (cause) {
    const problem = await whatIsWrong(source);
    // The library adds who wrote the file, which says nothing of what is wrong.
    const said = (cause as Error).message.replace(/ \[library=[^\]]*\]/, '');
    return { problem: problem ?? `expected a summary that can be read at the end of the file, found: ${said}` };
  }
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex') || 'no bytes';
const crcText = (crc: number): string => crc.toString(16).padStart(8, '0');

/** What the library stumbles over, in our words; null when it is none of what we look at. */
async function whatIsWrong(source: ByteSource): Promise<string | null> {
  const magic = hexOf(magicBytes);
  const opening = await source.read(0, magicBytes.byteLength + recordHeadBytes);
  const first = opening.subarray(0, magicBytes.byteLength);
  if (Buffer.compare(first, magicBytes) !== 0) return `expected the magic ${magic} at offset 0, found ${hexOf(first)}`;
  const closingAt = source.size - magicBytes.byteLength;
  const closing = await source.read(Math.max(0, closingAt), magicBytes.byteLength);
  if (Buffer.compare(closing, magicBytes) !== 0) {
    const found = closing.every((byte) => byte === 0) ? 'zeros' : hexOf(closing);
    return `expected the closing magic ${magic} at offset ${closingAt}, found ${found}`;
  }
  const header = opening.subarray(magicBytes.byteLength);
  if (readRecordHead(header)?.opcode !== Opcode.HEADER) {
    return `expected a Header record at offset ${magicBytes.byteLength}, found ${foundHead(header)}`;
  }
  const footerAt = closingAt - footerBytes;
  const footer = await source.read(Math.max(0, footerAt), footerBytes);
  if (footerAt < 0 || readRecordHead(footer)?.opcode !== Opcode.FOOTER) {
    return `expected a Footer record at offset ${footerAt}, found ${foundHead(footer)}`;
  }
  const view = new DataView(footer.buffer, footer.byteOffset, footer.byteLength);
  const summaryAt = view.getBigUint64(9, true);
  if (summaryAt === 0n) return null;
  if (summaryAt > BigInt(footerAt)) {
    return `expected a summary before the footer at offset ${footerAt}, found its start given as offset ${summaryAt}`;
  }
  const bytes = footerAt + footerBytes - 4 - Number(summaryAt);
  const expected = view.getUint32(25, true);
  if (expected === 0 || bytes > maxReadBytes) return null;
  const found = crc32(await source.read(Number(summaryAt), bytes));
  if (found === expected) return null;
  return `CRC of the summary at offset ${summaryAt}: expected ${crcText(expected)}, found ${crcText(found)}`;
}
