import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { crossValidate } from '../../models/cross-validation.ts';
import { evaluate, windowScores } from '../../models/evaluate.ts';
import { clipScore } from '../../models/evaluation-figures.ts';
import { formatCrossValidation, formatEvaluation } from '../../models/evaluation-text.ts';
import { readModel, withDescription } from '../../models/package.ts';
import type { Scorer } from '../../models/session.ts';
import { testDescription } from './description.ts';

const soxMissing = spawnSync('sox', ['--version']).error !== undefined;
const SKIP_SOX = soxMissing && process.env.CI === undefined;
const MODEL = 'models/impact.int8.onnx';

let folder: string;
let csv: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fender-evaluate-'));
  csv = join(folder, 'clips.csv');
});
afterAll(() => rm(folder, { recursive: true }));

describe('scores of a clip', () => {
  test('come from a window each hop, the clip padded when it is shorter than one', async () => {
    const starts: number[] = [];
    const scorer: Scorer = {
      async run(audio, batch) {
        for (let i = 0; i < batch; i++) {
          starts.push(audio[i * 8000] ?? -1);
        }
        return new Float32Array(batch * 3).fill(1 / 3);
      },
    };
    const ramp = Float32Array.from({ length: 50_000 }, (_, i) => i);
    expect((await windowScores(scorer, testDescription(), ramp)).length).toBe(22 * 3);
    expect(starts).toEqual(Array.from({ length: 22 }, (_, i) => i * 2000));
    expect((await windowScores(scorer, testDescription(), ramp.subarray(0, 10))).length).toBe(3);
  });

  test('add up to the mean of the two windows that are least background', () => {
    expect(clipScore(Float32Array.of(0.9, 0.1, 0, 0.2, 0.8, 0, 0.5, 0.5, 0), 3)).toBeCloseTo(0.65, 6);
    expect(clipScore(Float32Array.of(0.75, 0.25, 0), 3)).toBeCloseTo(0.25, 6);
  });
});

