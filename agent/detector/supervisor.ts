/**
 * Keeps a detector process alive: feeds it sound through a bounded queue, watches that it makes progress and does not grow, starts it
 * again when it dies or hangs, and puts another in its place without losing a window. Nothing it does can hold up whoever pushes sound.
 */
import type { AudioChunk, Diagnostic, Stamp } from '../../drivers/sample.ts';
import type { Direction } from '../direction/direction.ts';
import { ChunkQueue } from './chunk-queue.ts';
import { type ChildProgram, DetectorChild } from './detector-child.ts';
import { HangWatch } from './hang-watch.ts';
import { ImpactTimes } from './impact-times.ts';
import { MemoryWatch } from './memory-watch.ts';
import type { DetectorReport, DetectorSetup, ImpactReport } from './protocol.ts';
import { RestartPauses } from './restart-pauses.ts';
import type { ReadyReport, ScoredWindow, SummaryReport } from './window-reports.ts';

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
  /** A process listens from now on. */
  ready?(about: Omit<ReadyReport, 'kind'>): void;
  /** Windows that no process had scored before. */
  windows?(windows: readonly ScoredWindow[]): void;
  summary?(summary: SummaryReport): void;
}

/** What a process is told before it knows the sound. */
export type ModelSetup = Omit<DetectorSetup, 'sampleRateHz' | 'channels'>;

/** How the detector process is run and watched. */
export interface SupervisorOptions extends ChildProgram {
  /** As diagnostics name it. */
  readonly source: string;
  readonly setup: ModelSetup;
  /** Chunks that may wait; beyond it the oldest unsent one is missed and counted. */
  readonly queueChunks: number;
  /** Without progress for this long, with sound waiting, the process is killed; see hang-watch.ts for what counts. */
  readonly hangTimeoutMs: number;
  /** Without a loaded model for this long, the process is killed. */
  readonly startTimeoutMs: number;
  /** A process that holds more is replaced. */
  readonly maxMemoryBytes: number;
}

/** Why processes were started again. */
export type RestartReason = 'died' | 'hung' | 'memory';

/** Figures of the detector since the agent started. */
export interface SupervisorStatistics {
  readonly state: 'stopped' | 'starting' | 'running' | 'waiting';
  readonly pid: number | null;
  readonly restarts: number;
  readonly restartsBy: Readonly<Record<RestartReason, number>>;
  /** Starts in a row that came to nothing. */
  readonly failedStarts: number;
  /** Models put in the place of others. */
  readonly swaps: number;
  readonly processedChunks: number;
  /** Chunks that the detector never heard, because the queue was full or they were lost with a dead process. */
  readonly missedChunks: number;
  readonly queuedChunks: number;
  readonly scoredWindows: number;
  /** Windows of the sound that came that no process scored. */
  readonly missedWindows: number;
  readonly impacts: number;
  readonly model: { readonly name: string; readonly version: string } | null;
}

/** A process, and how far it is. */
interface Running {
  readonly child: DetectorChild;
  readonly hang: HangWatch;
  readonly memory: MemoryWatch;
  ready: boolean;
  /** What it said it is done with. */
  done: number;
  /** What of that no process had heard before. */
  fresh: number;
  failure: string;
}

/** A process on its way to take over. */
interface Successor extends Running {
  readonly setup: ModelSetup;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Chunks on their way to the process; so few that they fit the socket's buffer. */
const WINDOW_CHUNKS = 4;
/** Time is counted in ticks of this process, so that a pause of the whole machine is not taken for a hang. */
const TICK_MS = 100;
const MEMORY_TICKS = 10;
/** A process that took so many new chunks has started well; one that ends before has failed to start. */
const SETTLED_CHUNKS = 10;

/** The supervisor of one detector. */
export class DetectorSupervisor {
  readonly #options: SupervisorOptions;
  readonly #listener: DetectorListener;
  readonly #queue: ChunkQueue;
  readonly #impacts = new ImpactTimes();
  readonly #pauses = new RestartPauses(TICK_MS);
  readonly #restarts: Record<RestartReason, number> = { died: 0, hung: 0, memory: 0 };
  #setup: ModelSetup;
  #active: Running | null = null;
  #next: Successor | null = null;
  #format: { sampleRateHz: number; channels: number } | null = null;
  #model: SupervisorStatistics['model'] = null;
  #ticks = 0;
  #swaps = 0;
  /** Windows since one that nearly was an event: when there are some, the moment is quiet. */
  #quietWindows = 0;
  #troubled = false;
  #flushed: (() => void) | null = null;
  /** Null before the start, and from the stop on. */
  #ticker: NodeJS.Timeout | null = null;

