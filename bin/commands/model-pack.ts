/** `fender model pack`: puts a description into an ONNX file that came from elsewhere. */
import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
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
  const { examine, parseModel, readModelBytes, withDescription } = await import('../../models/package.ts');
  const { inspectModel } = await import('../../models/inspect.ts');
  const { ModelError } = await import('../../models/error.ts');
  const { tryModel } = await import('../../models/trial.ts');

  const bytes = await readModelBytes(file);
  const { onnx, findings } = examine(bytes, file);
  // Lengths are compared with the description, which is not the last one yet.
  const later = ['graph.input audio', 'graph.output scores'];
  const ofGraph = findings.filter(({ code, field }) => code !== 'invalid-description' && !later.includes(field));
  if (onnx === null || ofGraph.length > 0) throw ModelError.of(file, onnx === null ? findings : ofGraph);

  let draft: Draft = inspectModel(bytes, file).description;
  if (options.from !== undefined) draft = packing.mergeDrafts(draft, await packing.readDraft(options.from));
  for (const { field, flag, read } of packing.QUESTIONS) {
    const answer = options[flag.slice(2).replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())];
    if (typeof answer === 'string') draft = packing.withField(draft, field, readAnswer(flag, answer, read));
  }
  draft = await ask(draft, (now) => packing.openQuestions(now, onnx), packing.withField);
  draft = packing.withKnown(draft, onnx);

  const { emptyReference } = await import('../../models/reference.ts');
  const labels = packing.labelsOf(draft);
  if (!options.reference || (options.clips !== undefined && !('drift_reference' in draft))) {
    draft = { ...draft, drift_reference: { histograms: emptyReference(labels) } };
  }
  if (!('drift_reference' in draft)) {
    throw new UsageError(
      'drift_reference: expected --clips <csv> to make it of, or --no-reference to go without, found neither',
    );
  }
  const { validDescription } = await import('../../models/description-props.ts');
  let packed = parseModel(withDescription(bytes, validDescription(draft, file), file), file);
  const trial = await tryModel(packed);
  if (trial.findings.length > 0) throw ModelError.of(file, trial.findings);
  if (options.clips !== undefined) {
    const histograms = await count(packed, options.clips, signal);
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
    throw new UsageError(`${flag}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Asks for what is missing where there is somebody to answer, and names the options otherwise. */
async function ask(
  draft: Draft,
  openQuestions: (draft: Draft) => Question[],
  withField: (draft: Draft, field: string, value: unknown) => Draft,
): Promise<Draft> {
  let asked = draft;
  const open = openQuestions(asked);
  if (open.length === 0) return asked;
  if (!process.stdin.isTTY) {
    const flags = open.map(({ flag, text }) => `  ${flag}: ${text}`);
    throw new UsageError(`the description is not whole; say it with --from, or with:\n${flags.join('\n')}`);
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const closed = new Promise<never>((_, reject) => {
    terminal.once('close', () => reject(new UsageError('the description is not whole, and nobody answers')));
  });
  closed.catch(() => {});
  try {
    for (let next = open[0]; next !== undefined; next = openQuestions(asked)[0]) {
      const { field, text, suggestion, read } = next;
      const question = `${text}${suggestion === undefined ? '' : ` [${suggestion}]`}: `;
      const answer = (await Promise.race([terminal.question(question), closed])).trim();
      try {
        const value = answer === '' ? suggestion : answer;
        if (value !== undefined) asked = withField(asked, field, read(value));
      } catch (error) {
        process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
      }
    }
  } finally {
    terminal.close();
  }
  return asked;
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
