import { execFile, spawn } from 'node:child_process';
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { replaceMetadata } from '../../models/onnx/metadata.ts';
import { readModel } from '../../models/package.ts';
import { TRIAL_LIMITS, tryModel } from '../../models/trial.ts';
import { verifyModel } from '../../models/verify.ts';
import {
  attribute,
  node,
  type OnnxParts,
  onnxFile,
  packedFloats,
  smallNodes,
  smallWeights,
  tensor,
  value,
} from './onnx-writer.ts';

const ROOT = join(import.meta.dirname, '../..');
const INT8 = 'models/impact.int8.onnx';
const KEPT: [string, string] = ['exported_by', 'somebody'];
const DESCRIPTION = `
name: knocks
version: 1.0.0
author: Zoë
dataset_tag: doors
labels: [background, knock, glass]
thresholds: {knock: 0.5, glass: 0.6}
input: {topic: /uma8/audio, channels: 8, sample_rate_hz: 8000, hop_s: 0.5}
training_run: {seed: 1, commit: abcdef1, data: 2000 knocks on doors}
`;

const SHORT = `
version: 1.0.0
dataset_tag: doors
input: {topic: /uma8/audio, channels: 8, sample_rate_hz: 8000}
training_run: {seed: 1, commit: abcdef1, data: 2000 knocks on doors}
`;

let folder = '';
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fender-model-'));
  await writeFile(at('net.onnx'), onnxFile({ metadata: [KEPT] }));
  await writeFile(at('description.yaml'), DESCRIPTION);
});

afterAll(() => rm(folder, { recursive: true }));

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function fender(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const program = [join(ROOT, 'bin/fender.ts'), 'model', ...args];
    const child = execFile(process.execPath, program, { cwd: ROOT, maxBuffer: 16e6 }, (error, stdout, stderr) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
    child.stdin?.end();
  });
}

describe('fender model inspect', () => {
  test('shows what the shipped model is', async () => {
    const { status, stdout } = await fender('inspect', INT8);
    expect(status).toBe(0);
    const { description } = await readModel(INT8);
    for (const text of [
      `impact ${description.version}`,
      'glass_break (from ',
      '48000 Hz',
      'takes          audio float32 [batch, 48000]',
      'Conv ',
      'SHA-256',
      '█',
    ]) {
      expect(stdout).toContain(text);
    }
  }, 300_000);

  test('shows what is left of a broken one, and what is wrong with it', async () => {
    const bytes = await readFile(join(ROOT, INT8));
    await writeFile(at('cut.onnx'), bytes.subarray(0, bytes.length / 3));
    const { status, stdout } = await fender('inspect', '--json', at('cut.onnx'), at('net.onnx'));
    expect(status).toBe(3);
    const [cut, net] = JSON.parse(stdout);
    expect(cut.valid).toBe(false);
    expect(cut.graph.operators.Conv).toBeGreaterThan(10);
    expect(cut.findings[0]).toMatchObject({ field: 'model.graph', found: expect.stringContaining('the end after') });
    expect(net.other_metadata).toEqual({ exported_by: 'somebody' });
    expect(net.graph.outputs).toEqual(['scores float32 [batch, 3]']);
  }, 300_000);

  test('goes on after a file that is not there', async () => {
    const { status, stdout } = await fender('inspect', INT8, at('none.onnx'), at('net.onnx'));
    expect(status).toBe(3);
    expect(stdout).toContain('expected a file that can be read, found no such file');
    expect(stdout).toContain(`${at('net.onnx')}, `);
  }, 300_000);
});

