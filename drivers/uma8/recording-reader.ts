/**
 * Owns recorded sound as the array would have heard it: files one after the other, in any format, as interleaved 8-channel
 * 16-bit samples at one rate. Eight channels pass as they are; anything else becomes mono and is placed in space.
 */
import { spawn } from 'node:child_process';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { DriverError } from '../error.ts';
import { stopChild } from './arecord.ts';
import { MICROPHONES, pathsFrom } from './geometry.ts';
import { Bus } from './placement.ts';
import { readWavFormat } from './wav.ts';

const EXTENSIONS = new Set(['.wav', '.flac', '.ogg', '.oga', '.opus', '.mp3', '.aif', '.aiff', '.au', '.w64', '.caf']);
/** Files of one replay; more is surely a mistake. */
const MOST_FILES = 100_000;
const HEADER_BYTES = 65_536;

/** Samples of a file in its own channel count, in any cut. */
interface Samples {
  readonly channels: number;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** The sound file at `path`, or all sound files in and below the folder there in order of name. Rejects with `no-recording`. */
export async function findRecordings(path: string): Promise<string[]> {
  const info = await stat(path).catch((cause: unknown) => {
    throw new DriverError('no-recording', `expected a sound file or a folder at ${path}, found nothing`, { cause });
  });
  if (!info.isDirectory()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((e) => e.isFile() && EXTENSIONS.has(extname(e.name).toLowerCase()));
  if (files.length === 0) throw new DriverError('no-recording', `expected sound files in ${path}, found none`);
  if (files.length > MOST_FILES) {
    throw new DriverError(
      'no-recording',
      `expected at most ${MOST_FILES} sound files in ${path}, found ${files.length}`,
    );
  }
  return files.map((e) => join(e.parentPath, e.name)).sort();
}

/**
 * The blocks of one file as Int16 [frames × 8] at `sampleRateHz`, of at most `blockFrames` frames each; a half frame at its end is dropped. `place`
 * (any integer) says where mono sound comes from. 16-bit WAV at that rate is read as it is, everything else goes through sox. Throws
 * `sox-missing` or `bad-recording`; ends early when `signal` aborts.
 */
export async function* arrayBlocks(
  file: string,
  sampleRateHz: number,
  blockFrames: number,
  place: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { channels, bytes } = await samplesOf(file, sampleRateHz, blockFrames, signal);
  const blocks = wholeBlocks(bytes, blockFrames * channels * 2, channels * 2);
  if (channels === MICROPHONES.length) {
    yield* blocks;
    return;
  }
  const bus = new Bus(blockFrames, pathsFrom(directionOf(place), sampleRateHz));
  for await (const block of blocks) yield placed(block, channels, bus);
}

/** Directions of successive files: 2 m away, each turned by the golden angle from the one before. */
function directionOf(place: number): { x: number; y: number; z: number } {
  const angle = place * 2.399963;
  return { x: 2 * Math.cos(angle), y: 2 * Math.sin(angle), z: 0.3 };
}

async function samplesOf(
  file: string,
  sampleRateHz: number,
  blockFrames: number,
  signal: AbortSignal,
): Promise<Samples> {
  const handle = await open(file).catch((cause: unknown) => {
    throw new DriverError('bad-recording', `expected a sound file at ${file}, could not open it`, { cause });
  });
  const format = await readFormat(handle).catch(async (cause: unknown) => {
    await handle.close();
    throw new DriverError('bad-recording', `expected a sound file at ${file}, could not read it`, { cause });
  });
  if (format?.pcm && format.bitsPerSample === 16 && format.sampleRateHz === sampleRateHz && format.channels > 0) {
    const blockBytes = blockFrames * format.channels * 2;
    const end = format.dataOffset + format.dataBytes;
    const read = async function* () {
      try {
        for (let at = format.dataOffset; at < end && !signal.aborted; ) {
          const { bytesRead, buffer } = await handle.read(new Uint8Array(Math.min(blockBytes, end - at)), {
            position: at,
          });
          if (bytesRead === 0) return;
          at += bytesRead;
          yield buffer.subarray(0, bytesRead);
        }
      } finally {
        await handle.close();
      }
    };
    return { channels: format.channels, bytes: read() };
  }
  await handle.close();
  const channels =
    (format?.channels ?? Number((await sox(['--info', '-c', file])).trim())) === MICROPHONES.length
      ? MICROPHONES.length
      : 1;
  return { channels, bytes: converted(file, sampleRateHz, channels, signal) };
}

/** What the header of an open file says; null when it is no WAVE file. */
async function readFormat(handle: FileHandle): Promise<ReturnType<typeof readWavFormat>> {
  const { size } = await handle.stat();
  const header = new Uint8Array(Math.min(HEADER_BYTES, size));
  await handle.read(header, 0, header.length, 0);
  return readWavFormat(header, size);
}

/** The bytes that sox makes of a file: raw, signed, 16 bit, little endian. */
async function* converted(
  file: string,
  sampleRateHz: number,
  channels: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const format = [
    '-t',
    'raw',
    '-e',
    'signed',
    '-b',
    '16',
    '-L',
    '-r',
    String(sampleRateHz),
    '-c',
    String(channels),
    '-',
  ];
  const child = spawn('sox', ['-V1', '-D', file, ...format], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.on('error', (cause) => child.stdout.destroy(soxMissing(cause)));
  const stop = () => void stopChild(child);
  signal.addEventListener('abort', stop, { once: true });
  let complaint = '';
  child.stderr.on('data', (text: Buffer) => {
    complaint = (complaint + text.toString('utf8')).slice(-1000);
  });
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
  try {
    for await (const piece of child.stdout) yield piece as Buffer;
    const code = await closed;
    if (code !== 0 && !signal.aborted) {
      throw new DriverError('bad-recording', `sox could not read ${file} (code ${code}): ${complaint.trim()}`);
    }
  } finally {
    signal.removeEventListener('abort', stop);
    await stopChild(child);
  }
}

function soxMissing(cause: unknown): DriverError {
  return new DriverError('sox-missing', 'expected the program sox in the PATH, found none', { cause });
}

/** What a short run of sox prints. */
function sox(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('sox', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let printed = '';
    let complaint = '';
    child.stdout.on('data', (text: Buffer) => {
      printed = (printed + text.toString('utf8')).slice(0, 1000);
    });
    child.stderr.on('data', (text: Buffer) => {
      complaint = (complaint + text.toString('utf8')).slice(-1000);
    });
    child.on('error', (cause) => reject(soxMissing(cause)));
    child.on('close', (code) => {
      if (code === 0) resolve(printed);
      else
        reject(new DriverError('bad-recording', `sox ${args.join(' ')} ended with code ${code}: ${complaint.trim()}`));
    });
  });
}

/** Joins pieces of any cut into blocks of `blockBytes`; the last one may be shorter but has whole frames. */
async function* wholeBlocks(
  pieces: AsyncIterable<Uint8Array>,
  blockBytes: number,
  frameBytes: number,
): AsyncGenerator<Uint8Array> {
  let block = new Uint8Array(blockBytes);
  let filled = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const taken = Math.min(piece.length - at, blockBytes - filled);
      block.set(piece.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
      if (filled < blockBytes) continue;
      yield block;
      block = new Uint8Array(blockBytes);
      filled = 0;
    }
  }
  const whole = filled - (filled % frameBytes);
  if (whole > 0) yield block.subarray(0, whole);
}

/** Mixes [frames × channels] to mono and places it before the array. */
function placed(block: Uint8Array, channels: number, bus: Bus): Uint8Array {
  const samples = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const frames = block.length / (2 * channels);
  const mono = new Float32Array(frames);
  for (let i = 0; i < frames; i++) {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += samples.getInt16(2 * (i * channels + c), true);
    mono[i] = sum / channels;
  }
  const mics = MICROPHONES.map(() => new Float32Array(frames));
  bus.addTo(mics, mono);
  const out = new Int16Array(frames * mics.length);
  for (const [m, mic] of mics.entries()) {
    for (let i = 0; i < frames; i++) {
      out[i * mics.length + m] = Math.max(-32768, Math.min(32767, Math.round(mic[i] as number)));
    }
  }
  return new Uint8Array(out.buffer);
}
