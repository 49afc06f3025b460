/**
 * Owns capture through node-record-lpcm16 and ALSA's arecord, and what that library leaves open: it does not see a child that
 * fails to start, tells an end from a fault only by an untyped 'error' on the stream, and keeps arecord's complaint to itself.
 */
import type { ChildProcess } from 'node:child_process';
import recorder from 'node-record-lpcm16';
import { DriverError } from '../error.ts';
import type { OpenSoundSource, SoundSource } from './sound-source.ts';

export interface ArecordOptions {
  /** ALSA PCM name, as `arecord -L` lists it: `hw:CARD=micArray`, `default` … */
  readonly device: string;
  readonly sampleRateHz: number;
  readonly channels: number;
}

/** What arecord said last, bounded; enough for its longest complaint. */
const MOST_COMPLAINT = 2000;
/** How long arecord may take to obey SIGTERM before it is killed. */
const STOP_MS = 1000;

/**
 * Opens `arecord -D device -r rate -c channels -t raw -f S16_LE` (raw, because the library's default, wav, ends after 2³¹ bytes: 46
 * minutes of 8 channels). The ALSA environment variables of this process are arecord's. Rejects with `arecord-missing`.
 */
export function openArecord(options: ArecordOptions): OpenSoundSource {
  return () =>
    new Promise((resolve, reject) => {
      // The library throws nothing here; a child that cannot start says so by an 'error' event that it has no listener for.
      const recording = recorder.record({
        sampleRate: String(options.sampleRateHz),
        channels: String(options.channels),
        audioType: 'raw',
        recorder: 'arecord',
        device: options.device,
      });
      const child = recording.process;
      const stdout = recording.stream();
      let complaint = '';
      let data: ((bytes: Uint8Array) => void) | null = null;
      let ended: ((error: Error | null) => void) | null = null;
      let outcome: { error: Error | null } | null = null;
      let stopping = false;
      // The library emits a string as 'error' on the stream when the child ends badly; 'close' tells the same and more.
      stdout.on('error', () => {});
      child.stderr?.on('data', (text: Buffer) => {
        complaint = (complaint + text.toString('utf8')).slice(-MOST_COMPLAINT);
      });
      stdout.on('data', (bytes: Buffer) => data?.(bytes));
      child.on('error', (cause: NodeJS.ErrnoException) => reject(startFailure(cause)));
      child.on('close', (code, signal) => {
        outcome = { error: stopping ? null : exitFailure(options, complaint, code, signal) };
        ended?.(outcome.error);
      });
      child.on('spawn', () => {
        const source: SoundSource = {
          onData: (listener) => {
            data = listener;
          },
          onEnd: (listener) => {
            ended = listener;
            if (outcome !== null) listener(outcome.error);
          },
          stop: () => {
            stopping = true;
            data = null;
            return stopChild(child);
          },
        };
        resolve(source);
      });
    });
}

/** Ends a child: SIGTERM, and SIGKILL when it does not obey. Resolves when it is gone. */
export function stopChild(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const killer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    child.once('exit', () => {
      clearTimeout(killer);
      resolve();
    });
    child.kill('SIGTERM');
  });
}

function startFailure(cause: NodeJS.ErrnoException): DriverError {
  if (cause.code === 'ENOENT') {
    return new DriverError('arecord-missing', 'expected the program arecord in the PATH, found none', { cause });
  }
  return new DriverError('arecord-start', `arecord did not start: ${cause.message}`, { cause });
}

/** Turns arecord's words into a fault with a stable code. Its messages are alsa-utils' (aplay.c) and strerror's, in English or not. */
function exitFailure(
  options: ArecordOptions,
  complaint: string,
  code: number | null,
  signal: string | null,
): DriverError {
  const said = complaint.trim().replace(/\s*\n\s*/g, '; ');
  const end = signal === null ? `code ${code}` : `signal ${signal}`;
  const message = `arecord on ${options.device} ended with ${end}${said === '' ? ' and said nothing' : `: ${said}`}`;
  return new DriverError(complaintCode(complaint), message);
}

const COMPLAINTS: readonly (readonly [pattern: RegExp, code: string])[] = [
  [/read error|Input\/output error/i, 'unplugged'],
  [/Device or resource busy/i, 'device-busy'],
  [
    /No such (file or directory|device)|Unknown PCM|cannot find card|Connection refused|Invalid card/i,
    'device-missing',
  ],
  [/Permission denied|Operation not permitted/i, 'no-permission'],
  [
    /Channels count non available|rate is not accurate|Sample format non available|Unable to install hw params/i,
    'wrong-format',
  ],
];

function complaintCode(complaint: string): string {
  for (const [pattern, code] of COMPLAINTS) if (pattern.test(complaint)) return code;
  return 'exited';
}
