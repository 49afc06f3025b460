/** Measures what a model costs on this machine: time of a window, load, memory; beside its int8 or fp32 sibling when there is one. */
import { access } from 'node:fs/promises';
import { ModelError } from './error.ts';
import { sizeText } from './inspect.ts';
import type { ReadModelOptions } from './model-bytes.ts';
import { type Model, readModel } from './package.ts';
import { quantile, type WindowTimes } from './race.ts';
import { TRIAL_LIMITS, TrialProcess, type TrialReport } from './trial.ts';

/** As printed with --json. */
export interface ModelBench {
  readonly windows: number;
  readonly models: readonly BenchedModel[];
  /** The file that the agent would listen with on this machine, of those measured. */
  readonly agent_takes: string;
  /** Processor time of fp32 over that of int8; null when there is no pair. */
  readonly int8_speedup: number | null;
}

export interface BenchedModel {
  readonly file: string;
  readonly precision: 'int8' | 'fp32' | null;
  readonly bytes: number;
  /** One window on one thread, ms. */
  readonly median_ms: number;
  readonly p95_ms: number;
  /** Median of the processor's time of one window, ms: what a busy machine hardly moves, and what the agent chooses by. */
  readonly processor_ms: number;
  /** Share of a core that listening in real time takes, at the model's hop. */
  readonly core_share: number;
  readonly load_ms: number;
  /** Resident memory that loading and running it took, bytes. */
  readonly memory_bytes: number;
}

export interface BenchOptions extends ReadModelOptions {
  /** Timed windows of each model. */
  readonly windows: number;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

const PAIR = [
  ['.int8.onnx', '.fp32.onnx'],
  ['.fp32.onnx', '.int8.onnx'],
] as const;

/** Measured in so many parts, so that there is something to tell meanwhile. */
const PARTS = 10;

/** The other form of a model's file by its name; null when its name has no such ending. */
export function siblingOf(path: string): string | null {
  const pair = PAIR.find(([own]) => path.endsWith(own));
  return pair === undefined ? null : `${path.slice(0, -pair[0].length)}${pair[1]}`;
}

/**
 * Times the model at `path`, and its sibling, by turns in one process. Throws ModelError: a file that is refused, one that does not run
 * (`session`), `aborted` when the signal aborts.
 */
export async function benchModel(path: string, options: BenchOptions): Promise<ModelBench> {
  const beside = siblingOf(path);
  const isThere =
    beside !== null &&
    (await access(beside).then(
      () => true,
      () => false,
    ));
  const models = [await readModel(path, options), ...(isThere ? [await readModel(beside, options)] : [])];
  const alone: TrialReport[] = [];
  for (const model of models) alone.push(await inProcess((trial) => run(trial, [model], 1), options.signal));
  const timed = await inProcess((trial) => timeWindows(trial, models, options), options.signal);
  const benched = models.map((model, i): BenchedModel => {
    const times = timed[i]?.passed ?? [];
    const processor = quantile(timed[i]?.spent ?? [], 0.5);
    return {
      file: model.path,
      precision: precisionOf(model),
      bytes: model.bytes.byteLength,
      median_ms: quantile(times, 0.5),
      p95_ms: quantile(times, 0.95),
      processor_ms: processor,
      core_share: processor / (model.description.input.hop_s * 1000),
      load_ms: alone[i]?.loadMs ?? Number.NaN,
      memory_bytes: alone[i]?.memoryBytes ?? Number.NaN,
    };
  });
  const [int8, fp32] = (['int8', 'fp32'] as const).map((form) => benched.find(({ precision }) => precision === form));
  const isPair = int8 !== undefined && fp32 !== undefined;
  // As the agent chooses: int8 only where it is faster.
  const taken = isPair ? (int8.processor_ms < fp32.processor_ms ? int8 : fp32) : (benched[0] as BenchedModel);
  return {
    windows: options.windows,
    models: benched,
    agent_takes: taken.file,
    int8_speedup: isPair ? fp32.processor_ms / int8.processor_ms : null,
  };
}

async function timeWindows(
  trial: TrialProcess,
  models: readonly Model[],
  options: BenchOptions,
): Promise<WindowTimes[]> {
  const all = models.map((): WindowTimes => ({ passed: [], spent: [] }));
  for (let part = 0; part < PARTS; part += 1) {
    const from = Math.round((options.windows * part) / PARTS);
    const windows = Math.round((options.windows * (part + 1)) / PARTS) - from;
    if (windows === 0) continue;
    const { times } = await run(trial, models, windows);
    for (const [i, { passed, spent }] of times.entries()) {
      all[i]?.passed.push(...passed);
      all[i]?.spent.push(...spent);
    }
    options.onProgress?.(part + 1, PARTS);
  }
  return all;
}

async function inProcess<T>(work: (trial: TrialProcess) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const trial = new TrialProcess({ ...TRIAL_LIMITS, cpuS: 3600, timeMs: 600_000 }, signal);
  try {
    return await work(trial);
  } finally {
    await trial.close();
  }
}

async function run(trial: TrialProcess, models: readonly Model[], windows: number): Promise<TrialReport> {
  const report = await trial.run(models, windows);
  if (report.findings.length > 0) throw ModelError.of(models[0]?.path ?? '', report.findings);
  return report;
}

function precisionOf({ path, description }: Model): BenchedModel['precision'] {
  if (description.precision !== undefined) return description.precision;
  return path.endsWith('.int8.onnx') ? 'int8' : path.endsWith('.fp32.onnx') ? 'fp32' : null;
}

/** The figures as a table for a terminal. */
export function formatBench(bench: ModelBench): string {
  const head = ['', 'median', '95 %', 'processor', 'of a core', 'load', 'memory', 'file'];
  const rows = bench.models.map((model) => [
    model.file,
    `${model.median_ms.toFixed(2)} ms`,
    `${model.p95_ms.toFixed(2)} ms`,
    `${model.processor_ms.toFixed(2)} ms`,
    `${(100 * model.core_share).toFixed(2)} %`,
    `${model.load_ms.toFixed(0)} ms`,
    sizeText(model.memory_bytes),
    sizeText(model.bytes),
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)));
  const table = [head, ...rows].map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('   ')
      .trimEnd(),
  );
  const told =
    bench.int8_speedup === null
      ? 'There is no int8 or fp32 file beside it to compare with.'
      : `int8 is ${bench.int8_speedup.toFixed(2)} × as fast as fp32 here, so the agent takes ${bench.agent_takes}.`;
  return `${table.join('\n')}\n${bench.windows} windows of each, by turns, on one thread. ${told}\n`;
}
