import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../agent/config/load.ts';
import { demoConfig } from '../../agent/demo-config.ts';
import type { Check } from '../../agent/doctor/check.ts';
import { doctor } from '../../agent/doctor.ts';
import { node, onnxFile, packedFloats, smallNodes, smallWeights, tensor } from '../models/onnx-writer.ts';

let folder: string;
let server: Server;
let port: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fender-doctor-'));
  server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  port = (server.address() as { port: number }).port;
});

afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true, force: true });
});

async function check(text: string): Promise<Map<string, Check>> {
  const checks = await doctor(parseConfig(text, 'agent.yaml'));
  return new Map(checks.map((each) => [each.name, each]));
}

describe('the doctor', () => {
  it('finds the demonstration’s vehicle in order, whatever the clock', async () => {
    const mqttUrl = `mqtt://127.0.0.1:${port}`;
    const checks = await check(
      demoConfig({ vehicleId: 'demo-1', dataDir: join(folder, 'new/data'), mqttUrl, seed: 1 }),
    );
    checks.delete('clock');
    checks.delete('disk');
    expect([...checks.values()].filter(({ level }) => level !== 'ok')).toEqual([]);
    expect(checks.get('data_dir')?.found).toContain(`can be made in ${folder}`);
  });

  it('knows an agent that runs and whose port it cannot know', async () => {
    const data = await mkdtemp(join(folder, 'data-'));
    const config = `data_dir: ${data}\nhealth: { listen: { port: 0 } }\nsync: { url: mqtt://127.0.0.1:${port} }\n`;
    expect((await check(config)).get('listening')?.found).toContain('no agent runs');
    await writeFile(join(data, 'agent.lock'), `${process.pid} 1\n`);
    const checks = await check(config);
    expect(checks.get('data_dir')?.found).toContain(`agent ${process.pid} is using it`);
    expect(checks.get('listening')?.found).toContain(`agent ${process.pid} runs`);
    expect(checks.get('listening')?.found).toContain('its port is not known: health.listen.port is 0');
  });

  it('names what is missing and the cure of each', async () => {
    await writeFile(join(folder, 'file'), '');
    const checks = await check(
      `data_dir: ${join(folder, 'file/data')}
sensors:
  particulate: { device: /dev/fender-none }
  bme680: { device: 255 }
  uma8: { source: replay, sound: /does/not/exist.wav }
detector: { model: /does/not/exist.onnx }
sync: { url: mqtts://127.0.0.1:${port}, tls: { ca: /does/not/exist.pem } }
`,
    );
    for (const name of ['data_dir', 'particulate', 'bme680', 'uma8', 'model', 'broker']) {
      expect(checks.get(name), name).toMatchObject({ level: 'error' });
      expect(checks.get(name)?.cure, name).not.toBe('');
    }
    expect(checks.get('particulate')?.found).toBe('/dev/fender-none does not exist');
    expect(checks.get('model')?.found).toContain('/does/not/exist.onnx');
  });

  it('a threshold for a label that the model does not know is told', async () => {
    const checks = await check('detector: { thresholds: { meteor: 0.5 } }');
    expect(checks.get('model')).toMatchObject({ level: 'warn' });
    expect(checks.get('model')?.found).toContain('does not know meteor; it knows background, body_impact, glass_break');
  });

  it('a candidate, or a form of a model, that cannot listen is told by its own key', async () => {
    const checks = await check('detector: { candidate: nope.onnx, model_fp32: nope.fp32.onnx }');
    expect(checks.get('model')).toMatchObject({ level: 'ok', found: expect.stringContaining('and tried') });
    expect(checks.get('candidate')).toMatchObject({
      level: 'warn',
      found: expect.stringContaining('nope.onnx'),
      cure: expect.stringContaining('detector.candidate;'),
    });
    expect(checks.get('model form')).toMatchObject({
      level: 'warn',
      found: expect.stringContaining('nope.fp32.onnx'),
      cure: expect.stringContaining('detector.model_fp32;'),
    });
    const other = await check('detector: { candidate: models/impact.int8.onnx, candidate_fp32: nope.fp32.onnx }');
    expect(other.get('candidate')).toMatchObject({
      level: 'warn',
      cure: expect.stringContaining('detector.candidate_fp32;'),
    });
  });

  it('a model that the runtime refuses is found in a process of its own', async () => {
    const wrong = node('MatMul', ['logits', 'w'], ['scores']);
    const weights = [...smallWeights(), tensor('w', [5, 3], 1, packedFloats(Array(15).fill(0)))];
    const file = onnxFile({ nodes: [...smallNodes().slice(0, 4), wrong], initializers: weights });
    await writeFile(join(folder, 'wrong.onnx'), file);
    const checks = await check(`
sensors: { uma8: { source: none } }
detector: { model: ${join(folder, 'wrong.onnx')} }
`);
    expect(checks.get('model')).toMatchObject({ level: 'error', found: expect.stringContaining('ONNX Runtime') });
  });

  it('sound at a rate that the model does not hear is told before the drive', async () => {
    const checks = await check('sensors: { uma8: { source: generated, sample_rate_hz: 16000 } }');
    expect(checks.get('model')).toMatchObject({ level: 'error' });
    expect(checks.get('model')?.found).toContain('hears 48000 Hz, the sound has 16000 Hz');
    const silent = await check('sensors: { uma8: { source: none, sample_rate_hz: 16000 } }');
    expect(silent.get('model')).toMatchObject({ level: 'ok' });
  });
});
