/** The training engine: one configuration, one command, one model file that runs here. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { relativeToAll } from '../../models/ambience.ts';
import { FEATURE_EDGES, type InputFeatures, inputFeatures, SCORE_EDGES } from '../../models/features.ts';
import { type Model, readModel } from '../../models/package.ts';
import { SeededRandom } from '../../models/seeded-random.ts';
import { ModelSession } from '../../models/session.ts';
import { testDescription } from './description.ts';

const ROOT = join(import.meta.dirname, '../..');
const TRAINING = join(ROOT, 'models/training');
const FIXTURE = join(import.meta.dirname, 'fixtures/input-features.json');
const python = join(TRAINING, '.venv/bin/python');
/** `.ci/run` makes the environment; elsewhere as in models/training/README.md. */
const isThere = existsSync(python) || process.env.CI !== undefined;
const missing = isThere ? '' : ' (skipped: models/training/.venv is missing, see models/training/README.md)';
const run = promisify(execFile);

interface FeatureWindow {
  readonly samples: readonly number[];
  readonly sample_rate_hz: number;
  readonly features: InputFeatures;
}

const windows = async () => JSON.parse(await readFile(FIXTURE, 'utf8')) as readonly FeatureWindow[];

const RATE = 48_000;
const CLASSES = ['door_knock', 'glass_breaking', 'engine', 'rain', 'dog'] as const;

/** Two seconds that are about what the class says: a thud or a ringing at some moment, a hum, a noise, a wail. */
function sound(cls: string, random: SeededRandom): Int16Array {
  const onset = random.between(0.3, 1.2);
  const pitch = random.between(0.8, 1.2) * ({ door_knock: 180, glass_breaking: 5200, engine: 90, dog: 700 }[cls] ?? 0);
  const steady = cls === 'engine' || cls === 'rain' || cls === 'dog';
  return Int16Array.from({ length: 2 * RATE }, (_, i) => {
    const t = i / RATE;
    const envelope = steady ? 0.2 : t < onset ? 0 : Math.exp(-25 * (t - onset));
    const tone = pitch === 0 ? 0 : Math.sin(2 * Math.PI * pitch * t * (cls === 'dog' ? 1 + 0.1 * Math.sin(9 * t) : 1));
    return 32767 * (0.6 * envelope * tone + (cls === 'rain' ? 0.2 : 0.01) * (random.unit() - 0.5));
  });
}

function wav(samples: Int16Array): Buffer {
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + samples.byteLength, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(RATE, 24);
  head.writeUInt32LE(2 * RATE, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36);
  head.writeUInt32LE(samples.byteLength, 40);
  return Buffer.concat([head, new Uint8Array(samples.buffer)]);
}

/** A folder with two clips of every class in each of two folds. */
async function makeClips(folder: string): Promise<void> {
  const random = new SeededRandom('training clips');
  const rows = ['file,fold,class,group,licence,author,source_url,source_title'];
  await mkdir(folder, { recursive: true });
  for (const fold of [1, 2]) {
    for (const cls of CLASSES) {
      for (const take of [1, 2]) {
        const file = `${cls}-${fold}-${take}.wav`;
        await writeFile(join(folder, file), wav(sound(cls, random)));
        const group = cls === 'dog' ? 'confuser' : cls === 'engine' || cls === 'rain' ? 'background' : 'impact';
        rows.push(`${file},${fold},${cls},${group},CC-BY,"Smith, A.",http://example.org/${file},${cls}`);
      }
    }
  }
  await writeFile(join(folder, 'clips.csv'), `${rows.join('\n')}\n`);
}

type Settings = Record<string, unknown>;

/** The shipped configuration made so small that it trains in a second or two. */
async function small(name: 'impact' | 'trees', changes: Settings): Promise<Settings> {
  const shipped = parse(await readFile(join(TRAINING, `${name}.yaml`), 'utf8')) as Record<string, Settings>;
  const { distillation: _teacher, committee: _members, ...rest } = shipped;
  return {
    ...rest,
    name: 'small',
    data: { folds: [1], held_out: [2] },
    folds: [],
    generated: [],
    augmentation: { ...shipped.augmentation, windows: { labelled: 4, unlabelled: 1, generated: 1 } },
    evaluation: { noise_classes: ['engine', 'rain'], snr_db: [0], resamples: 100 },
    ...changes,
  };
}

/** The same with a network of a few channels that takes `steps`. */
async function smallNetwork(steps: number): Promise<Settings> {
  const settings = await small('impact', {});
  return {
    ...settings,
    architecture: { name: 'ds_cnn', networks: 1, stem: 4, blocks: [[8, 2]], dropout: 0.1 },
    optimiser: { ...(settings.optimiser as Settings), steps, batch: 16 },
    quantization: { ...(settings.quantization as Settings), windows: 16 },
  };
}

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly told: string;
}

