/** What the viewer's decompression promises of chunks that are damaged. */

import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { decompressor } from '../../../central/web/src/bag/reading/decompress.ts';
import { storedLz4 } from './bag-fixtures.ts';

const plain = Uint8Array.from({ length: 50_000 }, (_, index) => (index * index) & 255);
const { compressedData: whole } = storedLz4(plain);

async function unpack(packed: Uint8Array): Promise<Uint8Array> {
  return (await decompressor('lz4'))(packed, plain.byteLength);
}

describe('lz4 chunks', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('that are whole are read behind damaged ones, however those are damaged', async () => {
    // The browser asks its server for the library; here it is a file.
    const asked: string[] = [];
    vi.stubGlobal('fetch', async () => {
      asked.push('library');
      return new Response(await readFile('node_modules/@foxglove/wasm-lz4/dist/wasm-lz4.wasm'));
    });
    const longer = whole.slice();
    new DataView(longer.buffer).setUint32(7, 0x8000_ffff, true);
    const noMagic = whole.slice().fill(0, 0, 4);
    for (const damaged of [whole.subarray(0, 20_000), whole.subarray(0, 5), longer, noMagic, new Uint8Array(0)]) {
      const before = await decompressor('lz4');
      await expect(unpack(damaged)).rejects.toThrow('expected an lz4 frame of 50000 bytes, found damaged data');
      expect(await unpack(whole)).toEqual(plain);
      // Whoever waited for the library at the same time has the old one.
      expect(before(whole, plain.byteLength)).toEqual(plain);
    }
    await expect(unpack(storedLz4(plain.subarray(1)).compressedData)).rejects.toThrow('damaged data');
    expect(await unpack(whole)).toEqual(plain);
    expect(asked.length).toBeLessThanOrEqual(7);
  }, 30_000);
});
