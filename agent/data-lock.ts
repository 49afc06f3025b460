/**
 * Keeps two agents out of one data folder: a lock file with the holder's process id and start time, taken over when that
 * process is gone.
 */
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError } from './error.ts';

const NAME = 'agent.lock';

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
    for (let attempt = 0; attempt < 3; attempt += 1) {
      if (await create(path, mine)) return () => release(path, mine);
      await removeStale(path);
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

/** Removes the lock of a process that is gone; throws `locked` when it is alive. */
async function removeStale(path: string): Promise<void> {
  const content = await readFile(path, 'utf8').catch(() => '');
  const [pid = '', started = ''] = content.trim().split(' ');
  if (pid !== '' && started !== '' && (await startTime(Number(pid))) === started) {
    throw new AgentError('locked', `${path}: expected no other agent, found process ${pid}: stop it first`, {
      retryable: true,
    });
  }
  const aside = nameBeside(path);
  await rename(path, aside).catch(() => {});
  // Another starter may have been quicker, and this is its new lock: it goes back.
  const taken = await readFile(aside, 'utf8').catch(() => content);
  if (taken !== content) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
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
