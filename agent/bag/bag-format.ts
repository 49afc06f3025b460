/** Owns telling an MCAP file from all other files, with the cure for those that have one. */

import { type ByteSource, isUnfinished, unfinishedText } from './byte-source.ts';
import { RecordingError } from './error.ts';
import { magicBytes } from './mcap-records.ts';
import type { RebuildReport } from './rebuild.ts';
import { shellWord } from './shell-word.ts';

/** How to make MCAP of a rosbag2 bag of the sqlite3 storage; `path` is the bag's folder or file. */
export function sqliteCure(path: string): string {
  return [
    convertCure(path),
    'or without ROS 2 (pip install rosbags):',
    `  rosbags-convert --src ${shellWord(path)} --dst converted --dst-storage mcap`,
  ].join('\n');
}

/** How to make MCAP with plain messages of any bag that rosbag2 reads; `path` is the bag's folder or file. */
export function convertCure(path: string): string {
  return [
    'Convert it where ROS 2 is:',
    `  printf 'output_bags:\\n- uri: converted\\n  storage_id: mcap\\n  all: true\\n  all_topics: true\\n' > to-mcap.yaml`,
    `  ros2 bag convert -i ${shellWord(path)} -o to-mcap.yaml`,
  ].join('\n');
}

const foreignFormats: readonly [start: string, name: string, cure: string][] = [
  ['#ROSBAG V2.0', 'a ROS 1 bag', 'Convert it: `rosbags-convert --src drive.bag --dst drive` (pip install rosbags)'],
  ['\x28\xb5\x2f\xfd', 'a file compressed with zstd', 'Unpack it first: `zstd -d FILE`'],
  ['\x04\x22\x4d\x18', 'a file compressed with lz4', 'Unpack it first: `lz4 -d FILE`'],
  ['\x1f\x8b', 'a file compressed with gzip', 'Unpack it first: `gunzip FILE`'],
  ['\x89PNG\r\n\x1a\n', 'a PNG image', ''],
  ['RIFF', 'a RIFF file (WAV, AVI)', ''],
  ['PK\x03\x04', 'a ZIP archive', ''],
  ['%PDF-', 'a PDF document', ''],
];

/**
 * Refuses what is of another kind by its first bytes.
 * @throws RecordingError `empty`, `sqlite3`, `not-mcap`; it names the path and the offset.
 */
export async function refuseForeign(source: ByteSource): Promise<void> {
  if (source.size === 0) {
    const why = isUnfinished(source.name) ? `: ${unfinishedText}` : '';
    throw new RecordingError(
      'empty',
      `${source.name}: expected an MCAP file, found 0 bytes (nothing at offset 0)${why}`,
    );
  }
  const text = Buffer.from(await source.read(0, 16)).toString('latin1');
  if (text.startsWith('SQLite format 3\0')) {
    throw new RecordingError(
      'sqlite3',
      `${source.name}: expected an MCAP file, found a SQLite database at offset 0: a rosbag2 bag of the sqlite3 storage. ${sqliteCure(source.name)}`,
    );
  }
  const [, name, cure] = foreignFormats.find(([start]) => text.startsWith(start)) ?? [];
  if (name === undefined) return;
  const hint = cure === '' ? '' : `. ${cure}`;
  throw new RecordingError('not-mcap', `${source.name}: expected an MCAP file, found ${name} at offset 0${hint}`);
}

/** The error of a file in which no record of MCAP was found. */
export async function notMcap(source: ByteSource): Promise<RecordingError> {
  const found = Buffer.from(await source.read(0, 8)).toString('hex');
  const expected = Buffer.from(magicBytes).toString('hex');
  if (found === expected) {
    const text = `expected records at offset ${magicBytes.byteLength}, found none in ${source.size} bytes`;
    return new RecordingError('not-mcap', `${source.name}: ${text}`);
  }
  return new RecordingError(
    'not-mcap',
    `${source.name}: expected the MCAP magic ${expected} at offset 0, found ${/^0+$/.test(found) ? 'zeros' : found}, and no record in ${source.size} bytes`,
  );
}

/** Whether a rebuild found anything of a bag. */
export function foundNothing(report: RebuildReport): boolean {
  const { statistics } = report;
  return statistics.chunkCount === 0 && statistics.channelCount === 0 && statistics.schemaCount === 0 && !report.ended;
}