describe('fender model verify', () => {
  test('is content with the shipped models, and with nothing else that it is given', async () => {
    await writeFile(at('picture.onnx'), Buffer.from('89504e470d0a1a0a', 'hex'));
    await promisify(execFile)('mkfifo', [at('pipe.onnx')]);
    const { status, stdout } = await fender(
      'verify',
      INT8,
      'models/impact.fp32.onnx',
      at('picture.onnx'),
      at('none.onnx'),
      'models',
      at('pipe.onnx'),
    );
    expect(status).toBe(3);
    expect(stdout.match(/: impact .*, sound$/gm)).toHaveLength(2);
    expect(stdout).toContain('expected an ONNX file, found a PNG picture');
    expect(stdout).toContain('expected a file that can be read, found no such file');
    expect(stdout).toContain('expected a file, found a folder');
    expect(stdout).toContain('expected a file, found a pipe');
  }, 300_000);

  const more = (nodes: Uint8Array[], weights: Uint8Array[] = []): OnnxParts => ({
    nodes: [...smallNodes().slice(0, 4), ...nodes],
    initializers: [...smallWeights(), ...weights],
  });
  test.each<[string, OnnxParts, string, RegExp]>([
    [
      'a graph that the runtime refuses',
      more([node('MatMul', ['logits', 'w'], ['scores'])], [tensor('w', [5, 3], 1, packedFloats(Array(15).fill(0)))]),
      'graph',
      /ONNX Runtime cannot load|dimension/,
    ],
    ['scores that are no probabilities', more([node('Identity', ['logits'], ['scores'])]), 'scores', /3\.000, -1\.000/],
    ['scores that do not add up', more([node('Sigmoid', ['logits'], ['scores'])]), 'scores', /0\.9526/],
    [
      'scores that are not finite',
      more([node('Log', ['peak'], ['none']), node('Add', ['none', 'offset'], ['scores'])]),
      'scores',
      /-?Infinity/,
    ],
    [
      'scores that look at the other windows',
      more([node('Softmax', ['logits'], ['scores'], [attribute('axis', 0)])]),
      'scores',
      /1\.000, 1\.000, 1\.000/,
    ],
    [
      'another number of scores than it says',
      {
        outputs: [value('scores', [null, null])],
        description: { labels: ['background', 'knock'], thresholds: { knock: 0.5 } },
      },
      'graph',
      /expected scores float32 \[1, 2\]/,
    ],
  ])(
    'finds in a first run: %s',
    async (_, parts, field, found) => {
      await writeFile(at('tried.onnx'), onnxFile(parts));
      const { valid, findings } = await verifyModel(at('tried.onnx'));
      expect(valid).toBe(false);
      expect(findings[0]).toMatchObject({ field, found: expect.stringMatching(found) });
      expect(findings[0]?.cure).not.toBe('');
    },
    60_000,
  );

  test('tells of a model that ends the process or takes too long in it', async () => {
    const model = await readModel(INT8);
    const tiny = await tryModel(model, { ...TRIAL_LIMITS, memoryBytes: 2 ** 26 });
    expect(tiny).toMatchObject({
      died: true,
      findings: [{ code: 'session', found: expect.stringMatching(/ended with/) }],
    });
    const slow = await tryModel(model, { ...TRIAL_LIMITS, timeMs: 1 });
    expect(slow).toMatchObject({ died: true, findings: [{ found: expect.stringMatching(/none after \d+ ms/) }] });
  }, 300_000);
});

describe('fender model bench', () => {
  test('measures int8 and fp32 by turns, and names the one that the agent takes here', async () => {
    const { status, stdout } = await fender('bench', '--json', '--windows', '10', 'models/impact.fp32.onnx');
    expect(status).toBe(0);
    const bench = JSON.parse(stdout);
    expect(bench.models.map(({ precision }: { precision: string }) => precision)).toEqual(['fp32', 'int8']);
    for (const model of bench.models) {
      expect(model.median_ms).toBeGreaterThan(0);
      expect(model.p95_ms).toBeGreaterThanOrEqual(model.median_ms);
      expect(model.core_share).toBeCloseTo(model.processor_ms / 250, 9);
      expect(model.processor_ms).toBeGreaterThan(0);
      expect(model.memory_bytes).toBeGreaterThan(1e6);
    }
    expect(bench.agent_takes).toBe(bench.int8_speedup > 1 ? INT8 : 'models/impact.fp32.onnx');
  }, 300_000);
});

