import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from '@foxglove/rosmsg';
import { MessageReader } from '@foxglove/rosmsg2-serialization';
import { Aedes } from 'aedes';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { stringify } from 'yaml';
import { bagFiles } from '../../agent/bag/bag-folder.ts';
import { bagInfo } from '../../agent/bag/bag-info.ts';
import { BagSet } from '../../agent/bag/bag-set.ts';
import { schemaTexts } from '../../agent/messages/messages.ts';
import { readBagSound } from '../../agent/replay/bag-sound.ts';
import { decodeRecords, type IncomingRecord } from '../../sync/wire/records.ts';
import { decodeTelemetry } from '../../sync/wire/telemetry.ts';

const root = resolve(import.meta.dirname, '../..');
/** The first start compiles the program, on a machine that may be busy. */
const PATIENCE = { timeout: 90_000, interval: 100 };

let folder: string;
let broker: Aedes;
let server: Server;
let mqttPort: number;
const telemetry = new Map<string, Record<string, number>>();
const records: { stream: string; record: IncomingRecord }[] = [];
const blobs = new Set<string>();
const running: Agent[] = [];

interface DiagnosticArray {
  readonly header: { readonly stamp: { readonly sec: number; readonly nanosec: number } };
  readonly status: readonly { readonly name: string; readonly hardware_id: string }[];
}

/** An agent as users start it. */
class Agent {
  readonly child: ChildProcess;
  output = '';

  constructor(configPath: string) {
    this.child = spawn(process.execPath, [join(root, 'bin/fender.ts'), 'agent', '--config', configPath], { cwd: root });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        this.output += bytes.toString();
      });
    }
    running.push(this);
  }

  get lines(): { message: string; source?: string; code?: string; metrics?: string }[] {
    return this.output
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
  }

  async metric(pattern: RegExp): Promise<number> {
    const url = this.lines.find(({ metrics }) => metrics !== undefined)?.metrics ?? '';
    const text = await (await fetch(url)).text();
    return Number(pattern.exec(text)?.[1] ?? Number.NaN);
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode;
    const ended = new Promise<number | null>((done) => this.child.once('exit', done));
    this.child.kill(signal);
    return ended;
  }
}

async function startAgent(name: string, changes: Record<string, unknown> = {}): Promise<Agent> {
  const path = join(folder, `${name}.yaml`);
  const config = {
    vehicle: { id: 'test-1' },
    data_dir: join(folder, name),
    sensors: {
      particulate: { model: 'plantower', device: 'emulated' },
      bme680: { device: 'emulated', period_s: 0.5 },
      uma8: { source: 'generated', seed: 3 },
    },
    // Every sound is an impact, so that what happens to one does not depend on the model.
    detector: { thresholds: { body_impact: 1e-9, glass_break: 1e-9 }, pre_roll_s: 0.5, post_roll_s: 0.5 },
    sync: { url: `mqtt://127.0.0.1:${mqttPort}` },
    health: { listen: { port: 0 }, period_s: 0.5 },
    ...changes,
  };
  await writeFile(path, stringify(config));
  return new Agent(path);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fender-agent-'));
  broker = await Aedes.createBroker();
  broker.on('publish', ({ topic, payload }) => {
    const kind = topic.split('/')[3];
    if (kind === 'telemetry') {
      const { stream, rows } = decodeTelemetry(payload as Buffer);
      for (const { values } of rows) telemetry.set(stream, values);
    } else if (kind === 'events' || kind === 'log') {
      const batch = decodeRecords(payload as Buffer);
      for (const record of batch.records) records.push({ stream: batch.stream, record });
    } else if (kind === 'blob') {
      blobs.add(topic.split('/')[4] ?? '');
    }
  });
  server = createServer(broker.handle);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  mqttPort = (server.address() as { port: number }).port;
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((agent) => agent.end('SIGKILL')));
});

afterAll(async () => {
  await new Promise<void>((done) => broker.close(done));
  server.close();
  await rm(folder, { recursive: true, force: true });
});