/** Runs train.py on the settings; everything goes into `folder`. */
async function train(folder: string, settings: Settings, clips: string, ...more: string[]): Promise<Ran> {
  await mkdir(folder, { recursive: true });
  const config = join(folder, 'config.yaml');
  await writeFile(config, stringify(settings));
  const out = join(folder, 'out');
  const places = ['--data', clips, '--out', out, '--cache', join(folder, 'cache'), '--jobs', '1'];
  const command = ['-B', join(TRAINING, 'train.py'), config, ...places, ...more];
  try {
    const { stdout } = await run(python, command);
    return { code: 0, out, told: stdout };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, out, told: `${stdout}${stderr}` };
  }
}

/** Runs the model where the vehicle would. */
async function expectProbabilities(model: Model): Promise<void> {
  const session = await ModelSession.open(model, { threads: 1 });
  const scores = await session.run(new Float32Array(RATE), 1);
  await session.close();
  expect(scores.reduce((sum, score) => sum + score, 0)).toBeCloseTo(1, 4);
}

const sha256 = async (path: string) =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');

describe('the input features that drift is judged by', () => {
  test('are what the training has written down', async () => {
    for (const { samples, sample_rate_hz, features } of await windows()) {
      const found = inputFeatures(Float32Array.from(samples), sample_rate_hz);
      for (const [name, value] of Object.entries(features)) {
        expect(found[name as keyof InputFeatures]).toBeCloseTo(value, 9);
      }
    }
  });

  test.skipIf(!isThere)(`and what the training computes, in the same bins${missing}`, async () => {
    const { stdout } = await run(python, ['-B', join(import.meta.dirname, 'training/features.py'), FIXTURE]);
    const { edges, features } = JSON.parse(stdout) as { edges: Record<string, number[]>; features: InputFeatures[] };
    const expected: Record<string, readonly number[]> = { ...FEATURE_EDGES, score: SCORE_EDGES };
    expect(Object.keys(edges).sort()).toEqual(Object.keys(expected).sort());
    for (const [name, values] of Object.entries(expected)) {
      expect(edges[name]?.length).toBe(values.length);
      values.forEach((edge, i) => {
        expect(edges[name]?.[i]).toBeCloseTo(edge, 9);
      });
    }
    for (const [i, window] of (await windows()).entries()) {
      for (const [name, value] of Object.entries(window.features)) {
        expect(features[i]?.[name as keyof InputFeatures]).toBeCloseTo(value, 9);
      }
    }
  });
});

test.skipIf(!isThere)(`scores beside a clip's ambience are what the training computes${missing}`, async () => {
  const random = new SeededRandom('ambience');
  const clip = (length: number) =>
    Array.from({ length }, () => {
      const sure = 1 / (1 + Math.exp(random.between(-2, 14)));
      const share = random.unit();
      return [1 - sure, share * sure, (1 - share) * sure];
    });
  // Also clips that are little but a blow, and scores that no logarithm is taken of.
  const clips = [clip(17), clip(1), clip(2), clip(5), [[0, 0.75, 0.25], [1, 0, 0], [1 - 1e-12, 1e-12, 0], ...clip(3)]];
  const ambience = { weight: 0.3, usual: -9.25, span_s: 5, assumed_s: 1.5 };
  const given = JSON.stringify([ambience.weight, ambience.usual, 6, clips]);
  const { stdout } = await run(python, ['-B', join(import.meta.dirname, 'training/ambience.py'), given]);
  for (const [i, expected] of (JSON.parse(stdout) as number[][][]).entries()) {
    const scores = Float32Array.from(clips[i]?.flat() ?? []);
    const found = relativeToAll(scores, { ...testDescription(), events: { ambience } });
    expect(found).toHaveLength(expected.flat().length);
    expected.flat().forEach((score, k) => {
      expect(found[k]).toBeCloseTo(score, 6);
    });
  }
});

