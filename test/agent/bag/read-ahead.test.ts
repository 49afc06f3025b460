import fc from 'fast-check';
import { expect, test } from 'vitest';
import { memorySource } from '../../../agent/bag/byte-source.ts';
import { ReadAhead } from '../../../agent/bag/read-ahead.ts';

const bytes = Uint8Array.from({ length: 5000 }, (_, index) => (index * 31) % 251);

test('reads ahead give the same bytes as reads of the source, in any order and size', async () => {
  const reads = fc.array(fc.record({ step: fc.integer({ min: -300, max: 300 }), length: fc.nat(700) }), {
    maxLength: 60,
  });
  await fc.assert(
    fc.asyncProperty(reads, fc.integer({ min: 1, max: 600 }), async (steps, windowBytes) => {
      const ahead = new ReadAhead(memorySource(bytes), windowBytes);
      let offset = 0;
      for (const { step, length } of steps) {
        const expected = bytes.subarray(offset, Math.min(bytes.byteLength, offset + length));
        expect(Buffer.compare(await ahead.read(offset, length), expected)).toBe(0);
        offset = Math.max(0, Math.min(bytes.byteLength + 10, offset + length + step));
      }
      await ahead.settled();
    }),
  );
});

test('a file read front to back is read once, in windows', async () => {
  const windows: [number, number][] = [];
  const source = memorySource(bytes);
  const counted = {
    ...source,
    read: (offset: number, length: number) => {
      windows.push([offset, length]);
      return source.read(offset, length);
    },
  };
  const ahead = new ReadAhead(counted, 1000);
  for (let offset = 0; offset < bytes.byteLength; offset += 90) await ahead.read(offset, 90);
  expect(windows).toEqual([0, 1000, 2000, 3000, 4000].map((offset) => [offset, 1000]));
});

test('an error of reading ahead is told when its bytes are asked for, and not before', async () => {
  const source = memorySource(bytes);
  const failing = {
    ...source,
    read: (offset: number, length: number) =>
      offset < 2000 ? source.read(offset, length) : Promise.reject(new Error('bad block')),
  };
  const ahead = new ReadAhead(failing, 1000);
  await ahead.read(0, 500);
  await ahead.read(1500, 400);
  await expect(ahead.read(1950, 100)).rejects.toThrow('bad block');
  await ahead.settled();
});
