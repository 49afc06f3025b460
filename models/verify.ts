/** Makes sure of a model file: everything that reading checks, and then a first run in a process of its own. */
import { ModelError, type ModelFinding } from './error.ts';
import { countOf, findingsText, sizeText } from './inspect.ts';
import { type ReadModelOptions, readModelBytes } from './model-bytes.ts';
import { examine } from './package.ts';
import { TRIAL_LIMITS, type TrialLimits, tryModel } from './trial.ts';

/** As printed with --json. */
export interface Verification {
  readonly file: string;
  readonly valid: boolean;
  readonly findings: readonly ModelFinding[];
  readonly bytes: number;
  /** Name and version, as far as the description is valid. */
  readonly model: string | null;
  readonly nodes: number;
  /** How long ONNX Runtime took to load it; null when it was not run. */
  readonly load_ms: number | null;
}

/** Never throws for what the file is; a file that cannot be read is a finding too. Throws ModelError `aborted` when the signal aborts. */
export async function verifyModel(
  path: string,
  options: ReadModelOptions & { readonly limits?: TrialLimits; readonly signal?: AbortSignal } = {},
): Promise<Verification> {
  const result = { file: path, valid: false, bytes: 0, model: null, nodes: 0, load_ms: null };
  let bytes: Uint8Array;
  try {
    bytes = await readModelBytes(path, options);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return { ...result, findings: error.findings };
  }
  const { description, onnx, findings } = examine(bytes, path, options);
  const model = description === null ? null : `${description.name} ${description.version}`;
  const seen = { ...result, bytes: bytes.byteLength, model, nodes: onnx?.graph.nodes.length ?? 0 };
  if (description === null || findings.length > 0) return { ...seen, findings };
  const trial = await tryModel({ path, bytes, description }, options.limits ?? TRIAL_LIMITS, options.signal);
  return { ...seen, valid: trial.findings.length === 0, findings: trial.findings, load_ms: trial.loadMs };
}

/** The result as text for a terminal. */
export function formatVerification({ file, valid, findings, bytes, model, nodes, load_ms }: Verification): string {
  if (!valid) return `${file}: refused, ${countOf(findings.length, 'problem')}\n${findingsText(findings)}\n`;
  return [
    `${file}: ${model}, sound`,
    `  description  every field is valid`,
    `  graph        ${sizeText(bytes)}, ${countOf(nodes, 'node')} of known operators, all weights there, audio → scores as described`,
    `  trial        loaded in ${load_ms?.toFixed(0)} ms; silence, noise and a click give probabilities, the same ones again and in a batch`,
    '',
  ].join('\n');
}