describe.skipIf(!isThere)(`the training${missing}`, () => {
  let folder: string;
  let clips: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fender-training-'));
    clips = join(folder, 'clips');
    await makeClips(clips);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('finishes its card where the clips held out have no impact: figures that there are not are shown as –', async () => {
    const calm = join(folder, 'calm');
    await makeClips(calm);
    const rows = (await readFile(join(calm, 'clips.csv'), 'utf8')).split('\n');
    await writeFile(join(calm, 'clips.csv'), rows.filter((row) => !/,2,[^,]+,impact,/.test(row)).join('\n'));
    const { code, out, told } = await train(join(folder, 'calm-out'), await smallNetwork(2), calm);
    expect({ code, told }).toMatchObject({ code: 0 });
    expect(told).toContain('roc_auc – (– – –)');
    expect(await readFile(join(out, 'small.md'), 'utf8')).toMatch(/\| ROC AUC +\| – +\| – – –/);
    const card = JSON.parse(await readFile(join(out, 'card/small.json'), 'utf8'));
    expect(card.precisions.int8['0'].roc_auc_of_draws).toEqual([null, null, null, null]);
    expect(card.without_ambience.roc_auc).toEqual({ clean: null, '0': null });
  });

  test('makes networks, both forms and a card in one command, and the same bytes from the same seed', async () => {
    const settings = await smallNetwork(12);
    const both = await Promise.all(['once', 'twice'].map((name) => train(join(folder, name), settings, clips)));
    for (const { code, told } of both) expect({ code, told }).toMatchObject({ code: 0 });
    const [once, twice] = both.map(({ out }) => out) as [string, string];
    for (const file of ['small.fp32.onnx', 'small.int8.onnx', 'small.md', 'card/small.json', 'card/small-roc.png']) {
      expect([file, await sha256(join(once, file))]).toEqual([file, await sha256(join(twice, file))]);
    }
    const card = await readFile(join(once, 'small.md'), 'utf8');
    expect(card).toContain('| ROC AUC ');
    expect(card).toContain('What int8 costs:');
    expect(card).toMatch(/\| 0 dB +\| int8 \| [^|]+ \| 0\.\d+ – [01]\.\d+ +\|/);
    expect(card).toContain('By scores on their own, not beside the ambience, the ROC AUC would be');
    expect(card).toContain('| Smith, A. | door_knock | CC-BY |');

    for (const precision of ['fp32', 'int8'] as const) {
      const model = await readModel(join(once, `small.${precision}.onnx`));
      expect(model.description).toMatchObject({ precision, training_run: { folds: [1] } });
      expect(model.description.events?.ambience).toMatchObject({ weight: 0.3, span_s: 5, assumed_s: 1.5 });
      expect(model.description.events?.ambience?.usual).toBeLessThan(0);
      const names = model.description.drift_reference.histograms.map((h) => h.feature);
      expect(names.slice(0, 5)).toEqual([...Object.keys(FEATURE_EDGES), 'score:background']);
      await expectProbabilities(model);
    }
  }, 300_000);

  test('lets the network learn from a committee that is trained ahead and is not part of the file', async () => {
    const settings = await smallNetwork(4);
    // Only by way of its members can the number of their steps change the network.
    const committees = [undefined, { members: 2, steps: 2, weight: 0.5 }, { members: 2, steps: 3, weight: 0.5 }];
    const models: Model[] = [];
    for (const [i, committee] of committees.entries()) {
      const { code, out, told } = await train(join(folder, `committee-${i}`), { ...settings, committee }, clips);
      expect({ code, told }).toMatchObject({ code: 0 });
      if (committee !== undefined) expect(told).toContain('training: stage 1 of 2, 2 parts');
      expect((await readFile(join(out, 'small.md'), 'utf8')).includes('| committee')).toBe(committee !== undefined);
      models.push(await readModel(join(out, 'small.fp32.onnx')));
    }
    const [alone, two, three] = models.map(({ bytes }) => bytes) as [Uint8Array, Uint8Array, Uint8Array];
    expect(Buffer.compare(two, three)).not.toBe(0);
    expect(Math.abs(two.byteLength - alone.byteLength)).toBeLessThan(1000);
  }, 300_000);

  test('makes trees, one ensemble for each held-out fold, calibrated on clips that each never met', async () => {
    const architecture = { name: 'trees', kind: 'extra_trees', trees: 8, max_leaf_nodes: 12, windows: 256 };
    const settings = await small('trees', { architecture, data: { folds: [1, 2] } });
    const { code, out, told } = await train(join(folder, 'trees'), settings, clips, '--cross-validate');
    expect({ code, told }).toMatchObject({ code: 0 });
    for (const [file, folds] of [
      ['small.onnx', [1, 2]],
      ['folds/small.fold-1.onnx', [2]],
      ['folds/small.fold-2.onnx', [1]],
    ] as const) {
      const model = await readModel(join(out, file));
      const { description } = model;
      await expectProbabilities(model);
      expect(description.training_run.folds).toEqual(folds);
      expect(description.calibration?.temperature).toBeGreaterThan(0);
    }
    const again = await train(join(folder, 'trees'), settings, clips, '--cross-validate', '--only', 'fold-1');
    expect(again.told).toContain('1 parts, 0 of them new');
  }, 300_000);

  test('computes trees in the graph as scikit-learn does', async () => {
    const seed = 20 + Math.floor(Math.random() * 1e6);
    const { stdout } = await run(python, ['-B', join(import.meta.dirname, 'training/trees.py'), String(seed)]);
    console.log(`trees against scikit-learn, seed ${seed}: ${stdout.trim()}`);
    const worst = JSON.parse(stdout) as Record<string, number>;
    expect(Object.keys(worst)).toEqual(['extra_trees', 'gradient_boosting']);
    for (const difference of Object.values(worst)) expect(difference).toBeLessThanOrEqual(1e-5);
  }, 300_000);

  test('cuts a blow out of a row of knocks: whole, nothing before it, and mostly nothing after it', async () => {
    const seed = Math.floor(Math.random() * 1e6);
    const { stdout } = await run(python, ['-B', join(import.meta.dirname, 'training/alone.py'), String(seed)]);
    const { peaks, rows } = JSON.parse(stdout) as { peaks: number; rows: Record<string, number>[] };
    console.log(`blows cut alone, seed ${seed}`);
    expect(peaks).toBe(4);
    for (const { own, whole, before } of rows) expect([own, before]).toEqual([whole, 0]);
    const single = rows.filter(({ others }) => others === 0).length;
    expect(single).toBeGreaterThan(rows.length / 2);
  }, 300_000);

  test('begins with own.yaml, which is whole and needs no teacher', async () => {
    const load = 'import json, sys; import config; print(json.dumps(config.load(sys.argv[1])))';
    const { stdout } = await run(python, ['-B', '-c', load, join(TRAINING, 'own.yaml')], { cwd: TRAINING });
    const own = JSON.parse(stdout);
    expect(own).not.toHaveProperty('distillation');
    expect(own).toMatchObject({ folds: own.data.folds, thresholds: {}, architecture: { name: 'ds_cnn' } });
    // All else is as the shipped model was trained, but for its committee and how long.
    const { architecture, augmentation, generated, quantization, ambience, events, optimiser } = parse(
      await readFile(join(TRAINING, 'impact.yaml'), 'utf8'),
    );
    const { steps: _longer, common_steps: _taught, ...optimised } = optimiser;
    expect(own).toMatchObject({ architecture, augmentation, generated, quantization, ambience, events });
    expect(own.optimiser).toMatchObject(optimised);
  }, 300_000);

  test('tells of a teacher or a run that is not there before it does any work', async () => {
    const settings = await small('impact', {});
    const { distillation } = parse(await readFile(join(TRAINING, 'impact.yaml'), 'utf8')) as Record<string, Settings>;
    const taught = { ...settings, distillation: { ...distillation, teacher: 'teacher.onnx' } };
    const without = await train(join(folder, 'taught'), taught, clips);
    expect([without.code, without.told]).toEqual([
      2,
      expect.stringContaining('distillation.teacher: expected an ONNX'),
    ]);
    await mkdir(join(folder, 'taught/cache'), { recursive: true });
    await writeFile(join(folder, 'taught/cache/teacher.onnx'), 'another');
    const other = await train(join(folder, 'taught'), taught, clips);
    expect([other.code, other.told]).toEqual([
      2,
      expect.stringMatching(/distillation\.sha256: expected .* found .* of/),
    ]);
    const only = await train(join(folder, 'only'), settings, clips, '--only', 'fold-9');
    expect([only.code, only.told]).toEqual([2, expect.stringContaining('--only: expected one of final, found fold-9')]);
    for (const { told } of [without, other, only]) expect(told).not.toContain('preparing sound');
  }, 300_000);

  test('refuses a wrong configuration by field, with what was expected and found', async () => {
    const settings = await small('impact', { seed: 'twenty', hop: 1, false_alarm_budget_per_hour: 0 });
    const { code, told } = await train(join(folder, 'wrong'), settings, clips);
    expect(code).toBe(2);
    expect(told).toContain("config.yaml: seed: expected a whole number from 0 to 2147483647, found 'twenty'");
    expect(told).toMatch(/hop: expected no such setting.*found 1/);
    expect(told).toContain('false_alarm_budget_per_hour: expected a number from 0.01 to 10000, found 0');
    const folds = await small('impact', { data: { folds: [1, 9] } });
    const other = await train(join(folder, 'folds'), folds, clips);
    const trees = await small('trees', { committee: { members: 2, steps: 2, weight: 0.5 } });
    const refused = await train(join(folder, 'committee-of-trees'), trees, clips);
    expect([refused.code, refused.told]).toEqual([2, expect.stringContaining('committee: expected no such setting')]);
    expect([other.code, other.told]).toEqual([2, expect.stringContaining('expected clips of fold 9, found folds [1]')]);
  }, 300_000);
});
