/** What the viewer's decompression promises of chunks that are damaged. */

import { readFile } from 'node:fs/promises';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { decompressor } from '../../../central/web/src/bag/reading/decompress.ts';
import { storedLz4 } from './bag-fixtures.ts';

const plain = Uint8Array.from({ length: 50_000 }, (_, index) => (index * index) & 255);
const { compressedData: whole } = storedLz4(plain);

/** 580 bytes whose table of literals a flipped bit made one that never comes to its end. */
const endless = Buffer.from(
  'KLUv/WBEARUJAIKLKjLwS9MYMO7/X6/7VoX1CRwAhBhEhoY2LbLV8601Ic3W/zsSvwROQvIi5FRlIpzgyN87BVP1mhPqxIa5' +
    'lAeDps0I5Bd4LuumDva5LEXF/hLw6SuLOWR/QM0mBGW76owsJrmula3QAoYGZBBhWyXbQwTNn8CadPuhe+/mAkpJDlgyEVNF' +
    'TPVPSls4ls0x8xqd/I1zA5wBlwhPVsLSx+9k0sTvCiI6LCAbvxVgOyDQgqEidhhlNPgZdgxiieCNqyJoJ968gUXhcwJLAr5y' +
    'S0CCo1ZG+lwkPVxzAiBoRwCJBKC1HnkWz3ZZa7KmZenMNxtWyGQD3pI4enEMNsJxg21QuMnHLPANbUiG8shaW+UK6eeYrG2G' +
    'w+ygTa+wpxQDD30I',
  'base64',
);

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

describe('zstd chunks', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('that are damaged in any bit are read to their end, or refused', async () => {
    vi.stubGlobal('fetch', async () => {
      return new Response(await readFile('node_modules/@foxglove/wasm-zstd/dist/wasm-zstd.wasm'));
    });
    const unpackZstd = await decompressor('zstd');
    expect(() => unpackZstd(endless, 580)).toThrow('expected a zstd frame of 580 bytes, found damaged data');
    const text = Buffer.from(Array.from({ length: 60 }, (_, index) => `${index ** 3} °C, `).join(''));
    const packed = zstdCompressSync(text);
    let refused = 0;
    for (let bit = 0; bit < packed.byteLength * 8; bit += 1) {
      const damaged = Uint8Array.from(packed);
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      try {
        expect(unpackZstd(damaged, text.byteLength)).toHaveLength(text.byteLength);
      } catch (error) {
        expect((error as Error).message).toMatch(/^expected a zstd frame of \d+ bytes, found damaged data$/);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(100);
    for (const size of [0, text.byteLength - 1, text.byteLength + 1]) {
      expect(() => unpackZstd(packed, size)).toThrow('found damaged data');
    }
    expect(unpackZstd(packed, text.byteLength)).toEqual(Uint8Array.from(text));
  });
});
