/**
 * Runs a checked model for the first time, in a process of its own with limits, and looks at what it gives: the last of the checks, which
 * only the runtime can make.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { ModelError, type ModelFinding } from './error.ts';
import type { Model } from './package.ts';
import { noise, type WindowTimes } from './race.ts';
import type { Scorer } from './session.ts';
import { lengthsInSamples } from './windows.ts';

/** What a trial may cost. */
export interface TrialLimits {
  /** Memory of the process, bytes. */
  readonly memoryBytes: number;
  /** Time on a processor, of all that one process is given, s: what goes round for ever is found however busy the machine is. */
  readonly cpuS: number;
  /** Until it has answered, ms; long, as the machine may be busy. */
  readonly timeMs: number;
}

/** Down: what to do, followed by the bytes of each model. */
export interface TrialRequest {
  readonly models: readonly {
    readonly path: string;
    readonly byteLength: number;
    readonly description: Pick<Model['description'], 'input' | 'labels'>;
  }[];
  /** Windows to time each model with, by turns; 0 looks at the scores of the first instead. */
  readonly windows: number;
}

/** Up: what came of it. */
export interface TrialReport {
  /** Of all models together, ms. */
  readonly loadMs: number;
  readonly findings: readonly ModelFinding[];
  /** Of each model. */
  readonly times: readonly WindowTimes[];
  /** By which the resident memory of the process grew, bytes. */
  readonly memoryBytes: number;
  /** Whether the process ended of it, or had to be ended. */
  readonly died?: true;
}

export const TRIAL_LIMITS: TrialLimits = { memoryBytes: 1.5 * 2 ** 30, cpuS: 30, timeMs: 120_000 };

/** Largest difference of a window's scores alone and among others: 8-bit sums may be rounded otherwise. */
const BATCH_TOLERANCE = 0.01;
/** Scores are probabilities: they add up to 1, but for rounding. */
const SUM_TOLERANCE = 0.01;

/** Looks at the scores of silence, noise and a click: shape, finite, probabilities, the same again, and in a batch. */
export async function trySession(
  scorer: Scorer,
  description: TrialRequest['models'][number]['description'],
): Promise<ModelFinding[]> {
  const { window } = lengthsInSamples(description.input);
  const click = new Float32Array(window);
  click[window >> 1] = 0.9;
  const sounds = { silence: new Float32Array(window), noise: noise(window), 'a click': click };
  const findings: ModelFinding[] = [];
  const wrong = (expected: string, found: string): number =>
    findings.push({
      code: 'wrong-model',
      field: 'scores',
      expected,
      found,
      cure: 'Correct the graph and export it again.',
    });
  const alone: Float32Array[] = [];
  for (const [name, audio] of Object.entries(sounds)) {
    const scores = await scorer.run(audio, 1);
    const shown = `[${[...scores].map((score) => score.toPrecision(4)).join(', ')}] for ${name}`;
    if (scores.some((score) => !Number.isFinite(score))) wrong('finite numbers', shown);
    else if (scores.some((score) => score < -1e-6 || score > 1 + 1e-6)) wrong('probabilities, 0 to 1', shown);
    else if (Math.abs(scores.reduce((sum, score) => sum + score, 0) - 1) > SUM_TOLERANCE) {
      wrong('probabilities that add up to 1, as of a softmax', shown);
    }
    const again = await scorer.run(audio, 1);
    if (again.some((score, i) => !Object.is(score, scores[i]))) wrong('the same scores for the same window', shown);
    alone.push(scores);
  }
  const all = new Float32Array(3 * window);
  Object.values(sounds).forEach((audio, i) => {
    all.set(audio, i * window);
  });
  const together = await scorer.run(all, 3);
  const labels = description.labels.length;
  const differs = together.some(
    (score, i) => !(Math.abs(score - (alone[Math.floor(i / labels)]?.[i % labels] ?? 0)) <= BATCH_TOLERANCE),
  );
  if (differs && findings.length === 0) wrong('the scores of a window to be its own in a batch of three', 'others');
  return findings;
}

/** A process for trials. It is started by the first, and again after one that it died of. */
export class TrialProcess {
  readonly #limits: TrialLimits;
  readonly #signal: AbortSignal | undefined;
  #child: ChildProcess | null = null;

