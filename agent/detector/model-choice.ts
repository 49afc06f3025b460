/**
 * Chooses between the int8 and the fp32 form of the model: the one that was measured to be faster on this machine. The measuring is done
 * in a process of its own, as loaded sessions leak, and once for each pair of files and processor.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, readFile, rename, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import type { CheckedModel } from './checked-model.ts';
import type { MeasuredPair } from './measure-process.ts';

/** The two files of one model. */
export interface ModelPair {
  /** The configured file. */
  readonly modelPath: string;
  /** The same model in fp32; null when there is none. */
  readonly fp32Path: string | null;
}

/** A file to listen with, and why. */
export interface ModelChoice {
  readonly modelPath: string;
  readonly checkedModel: CheckedModel | null;
  /** Null when there is one file only, or nothing was measured yet. */
  readonly measured: { readonly int8Ms: number; readonly fp32Ms: number } | null;
}

/** What is kept in the data folder. */
interface Kept extends MeasuredPair {
  readonly key: string;
}

const INT8_ENDING = '.int8.onnx';
const MEASURE_TIMEOUT_MS = 120_000;

/** The pair of a configured model; `fp32` is configured too, or empty: then it is the file beside it, if there is one. */
export async function findPair(modelPath: string, fp32: string): Promise<ModelPair> {
  if (fp32 !== '') return { modelPath, fp32Path: fp32 };
  if (!modelPath.endsWith(INT8_ENDING)) return { modelPath, fp32Path: null };
  const beside = `${modelPath.slice(0, -INT8_ENDING.length)}.fp32.onnx`;
  return access(beside).then(
    () => ({ modelPath, fp32Path: beside }),
    () => ({ modelPath, fp32Path: null }),
  );
}

/** What was measured before for this pair on this machine, kept in `file`; null when nothing was. Never rejects. */
export async function recallChoice(pair: ModelPair, file: string): Promise<ModelChoice | null> {
  try {
    const kept = JSON.parse(await readFile(file, 'utf8')) as Kept;
    return kept.key === (await keyOf(pair)) ? choiceOf(pair, kept) : null;
  } catch {
    return null;
  }
}

/** How a pair is measured. */
export interface MeasureOptions {
  /** V8 and Node flags of the process. */
  readonly execArgv: readonly string[];
  /** Larger files are refused; as models/package.ts when absent. */
  readonly maxModelBytes?: number | undefined;
  /** Ends the process. */
  readonly signal: AbortSignal;
}

/** Measures the pair, keeps what was found in `file`, and chooses. Rejects when either model cannot be used, with its words, and when aborted. */
export async function measureChoice(pair: ModelPair, file: string, options: MeasureOptions): Promise<ModelChoice> {
  if (pair.fp32Path === null) throw new Error('expected two files of the model, found one');
  const measured = await measureInProcess(pair.modelPath, pair.fp32Path, options);
  const kept: Kept = { key: await keyOf(pair), ...measured };
  await writeFile(`${file}.new`, JSON.stringify(kept))
    .then(() => rename(`${file}.new`, file))
    // Then it is measured again at the next start.
    .catch(() => {});
  return choiceOf(pair, measured);
}

async function measureInProcess(
  int8: string,
  fp32: string,
  { execArgv, maxModelBytes, signal }: MeasureOptions,
): Promise<MeasuredPair> {
  const program = new URL('./measure-process.ts', import.meta.url).pathname;
  const limit = maxModelBytes === undefined ? [] : [String(maxModelBytes)];
  const limits = { timeout: MEASURE_TIMEOUT_MS, killSignal: 'SIGKILL', signal } as const;
  try {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [...execArgv, program, int8, fp32, ...limit],
      limits,
    );
    return JSON.parse(stdout) as MeasuredPair;
  } catch (cause) {
    const { stderr = '', killed = false } = cause as { readonly stderr?: string; readonly killed?: boolean };
    const said = /^ModelError: (.+)$/m.exec(stderr)?.[1];
    const late = killed ? `expected an answer within ${MEASURE_TIMEOUT_MS / 1000} s, found none` : undefined;
    throw new Error(said ?? late ?? (cause instanceof Error ? cause.message : String(cause)), { cause });
  }
}

/** The int8 file only where it is faster. */
function choiceOf({ modelPath, fp32Path }: ModelPair, { int8Ms, fp32Ms, fp32 }: MeasuredPair): ModelChoice {
  const measured = { int8Ms, fp32Ms };
  if (!(Number.isFinite(int8Ms) && Number.isFinite(fp32Ms))) throw new Error('expected two times, found none');
  if (int8Ms < fp32Ms || fp32Path === null) return { modelPath, checkedModel: null, measured };
  return { modelPath: fp32Path, checkedModel: fp32, measured };
}

/** The files' contents and the processor. */
async function keyOf({ modelPath, fp32Path }: ModelPair): Promise<string> {
  const [int8, fp32] = await Promise.all([sha256Of(modelPath), fp32Path === null ? '' : sha256Of(fp32Path)]);
  return [int8, fp32, process.arch, cpus()[0]?.model.trim() ?? ''].join(' ');
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