describe.skipIf(SKIP_SOX)(`evaluating${SKIP_SOX ? ' (skipped: sox is not installed)' : ''}`, () => {
  test('scores clips of several formats and lengths, with progress, and filters by fold', async () => {
    spawnSync('sox', ['-n', '-r', '22050', join(folder, 'tone.wav'), 'synth', '0.3', 'sine', '440']);
    spawnSync('sox', ['-n', '-r', '44100', '-c', '2', join(folder, 'noise.flac'), 'synth', '2', 'pinknoise']);
    await writeFile(
      csv,
      'file,fold,class,group\ntone.wav,1,tone,impact\nnoise.flac,1,noise,background\ntone.wav,2,tone,x\n',
    );
    const progress: string[] = [];
    const onProgress = (done: number, total: number) => progress.push(`${done}/${total}`);
    const result = await evaluate({ modelPath: MODEL, clipsPath: csv, fold: '1', onProgress });
    expect(progress).toEqual(['1/2', '2/2']);
    expect(result.clips.map(({ file }) => file)).toEqual(['tone.wav', 'noise.flac']);
    expect(Object.keys(result.recall_at_fpr)).toEqual(['0.02', '0.05', '0.1']);
    expect([0, 1]).toContain(result.roc_auc);
    expect(Object.keys(result.clips[0]?.scores ?? {})).toEqual(['background', 'body_impact', 'glass_break']);
    const others = await evaluate({ modelPath: MODEL, clipsPath: csv, fold: '2' });
    expect(others.roc_auc).toBeNull();
    expect(formatEvaluation(others)).toContain('needs impacts and others');
  });

  test('mixes, listens to an hour and to streets, and judges each fold by its own model, the same each time', async () => {
    const sox = (name: string, ...effects: string[]) =>
      spawnSync('sox', ['-R', '-n', '-r', '48000', '-c', '1', join(folder, name), ...effects]);
    sox('knock.wav', 'synth', '1.5', 'pluck', 'A2', 'pad', '0.8', '0.5');
    sox('hum.wav', 'synth', '3', 'brownnoise', 'vol', '0.2');
    sox('gale.wav', 'synth', '3', 'pinknoise', 'vol', '0.2');
    sox('steps.wav', 'synth', '0.1', 'whitenoise', 'pad', '1', '1');
    const rows = ['1', '2'].flatMap((fold) => [
      `knock.wav,${fold},door_knock,impact`,
      `hum.wav,${fold},engine,background`,
      `gale.wav,${fold},wind,background`,
      `steps.wav,${fold},footsteps,confuser`,
    ]);
    await writeFile(csv, `file,fold,class,group\n${rows.join('\n')}\n`);
    const model = await readModel(MODEL);
    for (const [fold, folds] of [
      ['1', [2]],
      ['2', [1, 2]],
    ] as const) {
      const training_run = { ...model.description.training_run, folds: [...folds] };
      const named = { ...model.description, version: `1.0.${fold}`, training_run };
      await writeFile(join(folder, `fold-${fold}.onnx`), withDescription(model.bytes, named, 'fold'));
    }
    const options = {
      modelPattern: join(folder, 'fold-{fold}.onnx'),
      clipsPath: csv,
      mixSnrDb: [10],
      mixDraws: 3,
      hourMinutes: 0.1,
      withConfusers: true,
      streetSnrDb: [20],
      budgetPerHour: 2,
      resamplings: 100,
    };
    const shares: number[] = [];
    const result = await crossValidate({ ...options, onProgress: (done, total) => shares.push(done / total) });
    expect(shares.at(-1)).toBeCloseTo(1, 1);
    expect(result.folds.map((each) => [each.fold, each.model.version, each.seen_in_training])).toEqual([
      ['1', '1.0.1', false],
      ['2', '1.0.2', true],
    ]);
    expect(result.seen_in_training).toBe(true);
    expect(result.means.map(({ snr_db, impacts, others }) => [snr_db, impacts, others])).toEqual([
      [null, 2, 6],
      [10, 2, 6],
    ]);
    const [mix] = result.folds[0]?.mixes ?? [];
    expect(mix).toMatchObject({ snr_db: 10, impacts: 1, others: 3, draws: 3 });
    const aucs = mix?.roc_auc_of_draws.map(Number) ?? [];
    expect(mix?.roc_auc).toBeCloseTo(aucs.reduce((sum, auc) => sum + auc, 0) / 3, 12);
    const steps = mix?.clips.find(([first]) => first?.class === 'footsteps') ?? [];
    expect(new Set(steps.map(({ score }) => score)).size).toBe(3);
    expect(result.hour?.minutes).toBeCloseTo(0.2, 5);
    expect(result.hour_with_confusers?.clips).toBe(6);
    expect(Object.keys(result.proposed_thresholds ?? { body_impact: 0, glass_break: 0 })).toEqual([
      'body_impact',
      'glass_break',
    ]);
    expect(result.folds[0]?.streets.map(({ snr_db, overall }) => [snr_db, overall.reference])).toEqual([
      [20, 1],
      [null, 1],
    ]);
    expect(result.streets.map(({ snr_db, overall }) => [snr_db, overall.reference])).toEqual([
      [20, 2],
      [null, 2],
    ]);
    expect(Object.keys(result.folds[0]?.confusion ?? {})).toEqual(['door_knock', 'engine', 'footsteps', 'wind']);
    const text = formatCrossValidation(result);
    expect(text).toContain('WARNING  THE MODEL LEARNED FROM THESE CLIPS');
    expect(text).toMatch(/means over 2 folds[\s\S]*at 10 dB, 3 draws, roc_auc by each alone[\s\S]*events at 20 dB/);
    const again = await evaluate({ ...options, modelPath: join(folder, 'fold-1.onnx'), fold: '1' });
    expect(again).toEqual(result.folds[0]);
    await expect(crossValidate({ ...options, modelPattern: MODEL })).rejects.toThrow(/expected \{fold\}/);
    await writeFile(csv, 'file,fold,class,group\nknock.wav,1,door_knock,impact\n');
    await expect(evaluate({ modelPath: MODEL, clipsPath: csv, mixSnrDb: [0] })).rejects.toThrow(/engine, rain, wind/);
  }, 60_000);

  test('names the clip that cannot be read, the fold that is not there, and the file that is no model', async () => {
    await writeFile(csv, 'file,fold,class,group\nnone.wav,1,tone,impact\n');
    await expect(evaluate({ modelPath: MODEL, clipsPath: csv })).rejects.toThrow(/none\.wav: sox cannot decode it/);
    await expect(evaluate({ modelPath: MODEL, clipsPath: csv, fold: '9' })).rejects.toThrow(
      /no clip of fold 9; found folds 1/,
    );
    await expect(evaluate({ modelPath: csv, clipsPath: csv })).rejects.toMatchObject({ code: 'unreadable-model' });
  });
});
