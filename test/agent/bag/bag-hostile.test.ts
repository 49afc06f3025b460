import { execFileSync } from 'node:child_process';
import { mkdir, readdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { bagVerify } from '../../../agent/bag/bag-check.ts';
import { someBagFiles } from '../../../agent/bag/bag-folder.ts';
import { bagInfo } from '../../../agent/bag/bag-info.ts';
import { bagCut, bagMerge } from '../../../agent/bag/bag-merge.ts';
import { bagRecover } from '../../../agent/bag/bag-recover.ts';
import { RecordingError } from '../../../agent/bag/error.ts';
import { bagExport } from '../../../agent/bag/export/bag-export.ts';
import { scratchFolder } from '../recording/scratch-folder.ts';
import { driveMessages, madeBag } from './bag-fixtures.ts';

const info = async (path: string) => Promise.all((await someBagFiles([path])).map((file) => bagInfo(file)));

/** Each command on a path; it makes what it makes at `out`. */
const commands: Readonly<Record<string, (path: string, out: string, good: string) => Promise<unknown>>> = {
  info,
  verify: (path) => bagVerify(path),
  recover: (path, out) => bagRecover(path, out),
  export: (path, out) => bagExport(path, out, { formats: ['wav', 'csv'], gaps: 'silence' }),
  cut: (path, out) => bagCut(path, out, {}),
  merge: (path, out, good) => bagMerge([good, path], out),
};

/** Makes an input; its message says what the command must say of it. */
const inputs: Readonly<Record<string, [make: (path: string) => Promise<unknown>, message: RegExp]>> = {
  'an empty file': [(path) => writeFile(path, ''), /found 0 bytes.*offset 0/],
  'the magic alone': [(path) => writeFile(path, '\x89MCAP0\r\n', 'latin1'), /expected records at offset 8/],
  'a PNG': [(path) => writeFile(path, '\x89PNG\r\n\x1a\n...', 'latin1'), /a PNG image at offset 0/],
  'a gzip': [(path) => writeFile(path, gzipSync('hi')), /gzip at offset 0.*gunzip/],
  'a ROS 1 bag': [(path) => writeFile(path, '#ROSBAG V2.0\n'), /ROS 1 bag at offset 0.*rosbags-convert/],
  'an SQLite file': [(path) => writeFile(path, 'SQLite format 3\0'), /sqlite3 storage.*\n.*\n +ros2 bag convert -i/],
  noise: [
    (path) => writeFile(path, Buffer.from(Array.from({ length: 5000 }, (_, at) => (at * at * 7919) >> 5))),
    /magic/,
  ],
  'a large file with nothing in it': [
    (path) => writeFile(path, '').then(() => truncate(path, 2 ** 21)),
    /2097152 bytes/,
  ],
  'an empty folder': [(path) => mkdir(path), /expected MCAP files \(\*\.mcap\), found none/],
  'a folder of an sqlite3 bag': [
    async (path) => {
      await mkdir(path);
      await writeFile(join(path, 'drive_0.db3'), 'SQLite format 3\0');
    },
    /found one of the sqlite3 storage/,
  ],
  'a folder packed as a whole': [
    async (path) => {
      await mkdir(path);
      await writeFile(join(path, 'drive_0.mcap.zstd'), '');
    },
    /compressed as a whole.*zstd -d/,
  ],
  'a pipe': [async (path) => execFileSync('mkfifo', [path]), /a named pipe/],
  'a path with nothing': [async () => {}, /nothing of that name/],
};

test.each(Object.entries(inputs))(
  '%s is refused by every command, in words, and leaves nothing behind',
  async (_, [make, message]) => {
    const folder = await scratchFolder();
    const [path, good] = [join(folder, 'input'), join(folder, 'good.mcap')];
    await make(path);
    await writeFile(good, madeBag(driveMessages(1)));
    const before = await readdir(folder);
    for (const [name, command] of Object.entries(commands)) {
      const error = await command(path, join(folder, 'out'), good).then(
        () => null,
        (cause: unknown) => cause,
      );
      expect(error, name).toBeInstanceOf(RecordingError);
      expect((error as Error).message, name).toMatch(message);
    }
    expect(await readdir(folder)).toEqual(before);
  },
);

test('an endless device is not read', async () => {
  for (const [name, command] of Object.entries(commands)) {
    const error = await command('/dev/zero', '/dev/null/out', '/dev/zero').catch((cause: unknown) => cause);
    expect((error as Error).message, name).toMatch(
      /\/dev\/zero: expected a regular file, found a device|\/dev\/null\/out/,
    );
  }
});
