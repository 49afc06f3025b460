/**
 * Keeps the detector process alive: feeds it sound through a bounded queue, watches that it makes progress, and starts it
 * again when it dies or hangs. Nothing it does can hold up whoever pushes sound.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { AudioChunk, Diagnostic, Stamp } from '../../drivers/sample.ts';
import type { Direction } from '../direction/direction.ts';
import {
  type DetectorReport,
  type DetectorSetup,
  encodeHeader,
  FRAME_FLUSH,
  FRAME_SETUP,
  FRAME_SOUND,
  LineReader,
  parseReport,
} from './protocol.ts';
import { StampHistory } from './stamp-history.ts';

/** An impact with the times of the vehicle. */
export interface Impact {
  /** The onset. */
  readonly stamp: Stamp;
  /** UTC nanoseconds of the sound's end. */
  readonly endNs: bigint;
  readonly label: string;
  readonly score: number;
  readonly scores: Readonly<Record<string, number>>;
  readonly model: { readonly name: string; readonly version: string };
  /** Where it came from; absent when there was no telling. */
  readonly direction?: Direction;
}

/** Who is told what the detector does; called synchronously, must not throw. */
export interface DetectorListener {
  impact(impact: Impact): void;
  diagnostic(diagnostic: Diagnostic): void;
}

/** How the detector process is run and watched. */
export interface SupervisorOptions {
  readonly setup: Omit<DetectorSetup, 'sampleRateHz' | 'channels'>;
  /** Chunks that may wait; beyond it the oldest unsent one is missed and counted. */
  readonly queueChunks: number;
  /** Without progress for this long, with sound waiting, the process is killed. */
  readonly hangTimeoutMs: number;
  /** Without a loaded model for this long, the process is killed. */
  readonly startTimeoutMs: number;
  /** The process's program; tests put another in its place. */
  readonly entry: URL;
  /** V8 and Node flags of the process. */
  readonly execArgv: readonly string[];
}

/** Figures of the detector since the agent started. */
export interface DetectorStatistics {
  readonly state: 'stopped' | 'starting' | 'running' | 'waiting';
  readonly pid: number | null;
  readonly restarts: number;
  readonly processedChunks: number;
  /** Chunks that the detector never heard, because the queue was full or they were lost with a dead process. */
  readonly missedChunks: number;
  readonly queuedChunks: number;
  readonly impacts: number;
  readonly model: { readonly name: string; readonly version: string } | null;
}

interface QueuedChunk {
  readonly chunk: AudioChunk;
  attempts: number;
  /** Whether a process that died since had heard it already. */
  again: boolean;
}

/** Chunks on their way to the process; so few that they fit the socket's buffer. */
const WINDOW_CHUNKS = 4;
/** A chunk that was with two dying processes is not given to a third: it may be what kills them. */
const MAX_ATTEMPTS = 2;
/**
 * What was heard last, in chunks: a process that dies takes what it had not decided yet with it, so the next one hears it again.
 * As long as the model's window and the time to be sure of an impact together.
 */
const UNDECIDED_CHUNKS = 16;
/** Time is counted in ticks of this process, so that a pause of the whole machine is not taken for a hang. */
const TICK_MS = 100;
/** A process that took so many chunks has started well; one that ends before has failed to start. */
const SETTLED_CHUNKS = 10;
/** Pause before the next start after so many failed starts in a row. */
const BACKOFF_MS: readonly number[] = [100, 1_000, 2_000, 5_000, 15_000, 60_000];
/** An impact that begins before this much after the latest one is that one, or one before it, heard again after a restart. */
const REPEAT_NS = 300_000_000n;

/** The supervisor of one detector process. */
export class DetectorSupervisor {
  readonly #options: SupervisorOptions;
  readonly #listener: DetectorListener;
  readonly #queue: QueuedChunk[] = [];
  /** The latest chunks that the process is done with, oldest first. */
  readonly #heard: QueuedChunk[] = [];
  readonly #stamps = new StampHistory();
  #child: ChildProcess | null = null;
  #socket: Socket | null = null;
  #ready = false;
  #format: { sampleRateHz: number; channels: number } | null = null;
  #model: DetectorStatistics['model'] = null;
  /** How many chunks at the head of the queue the process has been sent. */
  #sent = 0;
  #doneInProcess = 0;
  #idleTicks = 0;
  #backoffTicks = 0;
  #failedStarts = 0;
  #stopping = false;
  #processed = 0;
  #missed = 0;
  #restarts = 0;
  #impacts = 0;
  #lastOnsetNs: bigint | null = null;
  #failure = '';
  #troubled = false;
  #flushed: (() => void) | null = null;
  #ticker: NodeJS.Timeout | null = null;

  constructor(options: SupervisorOptions, listener: DetectorListener) {
    this.#options = options;
    this.#listener = listener;
  }