describe('a long run of a model', () => {
  /** Starts a bench that takes minutes, and waits for its process to run. */
  async function longBench() {
    const program = [join(ROOT, 'bin/fender.ts'), 'model', 'bench', '--windows', '100000', INT8];
    const child = spawn(process.execPath, program, { cwd: ROOT });
    const ended = new Promise<{ code: number | null; stderr: string }>((resolve) => {
      let stderr = '';
      child.stderr.on('data', (piece: Buffer) => {
        stderr += piece;
      });
      child.once('close', (code) => resolve({ code, stderr }));
    });
    const trial = await vi.waitFor(
      async () => {
        const children = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8');
        const pid = Number(children.trim().split(' ')[0]);
        expect(await readFile(`/proc/${pid}/cmdline`, 'utf8')).toMatch(/trial-process\.ts\0$/);
        return pid;
      },
      { timeout: 60_000, interval: 50 },
    );
    return { child, ended, trial };
  }
  const isGone = (pid: number) =>
    vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow(/ESRCH/), { timeout: 60_000, interval: 50 });

  test('ends with Ctrl-C, and its process with it', async () => {
    const { child, ended, trial } = await longBench();
    child.kill('SIGINT');
    expect(await ended).toMatchObject({ code: 1, stderr: 'fender: the run of the model was stopped\n' });
    await isGone(trial);
  }, 120_000);

  test('leaves no process behind, however it ends', async () => {
    const { child, ended, trial } = await longBench();
    child.kill('SIGKILL');
    await ended;
    await isGone(trial);
  }, 120_000);
});

