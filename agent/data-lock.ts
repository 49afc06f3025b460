/**
 * Keeps two agents out of one data folder: a lock file with the holder's process id and start time, taken over when that
 * process is gone.
 */
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError } from './error.ts';

const NAME = 'agent.lock';
/** Starters that meet over the lock of one that is gone wait for each other this often, so long. */
const ATTEMPTS = 40;
const WAIT_MS = 5;

/** Releases the lock; harmless when done already. */
export type ReleaseLock = () => Promise<void>;

/**
 * Makes the folder if need be and locks it. Throws AgentError `locked` naming the process that holds it, `storage` when the
 * folder cannot be written.
 */
export async function lockDataFolder(folder: string): Promise<ReleaseLock> {
  const path = join(folder, NAME);
  const mine = `${process.pid} ${await startTime(process.pid)}\n`;
  try {
    await mkdir(folder, { recursive: true });
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      if (await create(path, mine)) return () => release(path, mine);
      await removeStale(path, mine);
    }
  } catch (cause) {
    if (cause instanceof AgentError) throw cause;
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('storage', `data_dir ${folder}: expected a folder that can be written, found: ${found}`, {
      cause,
    });
  }
  throw new AgentError('locked', `data_dir ${folder}: other agents keep taking the lock ${path}`, { retryable: true });
}

/** Makes the lock whole in one step, so that nobody ever reads half of one; false when there is one already. */
async function create(path: string, content: string): Promise<boolean> {
  const draft = nameBeside(path);
  try {
    await writeFile(draft, content);
    await link(draft, path).catch((error: NodeJS.ErrnoException) => {
      // A file system without hard links, as on some memory cards.
      if (error.code !== 'EPERM' && error.code !== 'ENOTSUP') throw error;
      return writeFile(path, content, { flag: 'wx' });
    });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/** Removes the lock of a process that is gone, unless another starter is at it; throws `locked` when it is alive. */
async function removeStale(path: string, mine: string): Promise<void> {
  const content = await readLock(path);
  if (content === null) return;
  const holder = await aliveHolder(content);
  if (holder !== null) {
    throw new AgentError('locked', `${path}: expected no other agent, found process ${holder}: stop it first`, {
      retryable: true,
    });
  }
  // One starter at a time removes a lock, or the slower of two would remove the new lock of the quicker one.
  const turn = `${path}.takeover`;
  if (!(await create(turn, mine))) {
    const whose = await readLock(turn);
    // Its holder died in these few lines.
    if (whose !== null && (await aliveHolder(whose)) === null) await rm(turn, { force: true });
    await sleep(WAIT_MS);
    return;
  }
  try {
    if ((await readLock(path)) === content) await rm(path, { force: true });
  } finally {
    await release(turn, mine);
  }
}

/** What is in a lock; null when there is none. */
function readLock(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
}

/** The process id in a lock, while that process is alive; else null. */
async function aliveHolder(content: string): Promise<string | null> {
  const [pid = '', started = ''] = content.trim().split(' ');
  return pid !== '' && started !== '' && (await startTime(Number(pid))) === started ? pid : null;
}

let names = 0;

/** A file name of this call alone, in the lock's folder. */
function nameBeside(path: string): string {
  names += 1;
  return `${path}.${process.pid}.${names}`;
}

/** When a process started, in clock ticks since boot (proc_pid_stat(5), field 22); empty when there is none such. */
async function startTime(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

async function release(path: string, mine: string): Promise<void> {
  const content = await readFile(path, 'utf8').catch(() => '');
  if (content === mine) await rm(path, { force: true });
}
