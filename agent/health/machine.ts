/** Reads how the machine and the agent's processes are: CPU, memory, disk and temperature, from /proc and /sys. */
import { readdir, readFile, statfs } from 'node:fs/promises';

/** CPU time used and memory held by one process. */
export interface ProcessUsage {
  /** User and system time since the process began, in seconds. */
  readonly cpuS: number;
  /** Resident set, in bytes. */
  readonly memoryBytes: number;
}

/** Clock ticks a second in /proc: 100 on every Linux that Node runs on (sysconf(3), _SC_CLK_TCK). */
const TICKS_PER_SECOND = 100;

/** The usage of another process (proc_pid_stat(5) fields 14 and 15, smaps' Rss by statm); null when it is gone. */
export async function readProcess(pid: number, pageBytes = 4096): Promise<ProcessUsage | null> {
  try {
    const [stat, statm] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/statm`, 'utf8'),
    ]);
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = Number(fields[11]) + Number(fields[12]);
    return { cpuS: ticks / TICKS_PER_SECOND, memoryBytes: Number(statm.split(' ')[1]) * pageBytes };
  } catch {
    return null;
  }
}

/** The usage of this process. */
export function ownUsage(): ProcessUsage {
  const { user, system } = process.cpuUsage();
  return { cpuS: (user + system) / 1e6, memoryBytes: process.memoryUsage.rss() };
}

/** Room on the disk of a folder. */
export interface DiskSpace {
  /** What this user may still write, in bytes. */
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** Room on the folder's disk; null when it cannot be told. */
export async function readDisk(folder: string): Promise<DiskSpace | null> {
  try {
    const { bavail, blocks, bsize } = await statfs(folder);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  } catch {
    return null;
  }
}

/** Temperature of the SoC in °C: the hottest of the kernel's thermal zones; null where there is none. */
export async function readTemperature(root = '/sys/class/thermal'): Promise<number | null> {
  const zones = (await readdir(root).catch(() => [])).filter((name) => name.startsWith('thermal_zone'));
  const readings = await Promise.all(
    zones.map(async (zone) => Number(await readFile(`${root}/${zone}/temp`, 'utf8').catch(() => 'NaN')) / 1000),
  );
  const valid = readings.filter((value) => Number.isFinite(value));
  return valid.length === 0 ? null : Math.max(...valid);
}
