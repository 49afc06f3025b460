import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findPair, measureChoice, recallChoice } from '../../../agent/detector/model-choice.ts';

const MODELS = join(import.meta.dirname, '../../../models');
const options = { execArgv: [], signal: new AbortController().signal };
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fender-choice-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

test('the fp32 file is the configured one, or the one beside an int8 file, or none', async () => {
  const int8 = join(MODELS, 'impact.int8.onnx');
  const fp32 = join(MODELS, 'impact.fp32.onnx');
  expect(await findPair(int8, '')).toEqual({ modelPath: int8, fp32Path: fp32 });
  expect(await findPair(int8, '/other.onnx')).toEqual({ modelPath: int8, fp32Path: '/other.onnx' });
  expect(await findPair(fp32, '')).toEqual({ modelPath: fp32, fp32Path: null });
  expect(await findPair('/nowhere/x.int8.onnx', '')).toEqual({ modelPath: '/nowhere/x.int8.onnx', fp32Path: null });
});

test('the faster of two files is measured once, remembered for these files only, and taken', {
  timeout: 90_000,
}, async () => {
  const int8 = join(folder, 'impact.int8.onnx');
  await copyFile(join(MODELS, 'impact.int8.onnx'), int8);
  await copyFile(join(MODELS, 'impact.fp32.onnx'), join(folder, 'impact.fp32.onnx'));
  const pair = await findPair(int8, '');
  const file = join(folder, 'speed.json');
  expect(await recallChoice(pair, file)).toBeNull();
  const choice = await measureChoice(pair, file, options);
  const { int8Ms = Number.NaN, fp32Ms = Number.NaN } = choice.measured ?? {};
  expect(int8Ms).toBeGreaterThan(0);
  expect(choice.modelPath).toBe(int8Ms < fp32Ms ? pair.modelPath : pair.fp32Path);
  expect(await recallChoice(pair, file)).toEqual(choice);

  // The same times told the other way round: the other file, and the fp32 file comes with its description.
  const kept = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ ...kept, int8Ms: 2, fp32Ms: 1 }));
  expect(await recallChoice(pair, file)).toMatchObject({ modelPath: pair.fp32Path, checkedModel: kept.fp32 });
  await writeFile(file, JSON.stringify({ ...kept, int8Ms: 1, fp32Ms: 2 }));
  expect(await recallChoice(pair, file)).toMatchObject({ modelPath: pair.modelPath, checkedModel: null });
  for (const broken of ['', '{}', JSON.stringify({ ...kept, int8Ms: null })]) {
    await writeFile(file, broken);
    expect(await recallChoice(pair, file)).toBeNull();
  }
  await writeFile(file, JSON.stringify(kept));
  await copyFile(join(MODELS, 'impact.fp32.onnx'), int8);
  expect(await recallChoice(pair, file)).toBeNull();
});

test('a file that is missing or larger than allowed is refused with the words of the check', {
  timeout: 90_000,
}, async () => {
  const file = join(folder, 'x.json');
  const int8 = join(MODELS, 'impact.int8.onnx');
  const missing = { modelPath: int8, fp32Path: join(folder, 'none.onnx') };
  await expect(measureChoice(missing, file, options)).rejects.toThrow(
    /none\.onnx: file: expected a file .*found no such file/,
  );
  const large = { ...options, maxModelBytes: 100_000 };
  await expect(measureChoice(await findPair(int8, ''), file, large)).rejects.toThrow(/at most 100000 bytes/);
});

test('the measuring ends with the agent', async () => {
  const pair = await findPair(join(MODELS, 'impact.int8.onnx'), '');
  const stopping = new AbortController();
  const measuring = measureChoice(pair, join(folder, 'y.json'), { ...options, signal: stopping.signal });
  stopping.abort();
  await expect(measuring).rejects.toThrow(/abort/);
});
