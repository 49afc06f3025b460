/** Reads the sound of files in pieces: 16-bit WAV of the right rate as it is, everything else through sox. */
import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { readWavFormat, type WavFormat } from '../../drivers/uma8/wav.ts';
import { AgentError } from '../error.ts';
import type { ReplayedBlock } from './replayed-block.ts';

const HEADER_BYTES = 65_536;

/** The sound of the file at `path` in blocks of 100 ms. Throws AgentError `sound-file` for a file that neither is such a WAV nor is read by sox. */
export async function* readFileSound(path: string, sampleRateHz: number): AsyncGenerator<ReplayedBlock> {
  const { format, bytes } = await readHeader(path);
  if (format?.pcm && format.bitsPerSample === 16 && format.sampleRateHz === sampleRateHz) {
    const end = format.dataOffset + format.dataBytes - 1;
    if (format.dataBytes === 0) return;
    const stream = createReadStream(path, { start: format.dataOffset, end, highWaterMark: 262_144 });
    yield* blocks(stream as AsyncIterable<Buffer>, format.channels, sampleRateHz, format.dataBytes);
    return;
  }
  const expected = bytes === 0 ? 0 : Number.POSITIVE_INFINITY;
  yield* blocks(soxOutput(path, sampleRateHz), 1, sampleRateHz, expected);
}

async function readHeader(path: string): Promise<{ format: WavFormat | null; bytes: number }> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
      return { format: readWavFormat(buffer.subarray(0, bytesRead), size), bytes: size };
    } finally {
      await file.close();
    }
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('sound-file', `${path}: expected a readable sound file, found: ${found}`, { cause });
  }
}

/** What sox makes of the file: mono, 16 bit, at the rate. */
async function* soxOutput(path: string, sampleRateHz: number): AsyncGenerator<Buffer> {
  // A path that begins with a dash or a bar would be an option or a command; an absolute one never does.
  const args = [
    '-V1',
    resolve(path),
    '-t',
    'raw',
    '-e',
    'signed',
    '-b',
    '16',
    '-L',
    '-c',
    '1',
    '-r',
    String(sampleRateHz),
    '-',
  ];
  const child = spawn('sox', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-500);
  });
  const ended = new Promise<string | null>((resolve) => {
    child.once('error', (error) =>
      resolve(`sox could not be started (${error.message}): install sox, or give a 16-bit WAV`),
    );
    child.once('close', (code) => resolve(code === 0 ? null : complaint.trim() || `sox ended with code ${code}`));
  });
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    const failure = await ended;
    if (failure !== null) {
      throw new AgentError(
        'sound-file',
        `${path}: expected 16-bit WAV at ${sampleRateHz} Hz or what sox reads, found: ${failure}`,
      );
    }
  } finally {
    child.kill('SIGTERM');
  }
}

/** Cuts a byte stream into blocks of 100 ms; a half frame at the end is dropped. */
async function* blocks(
  stream: AsyncIterable<Buffer>,
  channels: number,
  sampleRateHz: number,
  totalBytes: number,
): AsyncGenerator<ReplayedBlock> {
  const frameBytes = channels * 2;
  const blockBytes = Math.round(sampleRateHz / 10) * frameBytes;
  const block = new Uint8Array(blockBytes);
  let filled = 0;
  let frames = 0;
  const take = (): ReplayedBlock => {
    const count = Math.floor(filled / frameBytes);
    const firstSampleNs = (BigInt(frames) * 1_000_000_000n) / BigInt(sampleRateHz);
    frames += count;
    const share = Math.min(1, (frames * frameBytes) / totalBytes);
    filled = 0;
    return {
      pcm: new Int16Array(block.buffer, 0, count * channels),
      channels,
      sampleRateHz,
      firstSampleNs,
      hasClock: false,
      share,
    };
  };
  for await (const piece of stream) {
    for (let offset = 0; offset < piece.length; ) {
      const part = piece.subarray(offset, offset + blockBytes - filled);
      block.set(part, filled);
      filled += part.length;
      offset += part.length;
      if (filled === blockBytes) yield take();
    }
  }
  if (filled >= frameBytes) yield take();
}