  /** `signal` ends what runs. */
  constructor(limits: TrialLimits = TRIAL_LIMITS, signal?: AbortSignal) {
    this.#limits = limits;
    this.#signal = signal;
  }

  /**
   * Looks at `model`, which must have been checked, or times several. Never throws for what they do; `findings` tells. Throws ModelError
   * `aborted` when the signal aborts, and the process is ended.
   */
  async run(models: readonly Model[], windows = 0): Promise<TrialReport> {
    if (this.#signal?.aborted) throw stopped();
    const child = this.#started();
    const request: TrialRequest = {
      models: models.map(({ path, bytes, description: { input, labels } }) => {
        return { path, byteLength: bytes.byteLength, description: { input, labels } };
      }),
      windows,
    };
    const header = Buffer.from(JSON.stringify(request));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(header.length);
    const stdin = child.stdin as Writable;
    for (const bytes of [length, header, ...models.map((model) => model.bytes)]) stdin.write(bytes);
    return this.#answer(child);
  }

  /** Ends the process, if it runs. */
  async close(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  #started(): ChildProcess {
    if (this.#child !== null) return this.#child;
    const { memoryBytes, cpuS } = this.#limits;
    const limits = `ulimit -c 0 && ulimit -t ${cpuS} && ulimit -d ${Math.ceil(memoryBytes / 1024)} && exec "$@"`;
    const program = fileURLToPath(new URL('./trial-process.ts', import.meta.url));
    const child = spawn('/bin/sh', ['-c', limits, 'trial', process.execPath, program], {
      stdio: ['pipe', 'ignore', 'ignore', 'pipe'],
      env: { PATH: process.env.PATH ?? '', ORT_DISABLE_TELEMETRY: '1' },
      // Ctrl-C in a terminal is for whoever asked, who ends this one; if nobody can any more, it ends with its standard input.
      detached: true,
    });
    // Writing to a process that died fails in its own way; its exit says all that matters.
    child.stdin?.on('error', () => {});
    this.#child = child;
    return child;
  }

  #answer(child: ChildProcess): Promise<TrialReport> {
    const started = performance.now();
    return new Promise((resolve, reject) => {
      let text = '';
      let slow = false;
      const output = child.stdio[3] as Readable;
      const timer = setTimeout(() => {
        slow = true;
        child.kill('SIGKILL');
      }, this.#limits.timeMs);
      const settle = (): void => {
        clearTimeout(timer);
        this.#signal?.removeEventListener('abort', abort);
        output.removeAllListeners('data');
        child.removeAllListeners('exit').removeAllListeners('error');
      };
      const done = (report: TrialReport): void => {
        settle();
        resolve(report);
      };
      const abort = (): void => {
        settle();
        this.close().then(() => reject(stopped()), reject);
      };
      this.#signal?.addEventListener('abort', abort, { once: true });
      const died = (how: string): void => {
        this.#child = null;
        const { cpuS, memoryBytes } = this.#limits;
        const expected = `an answer within ${cpuS} s of processor time and ${Math.round(memoryBytes / 2 ** 20)} MiB`;
        const found = slow ? `none after ${Math.round(performance.now() - started)} ms` : `the runtime ${how}`;
        const cure = 'Do not use this model: it stops or ends the program that runs it.';
        done({
          loadMs: 0,
          times: [],
          memoryBytes: 0,
          died: true,
          findings: [{ code: 'session', field: 'graph', expected, found, cure }],
        });
      };
      child.once('error', (error) => died(`could not be started: ${error.message}`));
      child.once('exit', (code, signal) => died(`ended with ${signal ?? `status ${code}`}`));
      output.setEncoding('utf8');
      output.on('data', (piece: string) => {
        text += piece;
        if (text.endsWith('\n')) done(JSON.parse(text) as TrialReport);
      });
    });
  }
}

function stopped(): ModelError {
  return new ModelError('aborted', 'the run of the model was stopped', { retryable: true });
}

/** Runs a checked model once, in a process of its own. Throws ModelError `aborted` when the signal aborts. */
export async function tryModel(
  model: Model,
  limits: TrialLimits = TRIAL_LIMITS,
  signal?: AbortSignal,
): Promise<TrialReport> {
  const trial = new TrialProcess(limits, signal);
  try {
    return await trial.run([model]);
  } finally {
    await trial.close();
  }
}