  constructor(options: SupervisorOptions, listener: DetectorListener) {
    this.#options = options;
    this.#setup = options.setup;
    this.#listener = listener;
    this.#queue = new ChunkQueue(options.queueChunks);
  }

  /** Begins watching; the process starts with the first sound, whose format it needs. */
  start(): void {
    this.#ticker ??= setInterval(() => this.#tick(), TICK_MS);
  }

  /** Gives the chunk to the detector as soon as it can take it. Costs no copy; the chunk must not change afterwards. */
  push(chunk: AudioChunk): void {
    if (this.#ticker === null) return;
    this.#impacts.sound(chunk.stamp);
    if (!this.#queue.push(chunk)) {
      const cure = 'Choose a cheaper model or raise detector.queue_chunks.';
      this.#tell('warn', 'queue-full', 'the detector takes sound more slowly than it comes', cure);
    }
    if (this.#format === null) {
      this.#format = { sampleRateHz: chunk.sampleRateHz, channels: chunk.channels };
      this.#active = this.#launch(this.#setup);
    }
    this.#pump();
  }

  statistics(): SupervisorStatistics {
    const { scored, missed } = this.#queue.ledger;
    const waiting = this.#active === null ? 'waiting' : 'starting';
    return {
      state: this.#ticker === null ? 'stopped' : this.#active?.ready ? 'running' : waiting,
      pid: this.#active?.child.pid ?? null,
      restarts: this.#restarts.died + this.#restarts.hung + this.#restarts.memory,
      restartsBy: { ...this.#restarts },
      failedStarts: this.#pauses.failedStarts,
      swaps: this.#swaps,
      processedChunks: this.#queue.processed,
      missedChunks: this.#queue.missed,
      queuedChunks: this.#queue.length,
      scoredWindows: scored,
      missedWindows: missed,
      impacts: this.#impacts.count,
      model: this.#model,
    };
  }

  /**
   * Listens with another model from now on: a process with it is started beside the one that listens, and takes over once it has shown
   * that it can score; no window is lost. Rejects when it fails to (the model that listened goes on), and while another swap is under way.
   */
  async swap(model: Partial<ModelSetup>): Promise<void> {
    const setup = { ...this.#setup, ...model };
    if (this.#format === null || this.#ticker === null) {
      this.#setup = setup;
      return;
    }
    await this.#replaceWith(setup);
    this.#swaps += 1;
  }

  /**
   * Lets the process decide on the sound it has been given, for at most `timeoutMs`, and ends it. Impacts may still be reported
   * before this resolves, none after.
   */
  async stop(timeoutMs: number): Promise<void> {
    if (this.#ticker !== null) clearInterval(this.#ticker);
    this.#ticker = null;
    const next = this.#next;
    this.#next = null;
    next?.reject(new Error('the detector was stopped before the model could be swapped'));
    if (this.#active?.ready) {
      const flushed = new Promise<void>((resolve) => {
        this.#flushed = resolve;
      });
      this.#pump(Number.POSITIVE_INFINITY);
      this.#active.child.flush();
      await Promise.race([flushed, new Promise<void>((resolve) => setTimeout(resolve, timeoutMs).unref())]);
    }
    const active = this.#active;
    this.#active = null;
    await Promise.all([active?.child.end(), next?.child.end()]);
  }

  #launch(setup: ModelSetup): Running {
    const format = this.#format ?? { sampleRateHz: 0, channels: 0 };
    const child = new DetectorChild(
      this.#options,
      { ...setup, ...format },
      { report: (report) => this.#take(running, report), gone: (how) => this.#lost(running, how, 'died') },
    );
    const memory = new MemoryWatch(this.#options.maxMemoryBytes);
    const running: Running = { child, hang: new HangWatch(), memory, ready: false, done: 0, fresh: 0, failure: '' };
    return running;
  }

  #replaceWith(setup: ModelSetup): Promise<void> {
    if (this.#next !== null) return Promise.reject(new Error('expected no swap under way, found one'));
    return new Promise((resolve, reject) => {
      this.#next = Object.assign(this.#launch(setup), { setup, resolve, reject });
    });
  }

  /** The successor has shown that it can score: it hears again what was undecided, and all that waits. */
  #takeOver(next: Successor): void {
    const before = this.#active;
    this.#next = null;
    this.#active = next;
    this.#setup = next.setup;
    this.#impacts.decided(this.#queue.rewind(false));
    void before?.child.end();
    next.resolve();
  }

  #take(from: Running, report: DetectorReport): void {
    if (from !== this.#active && from !== this.#next) return;
    from.hang.progress();
    if (report.kind === 'failed') {
      from.failure = report.message;
      return;
    }
    if (report.kind === 'ready') this.#hearReady(from, report);
    else if (from === this.#active && from.ready) this.#hear(from, report);
    this.#pump();
  }

  #hearReady(from: Running, report: ReadyReport): void {
    if (from.ready) return;
    from.ready = true;
    if (from === this.#next) this.#takeOver(this.#next);
    this.#model = report.model;
    this.#queue.setGrid(report.window_s, report.hop_s, report.ambience_s ?? 0);
    const { kind: _, ...about } = report;
    this.#listener.ready?.(about);
    this.#tellOk();
  }

  #hear(from: Running, report: Exclude<DetectorReport, ReadyReport>): void {
    if (report.kind === 'progress') this.#progress(from, report.done, report.windows ?? []);
    else if (report.kind === 'impact') this.#hearImpact(report);
    else if (report.kind === 'summary') this.#listener.summary?.(report);
    else if (report.kind === 'flushed') this.#flushed?.();
  }

  #progress(from: Running, done: number, windows: readonly ScoredWindow[]): void {
    // The sound first: the ledger learns from it where windows begin.
    from.fresh += this.#queue.retire(done - from.done);
    const fresh = windows.filter(({ end_ns }) => this.#queue.ledger.score(BigInt(end_ns)));
    for (const { share } of fresh) this.#quietWindows = share >= 0.5 ? 0 : this.#quietWindows + 1;
    if (fresh.length > 0) this.#listener.windows?.(fresh);
    from.done = Math.max(from.done, done);
    if (from.fresh >= SETTLED_CHUNKS) this.#pauses.settled();
    if (this.#troubled && this.#queue.length <= WINDOW_CHUNKS) this.#tellOk();
  }

  #hearImpact({ kind: _, onset_ns, end_ns, ...heard }: ImpactReport): void {
    const onsetNs = BigInt(onset_ns);
    const stamp = this.#impacts.take(onsetNs);
    if (stamp === null) return;
    const model = this.#model ?? { name: '', version: '' };
    this.#listener.impact({ ...heard, stamp, endNs: stamp.capturedAtNs + BigInt(end_ns) - onsetNs, model });
  }

  #pump(window: number = WINDOW_CHUNKS): void {
    if (!this.#active?.ready) return;
    for (let chunk = this.#queue.next(window); chunk !== null; chunk = this.#queue.next(window)) {
      this.#active.child.hear(chunk);
    }
  }

  #tick(): void {
    this.#ticks += 1;
    if (this.#active === null) {
      if (this.#format !== null && this.#next === null && this.#pauses.isOver())
        this.#active = this.#launch(this.#setup);
    } else {
      if (this.#ticks % MEMORY_TICKS === 0) this.#weigh(this.#active);
      if (this.#active !== null) this.#watch(this.#active);
    }
    if (this.#next !== null) this.#watch(this.#next);
  }

  #watch(running: Running): void {
    const { child, hang, ready } = running;
    if (ready && this.#queue.sent === 0) {
      hang.progress();
      return;
    }
    hang.tick(TICK_MS, () => child.look());
    const limitMs = ready ? this.#options.hangTimeoutMs : this.#options.startTimeoutMs;
    if (hang.blamedMs < limitMs) return;
    const waited = ready ? 'made no progress' : 'did not load its model';
    running.failure = `expected progress, found: ${waited} for ${limitMs} ms`;
    this.#lost(running, 'was killed', 'hung');
    child.kill('was killed');
  }

  /** Replaces a process that has grown too large, at a quiet moment if there is one soon. */
  #weigh(running: Running): void {
    const bytes = running.ready ? running.child.memoryBytes() : null;
    if (bytes === null || this.#next !== null) return;
    const verdict = running.memory.weigh(bytes, this.#quietWindows > 0);
    if (verdict === 'fine') return;
    const found = `expected at most ${megabytes(running.memory.limitBytes)} MB, found ${megabytes(bytes)} MB`;
    if (verdict === 'kill') {
      running.failure = found;
      this.#lost(running, 'was killed', 'memory');
      running.child.kill('was killed');
      return;
    }
    this.#restarts.memory += 1;
    const cure = 'If this comes again and again, raise detector.max_memory_mb or choose another model.';
    this.#tell('warn', 'memory', `the detector process grew and is replaced: ${found}`, cure);
    this.#replaceWith(this.#setup).catch((error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      this.#tell('warn', 'memory', `the detector process grew and could not be replaced: ${message}`, cure);
    });
  }

  #lost(lost: Running, how: string, reason: RestartReason): void {
    const why = lost.failure === '' ? '' : `: ${lost.failure}`;
    if (lost === this.#next) {
      const { reject } = this.#next;
      this.#next = null;
      reject(new Error(`the detector process ${how}${why}`));
    }
    if (lost !== this.#active) return;
    this.#active = null;
    this.#flushed?.();
    if (this.#ticker === null) return;
    this.#restarts[reason] += 1;
    this.#pauses.lost(lost.fresh >= SETTLED_CHUNKS, this.#ticks);
    this.#impacts.decided(this.#queue.rewind(true));
    const { failedStarts } = this.#pauses;
    const pause = this.#pauses.pauseMs >= 1_000 ? `; the next start is in ${this.#pauses.pauseMs / 1_000} s` : '';
    const cure = failedStarts > 1 ? 'Run fender doctor: the model file may be missing or unfit for this machine.' : '';
    const level = failedStarts > 1 || this.#pauses.isFlood ? 'error' : 'warn';
    this.#tell(level, 'restarted', `the detector process ${how}${why}${pause}`, cure);
    // Not from within the exit of the one before.
    if (this.#pauses.pauseMs === 0) setImmediate(() => this.#relaunch());
  }

  #relaunch(): void {
    if (this.#active !== null || this.#next !== null || this.#ticker === null) return;
    this.#active = this.#launch(this.#setup);
  }

  #tellOk(): void {
    this.#tell('ok', 'ok', `the model ${this.#model?.name} ${this.#model?.version} listens`, '');
  }

  #tell(level: Diagnostic['level'], code: string, message: string, cure: string): void {
    this.#troubled = level !== 'ok';
    const { restarts, missedChunks, processedChunks, missedWindows, scoredWindows } = this.statistics();
    const values = {
      restarts,
      missed_windows: missedWindows,
      scored_windows: scoredWindows,
      missed_chunks: missedChunks,
      processed_chunks: processedChunks,
    };
    this.#listener.diagnostic({ source: this.#options.source, level, code, message, cure, values });
  }
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}
