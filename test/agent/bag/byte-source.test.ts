import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FileSource } from '../../../agent/bag/byte-source.ts';
import { scratchFolder } from '../recording/scratch-folder.ts';

test('a segment that got its final name since it was listed is opened by that; what is gone is told by the name it had', async () => {
  const folder = await scratchFolder();
  const listed = join(folder, 'drive_0.mcap.active');
  await expect(FileSource.open(listed)).rejects.toThrow(`${listed}: expected a readable file, found ENOENT`);
  await writeFile(join(folder, 'drive_0.mcap'), 'final');
  const source = await FileSource.open(listed);
  expect(Buffer.from(await source.read(0, 10)).toString()).toBe('final');
  await source.close();
  await writeFile(listed, 'unfinished');
  const unfinished = await FileSource.open(listed);
  expect(unfinished.size).toBe(10);
  await unfinished.close();
});
