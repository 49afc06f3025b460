/**
 * Owns what a path given to a bag tool stands for: an MCAP file, or a folder with the segments of a recording as rosbag2 lays it
 * out, finished or not.
 */

import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { McapTypes } from '@mcap/core';
import { convertCure, sqliteCure } from './bag-format.ts';
import { RecordingError, systemCode } from './error.ts';
import { parseForeignYaml } from './foreign-yaml.ts';
import { shellWord } from './shell-word.ts';

/** Name of the file that makes a folder a rosbag2 bag. */
export const metadataName = 'metadata.yaml';
const maxMetadataBytes = 16 * 1024 * 1024;
const collator = new Intl.Collator('en', { numeric: true });

/** What `metadata.yaml` says, as far as the tools use it. */
export interface FolderMetadata {
  readonly storage: string;
  /** Compression of whole files or single messages by rosbag2; empty for none, and for MCAP's own. */
  readonly compression: string;
  /** The parsed `rosbag2_bagfile_information`, not checked. */
  readonly information: Readonly<Record<string, unknown>>;
}

/** Reads a folder's `metadata.yaml`; null without one. @throws RecordingError `nothing-readable` for one that is no YAML. */
export async function readFolderMetadata(folder: string): Promise<FolderMetadata | null> {
  const path = join(folder, metadataName);
  const wrong = (found: string): RecordingError =>
    new RecordingError('nothing-readable', `${path}: expected rosbag2_bagfile_information in YAML, found ${found}`);
  const stats = await stat(path).catch(() => null);
  if (stats === null) return null;
  if (!stats.isFile() || stats.size > maxMetadataBytes) throw wrong(stats.isFile() ? `${stats.size} bytes` : 'no file');
  const text = await readFile(path, 'utf8');
  let document: unknown;
  try {
    document = parseForeignYaml(text);
  } catch (cause) {
    throw wrong(`something else: ${(cause as Error).message.split('\n')[0]?.replace(/:$/, '')}`);
  }
  const information = (document as { rosbag2_bagfile_information?: unknown } | null)?.rosbag2_bagfile_information;
  if (typeof information !== 'object' || information === null) throw wrong('other keys');
  const fields = information as Record<string, unknown>;
  return {
    storage: String(fields.storage_identifier ?? ''),
    compression:
      String(fields.compression_mode ?? '').toLowerCase() === 'none' ? '' : String(fields.compression_mode ?? ''),
    information: fields,
  };
}

/** Names of the segments in a folder, in order, with and without their end. */
export async function segmentNames(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => /\.mcap(\.active)?$/.test(name));
  return names.sort(collator.compare);
}

async function refuseFolder(folder: string, names: readonly string[]): Promise<void> {
  const metadata = await readFolderMetadata(folder).catch(() => null);
  if (metadata?.storage === 'sqlite3' || names.some((name) => /\.db3(\.\w+)?$/.test(name))) {
    throw new RecordingError(
      'sqlite3',
      `${folder}: expected a bag in MCAP files, found one of the sqlite3 storage. ${sqliteCure(folder)}`,
    );
  }
  const packed = names.find((name) => /\.mcap\.(zstd|zst|lz4|gz)$/.test(name));
  if (packed !== undefined) {
    throw new RecordingError(
      'nothing-readable',
      `${join(folder, packed)}: expected an MCAP file, found one compressed as a whole. Unpack it first: \`zstd -d --rm ${shellWord(join(folder, packed))}\``,
    );
  }
}

/** What `ros2 bag record --compression-mode message` makes: each message is a zstd frame, and only metadata.yaml tells a player. */
function packedMessages(path: string): RecordingError {
  return new RecordingError(
    'nothing-readable',
    `${path}: expected messages as they were published, found each of them compressed (compression_mode MESSAGE of rosbag2). ${convertCure(path)}`,
  );
}

/** @throws RecordingError `nothing-readable` for a folder, or a file of one, whose metadata.yaml says that messages are compressed one by one. */
export async function refusePackedFolders(path: string): Promise<void> {
  for (const folder of [path, dirname(path)]) {
    const metadata = await readFolderMetadata(folder).catch(() => null);
    if (metadata?.compression.toLowerCase() !== 'message') continue;
    const files = metadata.information.relative_file_paths;
    const isOfIt = folder === path || (Array.isArray(files) && files.includes(basename(path)));
    if (isOfIt) throw packedMessages(path);
  }
}

/** As `refusePackedFolders`, by the metadata that rosbag2 writes into the file at `path`. */
export function refusePacked(path: string, metadata: readonly McapTypes.Metadata[]): void {
  const said = metadata
    .filter(({ name }) => name === 'rosbag2')
    .map((each) => each.metadata.get('serialized_metadata'));
  if (said.some((text) => /^[ \t]*compression_mode: "?message"?[ \t\r]*$/im.test(text ?? '')))
    throw packedMessages(path);
}

/**
 * The segments of a recording's folder, in order; or the file itself.
 * @throws RecordingError `nothing-readable` when there is nothing at the path, `sqlite3` for a bag of that storage.
 */
export async function bagFiles(path: string): Promise<string[]> {
  let names: string[];
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    names = await readdir(path);
  } catch (cause) {
    const code = systemCode(cause);
    const found = code === 'ENOENT' ? 'nothing of that name' : code;
    throw new RecordingError('nothing-readable', `${path}: expected a file or a folder of segments, found ${found}`, {
      cause,
    });
  }
  const segments = names.filter((name) => /\.mcap(\.active)?$/.test(name)).sort(collator.compare);
  if (segments.length === 0) await refuseFolder(path, names);
  return segments.map((name) => join(path, name));
}

/** As `bagFiles` of all paths, each with one file at least. @throws RecordingError as `bagFiles`; `nothing-readable` for one without any. */
export async function someBagFiles(paths: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const path of paths) {
    const found = await bagFiles(path);
    if (found.length === 0) {
      throw new RecordingError('nothing-readable', `${path}: expected MCAP files (*.mcap), found none`);
    }
    files.push(...found);
  }
  return files;
}
