/**
 * Measures `fender replay` of a long 8-channel recording: a minute of the generated drive, recorded again and again until the bag is as
 * long as asked, as samples and as FLAC, and the whole program run over it.
 */

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { encodeRawAudio } from '../../agent/messages/messages.ts';
import { Recorder } from '../../agent/recording/recorder.ts';
import { openFlacEncoder } from '../../agent/sound/flac-encoder.ts';
import {
  compressedAudioMessage,
  compressedAudioType,
  flacTopicOf,
  rawAudioType,
  viewSound,
} from '../../agent/sound/raw-audio.ts';
import type { Clock, Stamp } from '../../drivers/sample.ts';
import { renderDrive } from '../../drivers/uma8/generated/render-to-wav.ts';

/** One replay of one bag. */
export interface ReplayBench {
  readonly sound: 'pcm' | 'flac';
  readonly bagBytes: number;
  /** Seconds of the recording for each second of the clock, from the program's start to its end. */
  readonly realTimeFactor: number;
  /** Seconds of processor time that it took. */
  readonly cpuS: number;
  readonly impacts: number;
}

const startNs = 1_764_000_000_000_000_000n;
const topic = '/uma8/audio';
const chunkFrames = 4800;

function stampAt(offsetNs: bigint): Stamp {
  return {
    capturedAtNs: startNs + offsetNs,
    monotonicNs: offsetNs,
    bootId: 'bench',
    synchronised: true,
    estimatedErrorNs: 0n,
  };
}

/** The drive's chunks as messages without their time, encoded once. */
async function drive(seconds: number, sound: 'pcm' | 'flac'): Promise<Uint8Array[]> {
  const encode = await openFlacEncoder();
  const shared = { stamp: stampAt(0n), firstFrame: 0n, sampleRateHz: 48_000, channels: 8, frames: chunkFrames };
  return [...renderDrive({ seed: 77, seconds })].map(({ pcm }) => {
    const plain = encodeRawAudio({ ...shared, pcm });
    const view = viewSound(plain);
    if (sound === 'pcm' || view === null) return plain;
    return compressedAudioMessage(view, encode(pcm, 8, 48_000));
  });
}

/** Records the drive until there are `seconds` of it, in segments as the agent makes them; the recording's folder. */
async function recordDrive(folder: string, seconds: number, sound: 'pcm' | 'flac'): Promise<string> {
  const chunks = await drive(Math.min(60, seconds), sound);
  let offsetNs = 0n;
  const clock: Clock = { now: () => stampAt(offsetNs), monotonicNs: () => offsetNs, at: stampAt };
  const recorder = await Recorder.open(folder, { vehicle: 'bench', recordingId: sound, minFreeBytes: 0 }, clock);
  for (let sequence = 0; sequence < seconds * 10; sequence += 1) {
    offsetNs = BigInt(sequence) * 100_000_000n;
    const stamp = stampAt(offsetNs);
    const data = (chunks[sequence % chunks.length] as Uint8Array).slice();
    const view = new DataView(data.buffer);
    view.setInt32(4, Number(stamp.capturedAtNs / 1_000_000_000n), true);
    view.setUint32(8, Number(stamp.capturedAtNs % 1_000_000_000n), true);
    const named =
      sound === 'pcm' ? { topic, type: rawAudioType } : { topic: flacTopicOf(topic), type: compressedAudioType };
    recorder.write({ ...named, sequence, stamp, data });
    await recorder.room();
  }
  await recorder.close();
  return join(folder, sound);
}

async function bytesOf(folder: string): Promise<number> {
  const names = await readdir(folder);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Processor time of the children that have ended, in seconds: fields 16 and 17 of proc_pid_stat(5), in hundredths. */
function childrenCpuS(): number {
  const fields = readFileSync('/proc/self/stat', 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[13]) + Number(fields[14])) / 100;
}

/** Runs the command as a user would; how many impacts it printed. */
function replayed(folder: string): Promise<number> {
  return new Promise((done, fail) => {
    const main = resolve(import.meta.dirname, '../../bin/fender.ts');
    const child = spawn(process.execPath, [main, 'replay', folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
    child.on('error', fail);
    child.on('close', (code) => {
      if (code === 0) done(text.split('\n').length - 1);
      else fail(new Error(`expected fender replay to end with code 0, found ${code}`));
    });
  });
}

/** Replays `seconds` of recorded sound, as samples and as FLAC; the bag is in memory where there is room, else in the temporary folder. */
export async function benchReplay(seconds: number, told: (text: string) => void): Promise<ReplayBench[]> {
  const scratch = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'fender-bench-replay-'));
  try {
    const results: ReplayBench[] = [];
    for (const sound of ['pcm', 'flac'] as const) {
      told(`replay: recording ${seconds} s as ${sound}`);
      const folder = await recordDrive(scratch, seconds, sound);
      told(`replay: hearing ${seconds} s of ${sound}`);
      const startedMs = performance.now();
      const before = childrenCpuS();
      const impacts = await replayed(folder);
      const realTimeFactor = seconds / ((performance.now() - startedMs) / 1000);
      results.push({ sound, bagBytes: await bytesOf(folder), realTimeFactor, cpuS: childrenCpuS() - before, impacts });
      await rm(folder, { recursive: true });
    }
    return results;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
