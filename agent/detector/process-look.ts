/** Looks at a process through /proc: what it does, and how much memory it holds. */
import { readdirSync, readFileSync } from 'node:fs';

/** A process as the kernel describes it. */
export interface ProcessLook {
  /**
   * proc_pid_stat(5): R runs or wants to, S sleeps, D waits for the disk, T is stopped; of all its threads the busiest, as one may wait for
   * another that does not get its turn.
   */
  readonly state: string;
  /** User and system time, seconds, in steps of 10 ms. */
  readonly cpuS: number;
}

const CLOCK_TICKS_PER_S = 100;
const PAGE_BYTES = 4096;

/** The process now; null when it is gone. */
export function lookAt(pid: number): ProcessLook | null {
  const whole = statFields(`/proc/${pid}/stat`);
  if (whole === null) return null;
  const states = [whole[0], ...threadsOf(pid).map((id) => statFields(`/proc/${pid}/task/${id}/stat`)?.[0])];
  const state = ['R', 'D'].find((busy) => states.includes(busy)) ?? whole[0] ?? '?';
  return { state, cpuS: (Number(whole[11]) + Number(whole[12])) / CLOCK_TICKS_PER_S };
}

/** The resident memory of the process, bytes; null when it is gone. */
export function residentBytes(pid: number): number | null {
  const statm = read(`/proc/${pid}/statm`);
  return statm === null ? null : Number(statm.split(' ')[1]) * PAGE_BYTES;
}

/** The fields of proc_pid_stat(5) from the state on. */
function statFields(path: string): string[] | null {
  const stat = read(path);
  return stat === null ? null : stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
