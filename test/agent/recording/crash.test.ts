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

/** Records, kills at `aliveMs` after the recorder first had everything on the disk; returns how many messages it had there at last. */
async function recordAndKill(folder: string, aliveMs: number): Promise<number> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./crash-child.ts', import.meta.url)), folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const settled = (): number[] => [...output.matchAll(/^settled (\d+)$/gm)].map(([, count]) => Number(count));
  // A recorder that kept messages back until something else pushed them would never get there.
  while (!settled().some((count) => count > 0)) await delay(5);
  await delay(aliveMs);
  child.kill('SIGKILL');
  await once(child, 'close');
  return Math.max(...settled());
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
  for (const round of range(rounds)) {
    const before = new Set(round === 0 ? [] : await readdir(recordings));
    const settled = await recordAndKill(folder, next() * 400);
    const reports = await repairRecordings(recordings);
    expect(reports.map(({ problem }) => problem).filter((problem) => problem !== '')).toEqual([]);
    const [recording = ''] = (await readdir(recordings)).filter((name) => !before.has(name));
    const { sound, slow } = await recovered(join(recordings, recording));
    expect(sound).toEqual(range(sound.length));
    expect(slow).toEqual(range(slow.length));
    expect(sound.length).toBeGreaterThanOrEqual(settled);
    expect(slow.length).toBeGreaterThanOrEqual(settled);
    expect(
      (await readdir(join(recordings, recording))).filter((name) => !/\.mcap$|^metadata\.yaml$/.test(name)),
    ).toEqual([]);
  }
}, 120_000);
