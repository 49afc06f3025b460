import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RecentReads } from '../../../central/web/src/bag/reading/recent-reads.ts';

/** A file of so many bytes, of which every read is noted; `fails` says whether the next one does. */
function countedFile(size: number) {
  const whole = new Uint8Array(size);
  whole.set(Uint8Array.from({ length: Math.min(size, 1000) }, (_, at) => (at * 7919) >> 3));
  const file = {
    name: 'file',
    size,
    whole,
    reads: [] as [offset: number, length: number][],
    fails: false,
    read: async (offset: number, length: number) => {
      file.reads.push([offset, length]);
      if (file.fails) throw new Error('gone');
      return whole.subarray(offset, offset + length);
    },
  };
  return file;
}

test('what was read or is on its way is not read again, and of the rest what lies from the first gap to the last', async () => {
  const file = countedFile(1000);
  const recent = new RecentReads().of(file);
  const [first, again] = await Promise.all([recent.read(100, 100), recent.read(120, 50)]);
  expect(first).toEqual(file.whole.subarray(100, 200));
  expect(again).toEqual(file.whole.subarray(120, 170));
  await recent.read(300, 100);
  expect(await recent.read(150, 200)).toEqual(file.whole.subarray(150, 350));
  expect(await recent.read(50, 450)).toEqual(file.whole.subarray(50, 500));
  expect(await recent.read(50, 450)).toEqual(file.whole.subarray(50, 500));
  expect(file.reads).toEqual([
    [100, 100],
    [300, 100],
    [200, 100],
    [50, 450],
  ]);
});

test('the same bytes are given, in whichever order two files are read', async () => {
  const read = fc.tuple(fc.boolean(), fc.nat(999), fc.integer({ min: 1, max: 300 }));
  await fc.assert(
    fc.asyncProperty(fc.array(read, { maxLength: 40 }), async (reads) => {
      const recent = new RecentReads();
      const files = [countedFile(1000), countedFile(700)].map((file) => ({ file, source: recent.of(file) }));
      await Promise.all(
        reads.map(async ([which, at, length]) => {
          const { file, source } = files[Number(which)] as (typeof files)[number];
          const offset = at % file.size;
          const wanted = Math.min(length, file.size - offset);
          expect(await source.read(offset, wanted)).toEqual(file.whole.subarray(offset, offset + wanted));
        }),
      );
    }),
  );
});

test('a read that failed is tried again', async () => {
  const file = countedFile(1000);
  const recent = new RecentReads().of(file);
  file.fails = true;
  await expect(recent.read(0, 10)).rejects.toThrow('gone');
  file.fails = false;
  expect(await recent.read(0, 10)).toEqual(file.whole.subarray(0, 10));
});

test('no more than 32 MiB are kept, and no read of more than 8', async () => {
  const piece = 4 * 1024 * 1024;
  const file = countedFile(40 * 1024 * 1024);
  const recent = new RecentReads().of(file);
  for (let at = 0; at < 10; at += 1) await recent.read(at * piece, piece);
  await recent.read(9 * piece, 10);
  await recent.read(2 * piece, 10);
  expect(file.reads).toHaveLength(10);
  await recent.read(piece, 10);
  expect(file.reads).toHaveLength(11);
  await recent.read(0, 2 * piece + 1);
  await recent.read(0, 2 * piece + 1);
  expect(file.reads).toHaveLength(13);
});
