import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluate, windowScores } from '../../models/evaluate.ts';
import { clipScore } from '../../models/evaluation-figures.ts';
import { formatEvaluation } from '../../models/evaluation-text.ts';
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

  test('names the clip that cannot be read, the fold that is not there, and the file that is no model', async () => {
    await writeFile(csv, 'file,fold,class,group\nnone.wav,1,tone,impact\n');
    await expect(evaluate({ modelPath: MODEL, clipsPath: csv })).rejects.toThrow(/none\.wav: sox cannot decode it/);
    await expect(evaluate({ modelPath: MODEL, clipsPath: csv, fold: '9' })).rejects.toThrow(
      /no clip of fold 9; found folds 1/,
    );
    await expect(evaluate({ modelPath: csv, clipsPath: csv })).rejects.toMatchObject({ code: 'unreadable-model' });
  });
});
