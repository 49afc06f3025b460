import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DESCRIPTION_KEYS } from '../../models/description-props.ts';
import { ModelError } from '../../models/error.ts';
import { replaceMetadata } from '../../models/onnx/metadata.ts';
import { parseModel, readModel, withDescription } from '../../models/package.ts';
import { ModelSession } from '../../models/session.ts';

const SHIPPED = ['models/impact.fp32.onnx', 'models/impact.int8.onnx'];
const INT8 = 'models/impact.int8.onnx';

/** The shipped file with one property of the description set to `value`, or removed. */
async function withProperty(key: string, value: string | null): Promise<Uint8Array> {
  return replaceMetadata(await readFile(INT8), new Set([key]), value === null ? [] : [[key, value]]);
}

async function refusal(bytes: Uint8Array): Promise<ModelError> {
  try {
    parseModel(bytes, 'some.onnx');
  } catch (error) {
    expect(error).toBeInstanceOf(ModelError);
    return error as ModelError;
  }
  throw new Error('expected a refusal, found a model');
}

describe('a model package', () => {
  test.each(SHIPPED)('%s says what it is and stays small', async (path) => {
    const { description, bytes } = await readModel(path);
    expect(description.labels).toEqual(['background', 'body_impact', 'glass_break']);
    expect(description.input).toMatchObject({
      topic: '/uma8/audio',
      channels: 8,
      sample_rate_hz: 48000,
      downmix: 'mean',
    });
    expect(description.training_run.seed).toBeTypeOf('number');
    expect(bytes.byteLength).toBeLessThan(path.includes('int8') ? 1_000_000 : 2_500_000);
  });

  test('keeps its graph, and its scores, when its description is rewritten', async () => {
    const model = await readModel(INT8);
    const changed = { ...model.description, version: '9.8.7', author: 'Zoë' };
    const rewritten = parseModel(withDescription(model.bytes, changed, 'new.onnx'), 'new.onnx');
    expect(rewritten.description).toEqual(changed);
    const without = [model, rewritten].map(({ bytes }) => Buffer.from(replaceMetadata(bytes, DESCRIPTION_KEYS, [])));
    expect(without[1]?.equals(without[0] as Buffer)).toBe(true);
    expect(without[0]?.length).toBeGreaterThan(0.9 * model.bytes.length);

    const audio = Float32Array.from({ length: 48_000 }, (_, i) => 0.1 * Math.sin(i * 0.05));
    const scores = [];
    for (const one of [model, rewritten]) {
      const session = await ModelSession.open(one, { threads: 1 });
      scores.push(await session.run(audio, 1));
      await session.close();
    }
    expect(scores[1]).toEqual(scores[0]);
  });

  test.each([
    ['name', null, 'metadata_props.name'],
    ['version', 'latest', 'metadata_props.version'],
    ['labels', '["glass_break","background"]', 'metadata_props.labels'],
    ['labels', '[broken', 'metadata_props.labels'],
    ['thresholds', '{"body_impact":0.5}', 'metadata_props.thresholds.glass_break'],
    ['thresholds', '{"body_impact":0.5,"glass_break":7}', 'metadata_props.thresholds.glass_break'],
    ['thresholds', '{"body_impact":0.5,"glass_break":0.6,"hail":0.5}', 'metadata_props.thresholds.hail'],
    [
      'drift_reference',
      '{"histograms":[{"feature":"score:hail","edges":[0,1],"counts":[1]}]}',
      'metadata_props.drift_reference.histograms.0.feature',
    ],
    ['training_run', '{"seed":"x"}', 'metadata_props.training_run.seed'],
  ])('is refused by the name of the field when %s is %s', async (key, value, named) => {
    const error = await refusal(await withProperty(key, value));
    expect(error.code).toBe('invalid-description');
    expect(error.message).toContain('some.onnx');
    expect(error.message).toContain(named);
    expect(error.retryable).toBe(false);
  });

  test('says in words what a topic begins with', async () => {
    const { description } = await readModel(INT8);
    const input = JSON.stringify({ ...description.input, topic: 'uma8/audio' });
    const { message } = await refusal(await withProperty('input', input));
    expect(message).toContain('input.topic: expected a topic that begins with /, found "uma8/audio"');
  });

  test('is refused when its window does not fit the graph', async () => {
    const model = await readModel(INT8);
    const input = JSON.stringify({ ...model.description.input, window_s: 0.5 });
    const error = await refusal(await withProperty('input', input));
    expect(error.code).toBe('wrong-model');
    expect(error.message).toMatch(/expected float32 \[batch, 24000\], found .*48000/);
  });

  test('is refused when the file is missing, empty, or something else', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fender-models-'));
    try {
      await expect(readModel(join(folder, 'none.onnx'))).rejects.toMatchObject({ code: 'unreadable-model' });
      for (const content of ['', 'not a model', '\x08\x08']) {
        await writeFile(join(folder, 'bad.onnx'), content);
        await expect(readModel(join(folder, 'bad.onnx'))).rejects.toMatchObject({ code: 'unreadable-model' });
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('never fails otherwise than with a ModelError, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(() => parseModel(bytes, 'random')).toThrow(ModelError);
      }),
    );
  });
});

describe('a model session', () => {
  test('refuses the wrong number of samples and gives each window of a batch its own scores', async () => {
    const session = await ModelSession.open(await readModel(INT8), { threads: 1 });
    try {
      await expect(session.run(new Float32Array(47_999), 1)).rejects.toMatchObject({ code: 'invalid-audio' });
      const noise = Float32Array.from({ length: 96_000 }, (_, i) => (i < 48_000 ? 0 : Math.sin(i * i * 0.001)));
      const both = await session.run(noise, 2);
      const second = await session.run(noise.subarray(48_000), 1);
      expect(both.length).toBe(6);
      expect(both.subarray(0, 3).reduce((sum, score) => sum + score, 0)).toBeCloseTo(1, 3);
      second.forEach((score, i) => {
        expect(both[3 + i]).toBeCloseTo(score, 4);
      });
    } finally {
      await session.close();
    }
  });
});
