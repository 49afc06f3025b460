/** `fender model pack`: puts a description into an ONNX file that came from elsewhere. */
import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import type { OnnxModel } from '../../models/onnx/structure.ts';
import type { Draft, Question } from '../../models/pack.ts';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { startProgress } from '../progress.ts';
import { run, UsageError } from '../run.ts';

interface Options extends Readonly<Record<string, string | boolean | undefined>> {
  readonly from?: string;
  readonly out?: string;
  readonly inPlace?: true;
  readonly clips?: string;
  readonly reference: boolean;
}

type Packing = typeof import('../../models/pack.ts');
type AnswerTo = (text: string) => Promise<string>;

/** Options that answer a question; what is asked and checked is in models/pack.ts. */
const ANSWERS: readonly (readonly [flags: string, description: string])[] = [
  ['--name <name>', 'name of the model: lower-case letters, digits, dashes'],
  ['--model-version <x.y.z>', 'semantic version'],
  ['--author <text>', 'who made it'],
  ['--dataset-tag <tag>', 'dataset that it learned from'],
  ['--labels <a,b,c>', 'labels in the order of the scores, background first'],
  ['--thresholds <list>', 'sureness from which a label counts: 0.5, or body_impact=0.6,glass_break=0.7'],
  ['--topic <topic>', 'topic of the sound'],
  ['--channels <n>', 'channels of that topic; they are averaged'],
  ['--rate <hz>', 'sample rate'],
  ['--window <s>', 'length of a window; from the graph when it is fixed there'],
  ['--hop <s>', 'from window to window'],
  ['--seed <n>', 'seed of the training'],
  ['--commit <hash>', 'commit that trained it'],
  ['--data <text>', 'what it learned from, in a sentence'],
];

export function packCommand(): Command {
  const command = new Command('pack')
    .summary('put a description into an ONNX file that came from elsewhere')
    .description(
      'Writes a new model file: the same graph, with the description that the agent and benchmarks need. The graph must take `audio` float32 ' +
        '[batch, samples] and give `scores` float32 [batch, labels] that add up to 1. What the file, --from and the options do not say is ' +
        'asked for in a terminal. The result passes `fender model verify`, or nothing is written; properties of others stay in the file.',
    )
    .argument('<file>', 'an ONNX file')
    .option('--from <file>', 'a description in YAML or JSON, with the keys that `fender model inspect --json` shows')
    .option('--out <file>', 'the new file (default: NAME-VERSION.onnx in the folder of the source)')
    .option('--in-place', 'replace the source')
    .option(
      '--clips <csv>',
      'clips as the vehicle hears them: histograms of their windows become the reference for drift',
    )
    .option('--no-reference', 'write no reference: drift of this model cannot be told');
  for (const [flags, description] of ANSWERS) command.option(flags, description);
  return command
    .addHelpText(
      'after',
      `${EXIT_HELP}\n
Examples:
  fender model pack net.onnx --from description.yaml
  fender model pack net.onnx --name knocks --author me --labels background,knock --rate 16000 --channels 1 \\
    --data "2000 knocks on doors" --clips drive-clips.csv --out knocks.fp32.onnx
  fender model pack --in-place impact.int8.onnx --thresholds body_impact=0.7,glass_break=0.6`,
    )
    .action((file: string, options: Options) => run((signal) => pack(file, options, signal)));
}

async function pack(file: string, options: Options, signal: AbortSignal): Promise<number> {
  if (options.inPlace && options.out !== undefined) throw new UsageError('--in-place and --out: expected one of them');
  const packing = await import('../../models/pack.ts');
  const { examine, parseModel, withDescription } = await import('../../models/package.ts');
  const { readModelBytes } = await import('../../models/model-bytes.ts');
  const { inspectModel } = await import('../../models/inspect.ts');
  const { ModelError } = await import('../../models/error.ts');
  const { TRIAL_LIMITS, tryModel } = await import('../../models/trial.ts');
  const { checkGraph } = await import('../../models/graph-check.ts');
  const { readClips } = await import('../../models/clips.ts');

  const bytes = await readModelBytes(file);
  const { onnx, findings } = examine(bytes, file);
  // Its lengths are compared with the description, which is not the last one yet.
  const ofGraph = onnx === null ? findings : checkGraph(onnx, null);
  if (onnx === null || ofGraph.length > 0) throw ModelError.of(file, ofGraph);
  if (options.clips !== undefined) await readClips(options.clips);

  let said: Draft = options.from === undefined ? {} : await packing.readDraft(options.from);
  for (const { field, flag, read } of packing.QUESTIONS) {
    const answer = options[flag.slice(2).replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())];
    if (typeof answer === 'string') said = packing.withField(said, field, readAnswer(flag, answer, read));
  }
  const joined = packing.joinDrafts({ own: inspectModel(bytes, file).description, said });
  for (const text of joined.dropped) process.stderr.write(`${text}\n`);
  const problems = packing.draftProblems(joined.draft, onnx);
  if (problems.length > 0) throw ModelError.of(file, problems);
  const needsReference = options.reference && options.clips === undefined && !('drift_reference' in joined.draft);
  const asked = await ask(joined.draft, needsReference, onnx, packing);
  const clips = asked.clips ?? options.clips;
  let draft = packing.withKnown(asked.draft, onnx);

  const { emptyReference } = await import('../../models/reference.ts');
  if (!options.reference || !('drift_reference' in draft)) {
    draft = { ...draft, drift_reference: { histograms: emptyReference(packing.labelsOf(draft)) } };
  }
  const { validDescription } = await import('../../models/description-props.ts');
  let packed = parseModel(withDescription(bytes, validDescription(draft, file), file), file);
  const trial = await tryModel(packed, TRIAL_LIMITS, signal);
  if (trial.findings.length > 0) throw ModelError.of(file, trial.findings);
  if (clips !== undefined) {
    const histograms = await count(packed, clips, signal);
    const description = {
      ...packed.description,
      drift_reference: { ...packed.description.drift_reference, histograms },
    };
    packed = parseModel(withDescription(bytes, description, file), file);
  }

  const { dirname, join } = await import('node:path');
  const { name, version } = packed.description;
  const out = options.inPlace ? file : (options.out ?? join(dirname(file), `${name}-${version}.onnx`));
  await packing.writeModel(out, packed.bytes, options.inPlace === true);
  process.stdout.write(`${out}: ${name} ${version}, verified\n`);
  return EXIT.ok;
}

