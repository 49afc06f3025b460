/** Reads from /proc what memory processes have: pages that they share are counted for each, in shares, or once. */
import { readFileSync } from 'node:fs';

export interface MemoryFigures {
  /** Resident sets added up: what processes share counts for each of them. */
  readonly residentBytes: number;
  /** Proportional set sizes added up: a shared page is divided among all processes of the machine that have it. */
  readonly proportionalBytes: number;
  /** Private pages, and of each file the largest part that one of the processes has: nearly what they would have alone. */
  readonly sharedOnceBytes: number;
  /** Pages that no file backs. */
  readonly anonymousBytes: number;
}

/** The memory of all processes together, bytes. A process that is gone throws. */
export function memoryOf(pids: readonly number[]): MemoryFigures {
  let residentBytes = 0;
  let proportionalBytes = 0;
  let anonymousBytes = 0;
  const largestByFile = new Map<string, number>();
  for (const pid of pids) {
    for (const [file, mapped] of mappings(pid)) {
      residentBytes += mapped.Rss;
      proportionalBytes += mapped.Pss;
      anonymousBytes += mapped.Anonymous;
      largestByFile.set(file, Math.max(largestByFile.get(file) ?? 0, mapped.Rss - mapped.Anonymous));
    }
  }
  const fileBytes = [...largestByFile.values()].reduce((sum, bytes) => sum + bytes, 0);
  return { residentBytes, proportionalBytes, sharedOnceBytes: anonymousBytes + fileBytes, anonymousBytes };
}

/** Bytes of a process by mapped file, proc_pid_smaps(5). */
function mappings(pid: number): Map<string, { Rss: number; Pss: number; Anonymous: number }> {
  const found = new Map<string, { Rss: number; Pss: number; Anonymous: number }>();
  let current = { Rss: 0, Pss: 0, Anonymous: 0 };
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const head = /^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+\s*(.*)$/.exec(line);
    if (head !== null) {
      const file = head[1] ?? '';
      current = found.get(file) ?? { Rss: 0, Pss: 0, Anonymous: 0 };
      found.set(file, current);
      continue;
    }
    const figure = /^(Rss|Pss|Anonymous):\s+(\d+) kB/.exec(line);
    if (figure !== null) current[figure[1] as keyof typeof current] += Number(figure[2]) * 1024;
  }
  return found;
}