  /** Begins watching; the process starts with the first sound, whose format it needs. */
  start(): void {
    this.#ticker ??= setInterval(() => this.#tick(), TICK_MS);
  }

  /** Gives the chunk to the detector as soon as it can take it. Costs no copy; the chunk must not change afterwards. */
  push(chunk: AudioChunk): void {
    if (this.#stopping || this.#ticker === null) return;
    this.#stamps.add(chunk.stamp);
    this.#queue.push({ chunk, attempts: 0, again: false });
    if (this.#queue.length > this.#options.queueChunks) {
      const [dropped] = this.#queue.splice(Math.min(this.#sent, this.#queue.length - 1), 1);
      if (dropped?.again === false) this.#miss('queue-full', 'the detector takes sound more slowly than it comes');
    }
    if (this.#format === null) {
      this.#format = { sampleRateHz: chunk.sampleRateHz, channels: chunk.channels };
      this.#launch();
    }
    this.#pump();
  }

  statistics(): DetectorStatistics {
    const waiting = this.#format === null || this.#child === null ? 'waiting' : 'starting';
    return {
      state: this.#stopping || this.#ticker === null ? 'stopped' : this.#ready ? 'running' : waiting,
      pid: this.#child?.pid ?? null,
      restarts: this.#restarts,
      processedChunks: this.#processed,
      missedChunks: this.#missed,
      queuedChunks: this.#queue.length,
      impacts: this.#impacts,
      model: this.#model,
    };
  }

  /**
   * Lets the process decide on the sound it has been given, for at most `timeoutMs`, and ends it. Impacts may still be reported
   * before this resolves, none after.
   */
  async stop(timeoutMs: number): Promise<void> {
    const child = this.#child;
    if (child !== null && this.#ready && this.#socket !== null) {
      const flushed = new Promise<void>((resolve) => {
        this.#flushed = resolve;
      });
      this.#pump(this.#queue.length);
      this.#socket.write(encodeHeader(FRAME_FLUSH, 0, 0n));
      await Promise.race([flushed, new Promise<void>((resolve) => setTimeout(resolve, timeoutMs).unref())]);
    }
    this.#stopping = true;
    if (this.#ticker !== null) clearInterval(this.#ticker);
    this.#ticker = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    this.#socket?.end();
    const killer = setTimeout(() => child.kill('SIGKILL'), 300);
    await exited;
    clearTimeout(killer);
  }

  #launch(): void {
    const child = spawn(process.execPath, [...this.#options.execArgv, this.#options.entry.pathname], {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
      env: detectorEnvironment(),
    });
    const socket = child.stdio[3] as Socket;
    this.#child = child;
    this.#socket = socket;
    this.#ready = false;
    this.#sent = 0;
    this.#doneInProcess = 0;
    this.#idleTicks = 0;
    this.#failure = '';
    const lines = new LineReader();
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      if (this.#child !== child) return;
      for (const line of lines.read(text)) this.#take(parseReport(line));
    });
    // A socket of a dying process fails in its own way; the exit says all that matters.
    socket.on('error', () => {});
    child.once('error', (error) => this.#lost(child, `could not be started: ${error.message}`));
    child.once('exit', (code, signal) => this.#lost(child, `ended with ${signal ?? `code ${code}`}`));
    const setup = Buffer.from(JSON.stringify({ ...this.#options.setup, ...this.#format }));
    socket.write(encodeHeader(FRAME_SETUP, setup.length, 0n));
    socket.write(setup);
  }

  #take(report: DetectorReport | null): void {
    if (report === null) return;
    this.#idleTicks = 0;
    switch (report.kind) {
      case 'ready':
        this.#ready = true;
        this.#model = report.model;
        this.#tellOk();
        break;
      case 'progress':
        this.#retire(report.done - this.#doneInProcess);
        this.#doneInProcess = report.done;
        if (report.done >= SETTLED_CHUNKS) this.#failedStarts = 0;
        if (this.#troubled && this.#queue.length <= WINDOW_CHUNKS) this.#tellOk();
        break;
      case 'impact':
        this.#hear(report);
        break;
      case 'flushed':
        this.#flushed?.();
        break;
      case 'failed':
        this.#failure = report.message;
        break;
    }
    this.#pump();
  }

  #retire(count: number): void {
    const retired = this.#queue.splice(0, Math.min(count, this.#sent));
    this.#sent -= retired.length;
    this.#processed += retired.filter(({ again }) => !again).length;
    this.#heard.push(...retired);
    this.#heard.splice(0, this.#heard.length - UNDECIDED_CHUNKS);
  }

  #hear(report: Extract<DetectorReport, { kind: 'impact' }>): void {
    const onsetNs = BigInt(report.onset_ns);
    if (this.#lastOnsetNs !== null && onsetNs < this.#lastOnsetNs + REPEAT_NS) return;
    const stamp = this.#stamps.at(onsetNs);
    if (stamp === null) return;
    this.#lastOnsetNs = onsetNs;
    this.#impacts += 1;
    const model = this.#model ?? { name: '', version: '' };
    const { label, score, scores, direction } = report;
    this.#listener.impact({
      stamp,
      endNs: stamp.capturedAtNs + BigInt(report.end_ns) - onsetNs,
      label,
      score,
      scores,
      model,
      ...(direction === undefined ? {} : { direction }),
    });
  }

  #pump(window: number = WINDOW_CHUNKS): void {
    const socket = this.#socket;
    if (!this.#ready || socket === null) return;
    while (this.#sent < Math.min(window, this.#queue.length)) {
      const queued = this.#queue[this.#sent] as QueuedChunk;
      const { pcm, stamp } = queued.chunk;
      queued.attempts += 1;
      this.#sent += 1;
      // The monotonic clock does not step, so the detector sees gaps only where sound is missing.
      socket.cork();
      socket.write(encodeHeader(FRAME_SOUND, pcm.byteLength, stamp.monotonicNs));
      socket.write(new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength));
      socket.uncork();
    }
  }

  #tick(): void {
    if (this.#child === null) {
      this.#backoffTicks -= 1;
      if (this.#format !== null && this.#backoffTicks <= 0) this.#launch();
      return;
    }
    if (this.#ready && this.#sent === 0) return;
    this.#idleTicks += 1;
    const limitMs = this.#ready ? this.#options.hangTimeoutMs : this.#options.startTimeoutMs;
    if (this.#idleTicks * TICK_MS < limitMs) return;
    const waited = this.#ready ? 'made no progress' : 'did not load its model';
    this.#failure = `expected progress, found: ${waited} for ${limitMs} ms`;
    this.#child.kill('SIGKILL');
    this.#lost(this.#child, 'was killed');
  }

  #lost(child: ChildProcess, how: string): void {
    if (this.#child !== child) return;
    this.#child = null;
    this.#socket?.destroy();
    this.#socket = null;
    this.#ready = false;
    this.#flushed?.();
    if (this.#stopping) return;
    if (this.#doneInProcess < SETTLED_CHUNKS) this.#failedStarts += 1;
    const pauseMs = BACKOFF_MS[Math.min(this.#failedStarts, BACKOFF_MS.length - 1)] ?? 0;
    this.#backoffTicks = pauseMs / TICK_MS;
    this.#restarts += 1;
    this.#requeue();
    const why = this.#failure === '' ? '' : `: ${this.#failure}`;
    this.#tell(
      this.#failedStarts > 1 ? 'error' : 'warn',
      'restarted',
      `the detector process ${how}${why}`,
      cureOf(this.#failedStarts),
    );
  }

  /** Puts what was heard last before what waits, for the next process, and drops the chunks that were already with two dying ones. */
  #requeue(): void {
    const heard = this.#heard.splice(0).map((queued) => ({ ...queued, again: true }));
    const all = [...heard, ...this.#queue];
    const kept = all.filter((queued) => queued.attempts < MAX_ATTEMPTS);
    this.#missed += all.filter((queued) => !queued.again && queued.attempts >= MAX_ATTEMPTS).length;
    // Beyond the bound it is the oldest that go, which were all heard once.
    this.#queue.splice(0, this.#queue.length, ...kept.slice(-this.#options.queueChunks));
    this.#sent = 0;
  }

  #miss(code: string, message: string): void {
    this.#missed += 1;
    this.#tell('warn', code, message, 'Choose a cheaper model or raise detector.queue_chunks.');
  }

  #tellOk(): void {
    this.#tell('ok', 'ok', `the model ${this.#model?.name} ${this.#model?.version} listens`, '');
  }

  #tell(level: Diagnostic['level'], code: string, message: string, cure: string): void {
    this.#troubled = level !== 'ok';
    const values = { restarts: this.#restarts, missed_chunks: this.#missed, processed_chunks: this.#processed };
    this.#listener.diagnostic({ source: 'detector', level, code, message, cure, values });
  }
}

function cureOf(failedStarts: number): string {
  return failedStarts > 1 ? 'Run fender doctor: the model file may be missing or unfit for this machine.' : '';
}

/** The process gets no more of the environment than it needs; the compile cache and the allocator's settings keep it lean. */
function detectorEnvironment(): NodeJS.ProcessEnv {
  const wanted = [
    'PATH',
    'NODE_COMPILE_CACHE',
    'MALLOC_ARENA_MAX',
    'MALLOC_MMAP_THRESHOLD_',
    'MALLOC_TRIM_THRESHOLD_',
    'MALLOC_TOP_PAD_',
  ];
  return Object.fromEntries(
    wanted.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}
