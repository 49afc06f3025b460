import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { arrayBlocks } from '../../drivers/uma8/recording-reader.ts';

test('a path that opens and cannot be read is refused, and is not left open', async () => {
  const open = async (): Promise<number> => (await readdir('/proc/self/fd')).length;
  const before = await open();
  for (let count = 0; count < 20; count += 1) {
    const blocks = arrayBlocks(tmpdir(), 48_000, 4800, 0, new AbortController().signal);
    await expect(blocks.next()).rejects.toMatchObject({ code: 'bad-recording' });
  }
  expect(await open()).toBeLessThan(before + 10);
});
