/** Owns ending a run whose case never ends: nothing in the thread that runs it could tell of it. */

import { Worker } from 'node:worker_threads';

/** A loaded machine may take minutes for what takes seconds elsewhere. */
const longestCaseMs = 600_000;

const watch = `
const { workerData: { began, firstSeed, longestMs } } = require('node:worker_threads');
let [last, sinceMs] = [-1, 0];
setInterval(() => {
  const now = Atomics.load(began, 0);
  if (now !== last) [last, sinceMs] = [now, Date.now()];
  if (Date.now() - sinceMs < longestMs) return;
  require('node:fs').writeSync(1, 'seed ' + (firstSeed + last) + ' did not end in ' + longestMs / 1000 + ' s\\n');
  process.kill(process.pid, 'SIGKILL');
}, longestMs / 10);
`;

/** Watches the cases from `firstSeed` on; `began` tells how many are done. The process is killed, with the seed said, when one never ends. */
export function watchCases(firstSeed: number, longestMs = longestCaseMs): { began: (done: number) => void } {
  const began = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(watch, { eval: true, workerData: { began, firstSeed, longestMs } });
  worker.unref();
  return { began: (done) => void Atomics.store(began, 0, done) };
}
