/** Owns reading what a whole MCAP file says of itself at its end, through the library's reader. */

import { McapIndexedReader, type McapTypes } from '@mcap/core';
import type { ByteSource } from './byte-source.ts';
import { decompressHandlers } from './mcap-records.ts';

/** Larger summaries and records are not read: no memory bound could hold otherwise. */
const maxReadBytes = 256 * 1024 * 1024;

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

/** A reader of a whole file by its summary; or why it is not whole, in the library's words. */
export async function openSummary(source: ByteSource): Promise<{ reader: McapIndexedReader } | { problem: string }> {
  try {
    return { reader: await McapIndexedReader.Initialize({ readable: readableOf(source), decompressHandlers }) };
  } catch (cause) {
    // The library adds who wrote the file, which says nothing of what is wrong.
    return { problem: (cause as Error).message.replace(/ \[library=[^\]]*\]/, '') };
  }
}