function readAnswer(flag: string, answer: string, read: Question['read']): unknown {
  try {
    return read(answer.trim());
  } catch (error) {
    throw new UsageError(`${flag}: ${reasonOf(error)}`);
  }
}

interface Asked {
  readonly draft: Draft;
  /** The clips that were named when they were asked for. */
  readonly clips?: string;
}

/** Asks for what is missing where there is somebody to answer, and names the options otherwise. */
async function ask(draft: Draft, needsReference: boolean, onnx: OnnxModel, packing: Packing): Promise<Asked> {
  const open = packing.openQuestions(draft, onnx);
  if (open.length === 0 && !needsReference) return { draft };
  if (!process.stdin.isTTY) {
    const flags = open.map(({ flag, text }) => `  ${flag}: ${text}`);
    if (needsReference) flags.push(`  --clips or --no-reference: ${REFERENCE}`);
    throw new UsageError(`the description is not whole; say it with --from, or with:\n${flags.join('\n')}`);
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const closed = new Promise<never>((_, reject) => {
    terminal.once('close', () => reject(new UsageError('the description is not whole, and nobody answers')));
  });
  closed.catch(() => {});
  const answerTo = async (text: string): Promise<string> =>
    (await Promise.race([terminal.question(`${text}: `), closed])).trim();
  try {
    const asked = await askQuestions(draft, onnx, packing, answerTo);
    const clips = needsReference ? await askClips(answerTo) : '';
    return { draft: asked, ...(clips !== '' && { clips }) };
  } finally {
    terminal.close();
  }
}

async function askQuestions(draft: Draft, onnx: OnnxModel, packing: Packing, answerTo: AnswerTo): Promise<Draft> {
  let asked = draft;
  for (let next = packing.openQuestions(asked, onnx)[0]; next; next = packing.openQuestions(asked, onnx)[0]) {
    const { field, text, suggestion, read } = next;
    const answer = (await answerTo(`${text}${suggestion === undefined ? '' : ` [${suggestion}]`}`)) || suggestion;
    if (answer === undefined) continue;
    try {
      const tried = packing.withField(asked, field, read(answer));
      const problem = packing.answerProblem(tried, field, onnx);
      if (problem !== null) throw new Error(problem);
      asked = tried;
    } catch (error) {
      process.stderr.write(`${reasonOf(error)}\n`);
    }
  }
  return asked;
}

/** The clips of the reference for drift; empty when there shall be none. */
async function askClips(answerTo: AnswerTo): Promise<string> {
  const { readClips } = await import('../../models/clips.ts');
  for (;;) {
    const path = await answerTo(`${REFERENCE} (a CSV; nothing: without it)`);
    try {
      if (path !== '') await readClips(path);
      return path;
    } catch (error) {
      process.stderr.write(`${reasonOf(error)}\n`);
    }
  }
}

const REFERENCE = 'Clips as the vehicle hears them, as the reference that drift is told by';

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function count(model: import('../../models/package.ts').Model, clips: string, signal: AbortSignal) {
  const { countReference } = await import('../../models/reference.ts');
  const { ModelSession } = await import('../../models/session.ts');
  const session = await ModelSession.open(model, { threads: 1 });
  const progress = startProgress('listening to clips');
  try {
    return await countReference(session, model.description, clips, {
      onProgress: (done, total) => progress.update(done, total),
      signal,
    });
  } finally {
    progress.close();
    await session.close();
  }
}
