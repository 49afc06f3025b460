import { execFile } from 'node:child_process';
import { appendFile, copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { parseConfig } from '../../../agent/config/load.ts';
import { checkModelFile, loadModel } from '../../../agent/detector/checked-model.ts';
import { checkedText } from '../../../agent/lean-start.ts';

const SHIPPED = join(import.meta.dirname, '../../../models/impact.int8.onnx');

test('a model that was checked before is taken as it was found then, a replaced one is checked again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fender-checked-'));
  const path = join(folder, 'model.onnx');
  try {
    await copyFile(SHIPPED, path);
    const found = await checkModelFile(path);
    if (found === null) throw new Error('expected the shipped model to be usable');
    const marked = { ...found, description: { ...found.description, name: 'marked' } };
    expect((await loadModel(path, marked)).description.name).toBe('marked');
    expect(await loadModel(path, null)).toMatchObject({ path, description: found.description });
    // A doc_string more: another file, and still a model.
    await appendFile(path, Uint8Array.of(0x32, 0x01, 0x61));
    expect((await loadModel(path, marked)).description.name).toBe(found.description.name);
    await rm(path);
    expect(await checkModelFile(path)).toBeNull();
    await expect(loadModel(path, marked)).rejects.toMatchObject({ code: 'unreadable-model' });
    // Nobody ever writes into it: it is told of, not waited for.
    await promisify(execFile)('mkfifo', [path]);
    await expect(loadModel(path, marked)).rejects.toThrow('expected a file, found a pipe');
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('what was checked goes along to the lean process as long as it fits into a variable of the environment', async () => {
  const config = parseConfig('{}', 'test.yaml');
  const model = await checkModelFile(SHIPPED);
  if (model === null) throw new Error('expected the shipped model to be usable');
  expect(JSON.parse(checkedText({ config, model }))).toEqual(JSON.parse(JSON.stringify({ config, model })));
  const long = { ...model, description: { ...model.description, author: 'a'.repeat(131_072) } };
  const text = checkedText({ config, model: long });
  expect(text.length).toBeLessThan(100_000);
  expect(JSON.parse(text)).toMatchObject({ model: null });
});
