/**
 * Measures what it costs to record sound as FLAC: the generated drive, eight channels of 48 kHz, in chunks of 100 ms, through the same
 * compressor as in the agent, in real time; every chunk is decoded again and compared.
 */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { constants, zstdCompressSync } from 'node:zlib';
import type { Message } from '../../agent/messages/message.ts';
import { encodeRawAudio } from '../../agent/messages/messages.ts';
import { plainSound } from '../../agent/sound/plain-sound.ts';
import { rawAudioType, viewSound } from '../../agent/sound/raw-audio.ts';
import { SoundCompressor } from '../../agent/sound/sound-compressor.ts';
import { renderDrive } from '../../drivers/uma8/generated/render-to-wav.ts';

/** What a run of the benchmark gives. */
export interface FlacBench {
  /** CPU time of the whole process, both threads, for each second of the clock, without what the same loop costs with no encoder. */
  readonly cpuRatio: number;
  /** How many times smaller than zstd-3 of the same chunks. */
  readonly againstZstd: number;
  /** How many times smaller than the samples. */
  readonly againstSamples: number;
  /** Longest time that the main thread was held up, in ms, and the same with no encoder: what is the machine's. */
  readonly longestStallMs: number;
  readonly idleStallMs: number;
  readonly chunks: number;
  /** Chunks that went on uncompressed. */
  readonly plainChunks: number;
  /** Chunks that are not the same samples any more; must be 0. */
  readonly differentChunks: number;
}

const chunkNs = 100_000_000n;

function messagesOfDrive(seconds: number): Message[] {
  const messages: Message[] = [];
  for (const { pcm } of renderDrive({ seed: 5, seconds })) {
    const sequence = messages.length;
    const ns = BigInt(sequence) * chunkNs;
    const stamp = { capturedAtNs: ns, monotonicNs: ns, bootId: 'bench', synchronised: true, estimatedErrorNs: 0n };
    const chunk = { stamp, firstFrame: 0n, sampleRateHz: 48_000, channels: 8, frames: pcm.length / 8, pcm };
    messages.push({ topic: '/uma8/audio', type: rawAudioType, sequence, stamp, data: encodeRawAudio(chunk) });
  }
  return messages;
}

/** Gives each message in its turn in real time; the CPU time in s that the process took meanwhile, and its longest stall in ms. */
async function inRealTime(
  messages: readonly Message[],
  take: (message: Message) => void,
): Promise<{ readonly cpuS: number; readonly stallMs: number }> {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const before = process.cpuUsage();
  const startedMs = performance.now();
  for (const [index, message] of messages.entries()) {
    await sleep(Math.max(0, startedMs + index * 100 - performance.now()));
    take(message);
  }
  const { user, system } = process.cpuUsage(before);
  delay.disable();
  // A timer's own period is no stall.
  return { cpuS: (user + system) / 1e6, stallMs: Math.max(0, delay.max / 1e6 - 5) };
}

function zstdBytes({ data }: Message): number {
  const params = { [constants.ZSTD_c_compressionLevel]: 3 };
  return zstdCompressSync(viewSound(data)?.data ?? data, { params }).byteLength;
}

/** Records `seconds` of a generated drive, twice in real time: without the encoder, and with it. */
export async function benchFlac(seconds = 30): Promise<FlacBench> {
  const messages = messagesOfDrive(seconds);
  const recorded: Message[] = [];
  const compressor = new SoundCompressor({ write: (message) => recorded.push(message) });
  compressor.start();
  while (compressor.stats().state === 'starting') await sleep(10);
  // The first chunks are slow, until the machine has compiled what runs.
  for (const message of messages.slice(0, 20)) {
    compressor.write(message);
    await compressor.drain();
  }
  const { compressed, plain } = compressor.stats();
  const warm = recorded.splice(0).length - compressed;
  const idle = await inRealTime(messages, () => {});
  const busy = await inRealTime(messages, (message) => compressor.write(message));
  await compressor.drain();
  const after = compressor.stats();
  await compressor.close();
  const flacSize = recorded.reduce((sum, { data }) => sum + data.byteLength, 0);
  let differentChunks = 0;
  for (const [index, message] of recorded.entries()) {
    const { data } = await plainSound(message);
    if (Buffer.compare(data, messages[index]?.data ?? new Uint8Array(0)) !== 0) differentChunks += 1;
  }
  return {
    cpuRatio: (busy.cpuS - idle.cpuS) / seconds,
    againstZstd: messages.reduce((sum, message) => sum + zstdBytes(message), 0) / flacSize,
    againstSamples: messages.reduce((sum, { data }) => sum + data.byteLength, 0) / flacSize,
    longestStallMs: busy.stallMs,
    idleStallMs: idle.stallMs,
    chunks: recorded.length,
    plainChunks: after.plain.late + after.plain.refused + after.plain.starting - plain.starting - warm,
    differentChunks,
  };
}
