import { spawn } from 'node:child_process';
import { expect, test, vi } from 'vitest';
import { HangWatch } from '../../../agent/detector/hang-watch.ts';
import { MemoryWatch } from '../../../agent/detector/memory-watch.ts';
import { lookAt, residentBytes } from '../../../agent/detector/process-look.ts';
import { RestartPauses } from '../../../agent/detector/restart-pauses.ts';

/** Ticks of 100 ms until so much time is blamed on a process in this state, that gets this share of a core. */
function ticksUntil(blamedMs: number, state: string, cpuShare: number): number {
  const watch = new HangWatch();
  let cpuS = 0;
  let ticks = 0;
  while (watch.blamedMs < blamedMs) {
    cpuS += 0.1 * cpuShare;
    ticks += 1;
    watch.tick(100, () => ({ state, cpuS }));
  }
  return ticks;
}

test('a process that is stopped or loops is found out in its time, one that waits for its turn is given more', () => {
  expect(ticksUntil(600, 'T', 0)).toBe(6);
  expect(ticksUntil(600, 'R', 1)).toBeLessThanOrEqual(7);
  expect(ticksUntil(600, 'S', 0)).toBe(10);
  expect(ticksUntil(600, 'R', 0.1)).toBeGreaterThanOrEqual(40);
  expect(ticksUntil(600, 'D', 0)).toBeGreaterThanOrEqual(40);
});

test('progress forgives everything', () => {
  const watch = new HangWatch();
  for (let tick = 0; tick < 50; tick += 1) {
    watch.tick(100, () => ({ state: 'T', cpuS: 0 }));
    if (tick % 4 === 3) watch.progress();
    expect(watch.blamedMs).toBeLessThanOrEqual(400);
  }
});

test('a process that grew is replaced at a quiet moment, or soon without one, and killed when it grows on', () => {
  const grow = (bytes: number, isQuiet: boolean) => {
    const watch = new MemoryWatch(100);
    watch.weigh(60, true);
    return watch.weigh(bytes, isQuiet);
  };
  expect(grow(100, true)).toBe('fine');
  expect(grow(101, true)).toBe('replace');
  expect(grow(101, false)).toBe('fine');
  expect(grow(151, false)).toBe('kill');
  const watch = new MemoryWatch(100);
  const verdicts = Array.from({ length: 11 }, (_, look) => watch.weigh(look === 0 ? 60 : 120, false));
  expect(verdicts.indexOf('replace')).toBe(10);
  // Larger than allowed from the start: replacing it would help nobody.
  const large = new MemoryWatch(100);
  expect([large.weigh(140, true), large.weigh(200, true), large.weigh(211, true)]).toEqual(['fine', 'fine', 'replace']);
});

test('the first start after good work is at once, failing starts wait ever longer, and many restarts too', () => {
  const pauses = new RestartPauses(100);
  const waits = [true, false, false, false, false, false, false, false].map((hadSettled) => {
    pauses.lost(hadSettled, 0);
    return pauses.pauseMs;
  });
  expect(waits).toEqual([0, 500, 1_000, 2_000, 5_000, 15_000, 60_000, 60_000]);
  expect(Array.from({ length: 601 }, () => pauses.isOver()).indexOf(true)).toBe(600);
  const flood = new RestartPauses(100);
  for (let restart = 0; restart <= 30; restart += 1) {
    flood.settled();
    flood.lost(true, restart * 10);
    expect(flood.pauseMs).toBe(restart < 30 ? 0 : 20_000);
  }
  flood.lost(true, 100_000);
  expect(flood.pauseMs).toBe(0);
});

test('a process whose main thread waits for another is as busy as that one, a stopped one is stopped, one that is gone is null', async () => {
  const program = `const { Worker } = require('node:worker_threads');
    new Worker('for (;;);', { eval: true });
    setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 100);`;
  const child = spawn(process.execPath, ['-e', program], { stdio: 'ignore' });
  const pid = child.pid ?? 0;
  try {
    await vi.waitFor(() => expect(lookAt(pid)?.cpuS).toBeGreaterThan(0.3), { timeout: 20_000, interval: 20 });
    expect(lookAt(pid)?.state).toBe('R');
    expect(residentBytes(pid)).toBeGreaterThan(10e6);
    child.kill('SIGSTOP');
    await vi.waitFor(() => expect(lookAt(pid)?.state).toBe('T'), { timeout: 20_000, interval: 20 });
  } finally {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }
  expect([lookAt(pid), residentBytes(pid)]).toEqual([null, null]);
});
