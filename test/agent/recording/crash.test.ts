import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { repairRecordings } from '../../../agent/recording/repair-recordings.ts';
import { range, readFileIndexed, readStream, sequencesOf } from './recording-fixtures.ts';
import { scratchFolder } from './scratch-folder.ts';

const rounds = 8;
/** FENDER_TEST_SEED replays a run's moments of killing. */
const seed = Number(process.env.FENDER_TEST_SEED ?? Date.now() % 1_000_000);

/** Pseudo-random numbers from 0 to 1 (mulberry32). */
function random(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Run {
  readonly settled: number;
  readonly given: { readonly count: number; readonly atMs: number }[];
  readonly killedAtMs: number;
}

async function recordAndKill(folder: string, aliveMs: number): Promise<Run> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./crash-child.ts', import.meta.url)), folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  while (!output.includes('given')) await delay(5);
  await delay(aliveMs);
  const killedAtMs = Date.now();
  child.kill('SIGKILL');
  await once(child, 'close');
  const lines = output.split('\n').map((line) => line.split(' '));
  const settled = lines.filter(([word]) => word === 'settled').map(([, count]) => Number(count));
  const given = lines
    .filter(([word]) => word === 'given')
    .map(([, count, atMs]) => ({ count: Number(count), atMs: Number(atMs) }));
  return { settled: Math.max(0, ...settled), given, killedAtMs };
}

async function recovered(recording: string): Promise<Record<'sound' | 'slow', number[]>> {
  const found: Record<'sound' | 'slow', number[]> = { sound: [], slow: [] };
  for (const name of (await readdir(recording)).filter((file) => file.endsWith('.mcap'))) {
    readStream(await readFile(join(recording, name)));
    const messages = await readFileIndexed(join(recording, name));
    found.sound.push(...sequencesOf(messages, '/uma8/audio'));
    found.slow.push(...sequencesOf(messages, '/bme680/temperature'));
  }
  const ascending = (a: number, b: number): number => a - b;
  return { sound: found.sound.sort(ascending), slow: found.slow.sort(ascending) };
}

test(`kill -9 at ${rounds} random moments costs only what was on its way (seed ${seed})`, async () => {
  const next = random(seed);
  const folder = await scratchFolder();
  const recordings = join(folder, 'recordings');
  const lostMs: number[] = [];
  for (const round of range(rounds)) {
    const before = new Set(round === 0 ? [] : await readdir(recordings));
    const run = await recordAndKill(folder, 20 + next() * 400);
    const reports = await repairRecordings(recordings);
    expect(reports.map(({ problem }) => problem).filter((problem) => problem !== '')).toEqual([]);
    const [recording = ''] = (await readdir(recordings)).filter((name) => !before.has(name));
    const { sound, slow } = await recovered(join(recordings, recording));
    expect(sound).toEqual(range(sound.length));
    expect(slow).toEqual(range(slow.length));
    expect(sound.length).toBeGreaterThanOrEqual(run.settled);
    expect(slow.length).toBeGreaterThanOrEqual(run.settled);
    const firstLost = run.given.find(({ count }) => count > sound.length);
    lostMs.push(firstLost === undefined ? 0 : run.killedAtMs - firstLost.atMs);
    expect(
      (await readdir(join(recordings, recording))).filter((name) => !/\.mcap$|^metadata\.yaml$/.test(name)),
    ).toEqual([]);
  }
  // On an idle machine this is some milliseconds; the bound leaves room for a loaded one.
  expect(Math.max(...lostMs)).toBeLessThan(2000);
}, 120_000);
