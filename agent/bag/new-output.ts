/**
 * Owns putting new files and folders in place: they grow under another name beside their own, which they get when they are whole and
 * on the disk. Whatever stops the work, nothing half is left under the name, and nothing that exists is replaced unasked.
 */

import { randomBytes } from 'node:crypto';
import { link, lstat, mkdir, readdir, realpath, rename, rm, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { syncFolder } from './durable-file.ts';
import { RecordingError, systemCode } from './error.ts';
import type { Progress } from './rebuild.ts';

/** How a tool's work is shown, stopped, and allowed to replace. */
export interface Work {
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Whether an output that exists is replaced. */
  readonly force?: boolean | undefined;
}

/** The files that something was made of, in words: a drive has hundreds. */
export function formatInputs(files: readonly string[]): string {
  return files.length <= 2 ? files.join(' and ') : `${files[0]} and ${files.length - 1} more files`;
}

/** A progress report that ends the work once it is to stop. @throws RecordingError `stopped` */
export function watched({ progress, signal }: Work): Progress {
  return (done, total) => {
    progress?.(done, total);
    stopIfAsked(signal);
  };
}

/** @throws RecordingError `stopped` */
export function stopIfAsked(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new RecordingError('stopped', 'stopped before the end; nothing was left half written');
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: unknown) => {
      if (systemCode(error) === 'ENOENT') return false;
      throw error;
    },
  );
}

function alreadyThere(path: string, cause?: unknown): RecordingError {
  return new RecordingError('exists', `${path}: expected no such file or folder, found one (--force replaces it)`, {
    cause,
  });
}

/** The errors of the disk under the name of what was being written. */
function outputError(path: string, error: unknown): unknown {
  if (error instanceof RecordingError) return error;
  const code = systemCode(error);
  if (code === 'unknown') return error;
  if (code === 'EEXIST' || code === 'ENOTEMPTY') return alreadyThere(path, error);
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
    const cure = 'free some, or write to another disk';
    return new RecordingError('no-space', `${path}: no space left: ${cure}`, { cause: error, retryable: true });
  }
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const folder = dirname(path);
    const found = code === 'ENOENT' ? 'none: make it first' : 'a file';
    return new RecordingError('write-failed', `${path}: expected a folder ${folder} to write into, found ${found}`, {
      cause: error,
    });
  }
  return new RecordingError('write-failed', `${path}: ${code}: ${(error as Error).message}`, { cause: error });
}

/** @throws RecordingError `exists` when the output is, or holds, or is in, one of the inputs. */
async function refuseInput(path: string, inputs: readonly string[]): Promise<void> {
  const parent = await realpath(dirname(resolve(path))).catch(() => dirname(resolve(path)));
  const output = join(parent, basename(path));
  for (const input of inputs) {
    const real = await realpath(input).catch(() => resolve(input));
    if (real === output || real.startsWith(output + sep) || output.startsWith(real + sep)) {
      throw new RecordingError('exists', `${path}: expected an output apart from the input, found ${input}`);
    }
  }
}

/**
 * Lets `write` make a file under another name, and gives it its own.
 * @param inputs paths that the output must not touch, whatever `force` says.
 * @throws RecordingError `exists`, `no-space`, `write-failed`, and what `write` throws.
 */
export async function writeNewFile<T>(
  path: string,
  inputs: readonly string[],
  force: boolean,
  write: (partial: string) => Promise<T>,
): Promise<T> {
  const partial = `${path}.${randomBytes(4).toString('hex')}.partial`;
  try {
    await refuseInput(path, inputs);
    if (!force && (await exists(path))) throw alreadyThere(path);
    const result = await write(partial);
    if (force) await rename(partial, path);
    else await renameIfFree(partial, path);
    await syncFolder(dirname(path));
    return result;
  } catch (error) {
    await rm(partial, { force: true });
    throw outputError(path, error);
  }
}

/** Only a link fails when there is a file already; file systems without links get the next best. */
async function renameIfFree(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
    await unlink(from);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') throw error;
    if (await exists(to)) throw alreadyThere(to, error);
    await rename(from, to);
  }
}

/** As `writeNewFile`, for a folder and everything in it. Only a folder that `mayReplace` accepts is ever replaced. */
export async function writeNewFolder<T>(
  path: string,
  inputs: readonly string[],
  force: boolean,
  mayReplace: (names: readonly string[]) => boolean,
  write: (partial: string) => Promise<T>,
): Promise<T> {
  const tag = randomBytes(4).toString('hex');
  const trimmed = resolve(path);
  const partial = `${trimmed}.${tag}.partial`;
  try {
    await refuseInput(trimmed, inputs);
    const there = await exists(trimmed);
    if (there) {
      if (!force) throw alreadyThere(path);
      const names = await readdir(trimmed);
      if (!mayReplace(names)) {
        throw new RecordingError(
          'exists',
          `${path}: expected a folder of this command to replace, found other files in it`,
        );
      }
    }
    await mkdir(partial);
    const result = await write(partial);
    await syncFolder(partial);
    const old = `${trimmed}.${tag}.replaced`;
    if (there) await rename(trimmed, old);
    await rename(partial, trimmed);
    await rm(old, { recursive: true, force: true });
    await syncFolder(dirname(trimmed));
    return result;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw outputError(path, error);
  }
}