describe('the agent with emulated devices', () => {
  it('records, detects, sends, survives its detector, and ends cleanly', { timeout: 240_000 }, async () => {
    const agent = await startAgent('whole');
    const streams = ['bme680/environment', 'health/process', 'plantower/particulate', 'uma8/level'];
    await vi.waitFor(() => expect([...telemetry.keys()].sort()).toEqual(streams), PATIENCE);
    expect(Object.keys(telemetry.get('uma8/level') ?? {})).toHaveLength(8);
    expect(telemetry.get('bme680/environment')).toHaveProperty('temperature_c');
    expect(telemetry.get('health/process')?.memory_bytes).toBeGreaterThan(1e6);

    await vi.waitFor(() => expect(records.some(({ stream }) => stream === 'clips')).toBe(true), PATIENCE);
    const event = records.find(({ stream }) => stream === 'events')?.record.body;
    const clip = records.find(({ stream }) => stream === 'clips')?.record.body;
    expect(event?.case).toBe('impact');
    if (event?.case !== 'impact' || clip?.case !== 'clip') throw new Error('expected an impact and a clip');
    expect(clip.value.eventId).toBe(event.value.eventId);
    await vi.waitFor(() => expect(blobs).toContain(clip.value.sha256), PATIENCE);
    const info = await bagInfo(join(folder, 'whole/clips', await clipName(clip.value.sha256)));
    expect(info.complete).toBe(true);
    expect(info.topics.map(({ topic }) => topic)).toContain('/uma8/audio');

    const detector = await childOf(agent.child.pid ?? 0, 'detector-process');
    const heard = await agent.metric(/^fender_detector_chunks_total (\S+)/m);
    process.kill(detector, 'SIGKILL');
    await vi.waitFor(async () => {
      // Killed once: a busy machine is no reason to take it for hung.
      const restarts = agent.lines.filter(({ code }) => code === 'restarted').map(({ message }) => message);
      expect(restarts).toEqual(['the detector process ended with SIGKILL']);
      expect(await agent.metric(/^fender_detector_restarts_total (\S+)/m)).toBe(1);
      expect(await agent.metric(/^fender_detector_chunks_total (\S+)/m)).toBeGreaterThan(heard + 20);
    }, PATIENCE);

    expect(await agent.end('SIGTERM'), agent.output).toBe(0);
    const [recording = ''] = await readdir(join(folder, 'whole/recordings'));
    const [file = ''] = await bagFiles(join(folder, 'whole/recordings', recording));
    const bag = await bagInfo(file);
    expect(bag.complete, bag.problem).toBe(true);
    const times: bigint[] = [];
    for await (const { firstSampleNs } of readBagSound(file, '/uma8/audio')) times.push(firstSampleNs);
    expect(times.length).toBeGreaterThan(40);
    // The death of the detector left no hole: each chunk of 100 ms begins where the one before it ended.
    const holes = times.filter((time, index) => index > 0 && time - (times[index - 1] ?? 0n) > 150_000_000n);
    expect(holes).toEqual([]);
    expect(bag.topics.map(({ topic }) => topic)).toContain('/fender/impacts');
    expect(bag.topics.find(({ topic }) => topic === '/fender/sets')?.messages).toBeGreaterThan(0);
    const sets = bag.metadata.find(({ name }) => name === 'fender.synchroniser')?.values;
    expect(sets?.topics).toBe('/uma8/audio /plantower/particulate /bme680/temperature');
    expect(Number(sets?.sets)).toBeGreaterThan(0);
    expect(agent.lines.at(-1)?.message).toBe('the agent ended');
  });

  it('told to end while it starts, it ends, and leaves no lock', { timeout: 60_000 }, async () => {
    const agent = await startAgent('hasty', { sensors: { uma8: { source: 'none' } } });
    // The folder is made just before the long part of the first start, the compilation.
    await vi.waitFor(async () => expect(await readdir(join(folder, 'hasty'))).toContain('cache'), PATIENCE);
    expect(await agent.end('SIGTERM'), agent.output).toBe(0);
    expect(agent.output).not.toContain('the agent runs');
    expect(await readdir(join(folder, 'hasty'))).toEqual(['cache']);
  });

  it('a sensor that is missing is told, and harms no other', { timeout: 60_000 }, async () => {
    telemetry.clear();
    const agent = await startAgent('broken', {
      sensors: {
        particulate: { model: 'plantower', device: '/dev/fender-does-not-exist' },
        bme680: { device: 'emulated', period_s: 0.5 },
        uma8: { source: 'none' },
      },
    });
    await vi.waitFor(() => expect([...telemetry.keys()]).toContain('bme680/environment'), PATIENCE);
    await vi.waitFor(() => expect(agent.lines.some(({ source }) => source === 'plantower')).toBe(true), PATIENCE);
    expect(agent.lines.find(({ source }) => source === 'plantower')).toMatchObject({ code: 'unplugged' });
    expect(await agent.end('SIGTERM')).toBe(0);
  });

  it('tells every state each second as that of its vehicle, however seldom health is reported', {
    timeout: 60_000,
  }, async () => {
    const agent = await startAgent('told', {
      sensors: { particulate: { model: 'none' }, bme680: { device: 'emulated' }, uma8: { source: 'none' } },
      detector: { enabled: false },
      health: { listen: { port: 0 }, period_s: 600 },
    });
    await vi.waitFor(() => expect(agent.lines.some(({ source }) => source === 'bme680')).toBe(true), PATIENCE);
    await sleep(5_000);
    expect(await agent.end('SIGTERM'), agent.output).toBe(0);
    const told = await statesTold(join(folder, 'told/recordings'), { name: 'bme680', hardware_id: 'test-1' });
    expect(told.length).toBeGreaterThan(4);
    const pauses = told.slice(1).map((stampS, index) => stampS - (told[index] ?? 0));
    expect(Math.max(...pauses)).toBeLessThan(3);
  });

  it('goes on when nobody reads its log any more', { timeout: 60_000 }, async () => {
    const agent = await startAgent('unread', { sensors: { uma8: { source: 'none' } }, log: { level: 'debug' } });
    await vi.waitFor(() => expect(agent.output).toContain('the agent runs'), PATIENCE);
    agent.child.stderr?.destroy();
    // Its last words are written too, so that it fails here at the latest.
    expect(await agent.end('SIGTERM')).toBe(0);
    expect(await readdir(join(folder, 'unread'))).not.toContain('agent.lock');
  });

  it('a second agent on the same data folder is refused by name', { timeout: 60_000 }, async () => {
    const first = await startAgent('shared', { sensors: { uma8: { source: 'none' } } });
    await vi.waitFor(() => expect(first.output).toContain('the agent runs'), PATIENCE);
    const second = await startAgent('shared', { sensors: { uma8: { source: 'none' } } });
    const code = await new Promise<number | null>((done) => second.child.once('exit', done));
    expect(code).toBe(1);
    expect(second.output).toContain(`expected no other agent, found process ${first.child.pid}`);
    await first.end('SIGKILL');
    const third = await startAgent('shared', { sensors: { uma8: { source: 'none' } } });
    await vi.waitFor(() => expect(third.output).toContain('the agent runs'), PATIENCE);
    expect(await third.end('SIGTERM')).toBe(0);
  });

  it('a configuration that is wrong starts nothing', { timeout: 60_000 }, async () => {
    const agent = await startAgent('wrong', { recorder: { fsync: 100 } });
    const code = await new Promise<number | null>((done) => agent.child.once('exit', done));
    expect(code).toBe(2);
    expect(agent.output).toMatch(/wrong\.yaml:\d+: recorder\.fsync: expected one of .*did you mean fsync_ms\?/s);
  });
});

