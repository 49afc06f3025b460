/**
 * Starts the agent lean: once the configuration is checked, this process replaces itself (same id) by one that never loads what
 * only checking needs, whose code comes compiled from a cache, and whose heap is set up for little garbage. That saves the vehicle
 * about 60 MB.
 */
import { execFile } from 'node:child_process';
import { access, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { AgentConfig } from './config/schema.ts';
import { type CheckedModel, checkModelFile } from './detector/checked-model.ts';

/** Carries what was checked, as JSON, to the lean process. */
export const CHECKED_VARIABLE = 'FENDER_CHECKED';

/** What the lean process need not check again. */
export interface Checked {
  readonly config: AgentConfig;
  readonly model: CheckedModel | null;
}

/**
 * The agent's garbage is large buffers, for which a small young generation and one helper thread are enough. What is compiled for
 * other settings of --optimize-for-size is of no use: the detector process has the same.
 */
const FLAGS: readonly string[] = ['--max-semi-space-size=1', '--optimize-for-size', '--v8-pool-size=1'];

/**
 * glibc's allocator (mallopt(3)): large buffers, of sound or of source code, get pages of their own, which go back to the system
 * when they are freed, and one arena for all threads leaves fewer places for what is free and kept.
 */
const ALLOCATOR = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '16384',
  MALLOC_TRIM_THRESHOLD_: '65536',
  MALLOC_TOP_PAD_: '16384',
} as const;

/** Of a text that is longer than 128 KiB the kernel makes no variable (execve(2), E2BIG), and Node aborts instead of returning. */
const MAX_CHECKED_BYTES = 100_000;

/** A compilation that takes longer hangs; the agent then starts without it. */
const COMPILE_TIMEOUT_MS = 60_000;

/**
 * Replaces this process; returns only where that is not possible, and the agent then runs in this process as it is, or when `signal`
 * aborts: the new process knows nothing of what this one was told.
 */
export async function replaceByLeanProcess(config: AgentConfig, signal: AbortSignal): Promise<void> {
  if (process.execve === undefined) return;
  const cacheFolder = join(resolve(config.data_dir), 'cache');
  await compileAhead(cacheFolder, signal).catch(() => {});
  const model = await checkModelFile(
    resolve(import.meta.dirname, '..', config.detector.model),
    config.detector.max_model_bytes,
  );
  const main = resolve(import.meta.dirname, 'lean-process.ts');
  const env = {
    ...process.env,
    NODE_COMPILE_CACHE: cacheFolder,
    ...ALLOCATOR,
    [CHECKED_VARIABLE]: checkedText({ config, model }),
  };
  // A system signal that came during the work above is heard in the next turn of the event loop.
  await nextTurn();
  if (signal.aborted) return;
  try {
    process.execve(process.execPath, [process.execPath, ...FLAGS, main], env);
  } catch {
    // Then the agent runs in this process.
  }
}

/** Without the model where that would be too long; the detector process then checks it again. Exported for tests. */
export function checkedText(checked: Checked): string {
  const text = JSON.stringify(checked);
  return Buffer.byteLength(text) <= MAX_CHECKED_BYTES ? text : JSON.stringify({ ...checked, model: null });
}

/** Fills the compile cache, once for each version of Node and state of the program, in a process that finds nothing loaded yet. */
async function compileAhead(cacheFolder: string, signal: AbortSignal): Promise<void> {
  const mark = join(cacheFolder, `compiled-${process.version}-${await newestSourceMs()}`);
  const isDone = await access(mark).then(
    () => true,
    () => false,
  );
  if (isDone) return;
  await rm(cacheFolder, { recursive: true, force: true });
  await mkdir(cacheFolder, { recursive: true });
  const program = resolve(import.meta.dirname, 'compile-ahead.ts');
  const env = { ...process.env, NODE_COMPILE_CACHE: cacheFolder };
  await promisify(execFile)(process.execPath, [...FLAGS, program], { env, signal, timeout: COMPILE_TIMEOUT_MS });
  await writeFile(mark, '');
}

/** When a source file of the agent's rooms was changed last, in ms since 1970: one that is not compiled ahead costs all of the gain. */
async function newestSourceMs(): Promise<number> {
  let newestMs = 0;
  for (const room of ['agent', 'drivers', 'models', 'sync']) {
    const folder = resolve(import.meta.dirname, '..', room);
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const sources = entries.filter((entry) => entry.isFile() && /\.(ts|js)$/.test(entry.name));
    const infos = await Promise.all(sources.map((entry) => stat(join(entry.parentPath, entry.name))));
    newestMs = Math.max(newestMs, ...infos.map(({ mtimeMs }) => mtimeMs));
  }
  return Math.round(newestMs);
}