describe('fender model pack', () => {
  test('says all that is missing at once where nobody can answer, and writes nothing', async () => {
    const { status, stderr } = await fender('pack', at('net.onnx'), '--labels', 'background,knock,glass');
    expect(status).toBe(2);
    for (const flag of ['--name', '--author', '--rate', '--data', '--clips or --no-reference']) {
      expect(stderr).toContain(flag);
    }
    expect(stderr).not.toContain('--labels');
    expect((await readdir(folder)).filter((name) => name.startsWith('knocks'))).toEqual([]);
  }, 300_000);

  test('adds a description from YAML, keeps what others wrote and the source, and the result verifies', async () => {
    const source = await readFile(at('net.onnx'));
    const args = ['pack', at('net.onnx'), '--from', at('description.yaml'), '--no-reference', '--version', '2.0.0'];
    const wrong = await fender(...args);
    expect(wrong).toMatchObject({ status: 2, stderr: expect.stringContaining('--version') });
    const { status, stdout } = await fender(...args.slice(0, -2), '--model-version', '2.0.0');
    expect([status, stdout]).toEqual([0, `${at('knocks-2.0.0.onnx')}: knocks 2.0.0, verified\n`]);
    expect(await readFile(at('net.onnx'))).toEqual(source);
    const { description, bytes } = await readModel(at('knocks-2.0.0.onnx'));
    expect(description).toMatchObject({
      author: 'Zoë',
      version: '2.0.0',
      thresholds: { knock: 0.5, glass: 0.6 },
      input: { window_s: 1, hop_s: 0.5, downmix: 'mean' },
    });
    expect(Buffer.from(bytes).includes('somebody')).toBe(true);
    expect((await verifyModel(at('knocks-2.0.0.onnx'))).findings).toEqual([]);

    const again = await fender(...args.slice(0, -2), '--model-version', '2.0.0');
    expect(again).toMatchObject({ status: 1, stderr: expect.stringContaining('found a file that is there already') });
    expect((await readdir(folder)).filter((name) => name.includes('.new'))).toEqual([]);
  }, 300_000);

  test('replaces the source only when asked to, and never by a file that does not verify', async () => {
    await writeFile(at('own.onnx'), replaceMetadata(onnxFile(), new Set(['author']), []));
    const before = await readFile(at('own.onnx'));
    const refused = await fender(
      'pack',
      at('own.onnx'),
      '--in-place',
      '--author',
      'me',
      '--labels',
      'background,knock',
    );
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining('thresholds') });
    expect(await readFile(at('own.onnx'))).toEqual(before);
    const { status } = await fender('pack', at('own.onnx'), '--in-place', '--author', 'me');
    expect(status).toBe(0);
    expect((await readModel(at('own.onnx'))).description).toMatchObject({ author: 'me', name: 'test-model' });
  }, 300_000);

  test('gives the shipped model other thresholds, as its own help says', async () => {
    await copyFile(join(ROOT, INT8), at('impact.int8.onnx'));
    const thresholds = ['--thresholds', 'body_impact=0.7,glass_break=0.6'];
    const { status, stderr } = await fender('pack', '--in-place', at('impact.int8.onnx'), ...thresholds);
    expect([status, stderr]).toEqual([0, expect.stringContaining('evaluation is left out: it was measured with')]);
    const [before, { description }] = [await readModel(INT8), await readModel(at('impact.int8.onnx'))];
    expect(description.thresholds).toEqual({ body_impact: 0.7, glass_break: 0.6 });
    // What was measured and set with the old ones is gone; all else is as before.
    const { thresholds: _, evaluation, false_alarm_budget_per_hour, ...rest } = before.description;
    expect(description).toEqual({ ...rest, thresholds: { body_impact: 0.7, glass_break: 0.6 } });
    expect(evaluation).toBeDefined();
  }, 300_000);

  test('asks in a terminal for what is missing, and again after an answer that is none', async () => {
    const args = ['pack', at('net.onnx'), '--from', at('description.yaml'), '--out', at('asked.onnx')];
    await writeFile(at('short.yaml'), SHORT);
    args[3] = at('short.yaml');
    const program = [process.execPath, join(ROOT, 'bin/fender.ts'), 'model', ...args]
      .map((word) => `'${word}'`)
      .join(' ');
    const child = spawn('script', ['-qec', program, '/dev/null'], { cwd: ROOT });
    let shown = '';
    const answers: [question: string, answer: string][] = [
      ['lower-case letters, digits, dashes): ', 'Big Knocks\n'],
      ['found "Big Knocks"', 'knocks\n'],
      ['Author: ', 'Ada\n'],
      ['with commas: ', 'background,knock\n'],
      ['found 2', 'background,knock,glass\n'],
      ['label=number,…) [0.5]: ', 'knock=0.5,boom=0.5,glass=0.5\n'],
      ['boom: expected thresholds of the labels knock, glass only', '\n'],
      ['window, s [0.25]: ', 'often\n'],
      ["found 'often'", '3\n'],
      ['at most input.window_s', '\n'],
      ['(a CSV; nothing: without it): ', 'none.csv\n'],
      ['cannot read the clip list none.csv', '\n'],
    ];
    child.stdout.on('data', (piece: Buffer) => {
      shown += piece;
      const [question, answer] = answers[0] ?? ['never', ''];
      if (!shown.includes(question)) return;
      answers.shift();
      child.stdin.write(answer);
    });
    const status = await new Promise((resolve) => child.once('exit', resolve));
    expect([status, shown]).toEqual([0, expect.stringContaining('verified')]);
    expect((await readModel(at('asked.onnx'))).description).toMatchObject({ author: 'Ada', input: { hop_s: 0.25 } });
  }, 300_000);

  test('refuses keys that nobody knows by the ones that were meant, and a graph of a fixed batch, before it asks anything', async () => {
    const misspelt = DESCRIPTION.replace('author:', 'autor:').replace('channels:', 'chanels:');
    await writeFile(at('misspelt.yaml'), misspelt.replace('thresholds:', 'tresholds:'));
    const { status, stderr } = await fender('pack', at('net.onnx'), '--from', at('misspelt.yaml'), '--no-reference');
    expect(status).toBe(1);
    expect(stderr).toContain('found unknown key autor. Did you mean author?');
    expect(stderr).toMatch(/input\.chanels: expected one of topic, channels, .*Did you mean channels\?/);
    expect(stderr).toContain('Did you mean thresholds?');

    await writeFile(at('fixed.onnx'), onnxFile({ metadata: [], inputs: [value('audio', [1, 8000])] }));
    const fixed = await fender('pack', at('fixed.onnx'));
    expect([fixed.status, fixed.stderr]).toEqual([1, expect.stringContaining('dynamic_axes')]);
  }, 300_000);

  test('makes a new reference when labels change: the old one is of scores that are no more', async () => {
    await writeFile(at('relabelled.onnx'), onnxFile());
    const labels = ['--labels', 'background,knock,glass', '--thresholds', 'knock=0.5,glass=0.5'];
    const args = ['pack', '--in-place', at('relabelled.onnx'), ...labels];
    const refused = await fender(...args);
    expect(refused).toMatchObject({ status: 2, stderr: expect.stringContaining('drift_reference is left out') });
    expect(refused.stderr).toContain('--clips or --no-reference');
    expect((await fender(...args, '--no-reference')).status).toBe(0);
    const { description } = await readModel(at('relabelled.onnx'));
    const features = description.drift_reference.histograms.map(({ feature }) => feature);
    expect(features).toEqual(expect.arrayContaining(['score:background', 'score:knock', 'score:glass']));
    expect(features.join()).not.toContain('body_impact');
  }, 300_000);
});