/** When a state stands on `/diagnostics`, in s. */
async function statesTold(
  recordings: string,
  { name, hardware_id }: { name: string; hardware_id: string },
): Promise<number[]> {
  const type = 'diagnostic_msgs/msg/DiagnosticArray';
  const reader = new MessageReader<DiagnosticArray>(parse(schemaTexts[type], { ros2: true }));
  const [recording = ''] = await readdir(recordings);
  const bag = await BagSet.open([join(recordings, recording)], { topics: ['/diagnostics'] }, {});
  const stampsS: number[] = [];
  for await (const { message } of bag.messages({})) {
    const { header, status } = reader.readMessage(message.data);
    const isTold = status.some((each) => each.name === name && each.hardware_id === hardware_id);
    if (isTold) stampsS.push(header.stamp.sec + header.stamp.nanosec / 1e9);
  }
  return stampsS;
}

async function clipName(sha256: string): Promise<string> {
  const names = await readdir(join(folder, 'whole/clips'));
  return names.find((name) => name.includes(sha256.slice(0, 12))) ?? 'missing';
}

async function childOf(pid: number, name: string): Promise<number> {
  const { readFile } = await import('node:fs/promises');
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ').map(Number);
  for (const child of children) {
    if ((await readFile(`/proc/${child}/cmdline`, 'utf8')).includes(name)) return child;
  }
  throw new Error(`expected a child named ${name}, found ${children.join(', ')}`);
}
