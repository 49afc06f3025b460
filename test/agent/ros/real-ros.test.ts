/** Against a real ROS 2, where one is sourced: its own tools and another program look at a real agent from outside. */
import { type ChildProcess, execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { McapStreamReader, type McapTypes } from '@mcap/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FenderProcess, freePort, startAgent, until } from '../../end-to-end/processes.ts';
import { filesBelow, readableMessages } from '../../fault/bag-contents.ts';
import { hashOf } from './cdr-hash.ts';
import { rosEnvironment as env, type RosPeer, startPeer } from './ros-peer.ts';

const distro = process.env.ROS_DISTRO ?? '';
const state = distro === '' ? 'skipped: ROS_DISTRO is not set' : distro;
const LONG_MS = 120_000;

const SENSORS = {
  uma8: { source: 'generated' },
  bme680: { device: 'emulated' },
  particulate: { device: 'emulated' },
};
const OWN_TOPICS: Readonly<Record<string, string>> = {
  '/uma8/audio': 'foxglove_msgs/msg/RawAudio',
  '/bme680/temperature': 'sensor_msgs/msg/Temperature',
  '/bme680/gas': 'fender_msgs/msg/GasResistance',
  '/plantower/particulate': 'fender_msgs/msg/ParticulateMatter',
  '/diagnostics': 'diagnostic_msgs/msg/DiagnosticArray',
  '/fender/time_reference': 'sensor_msgs/msg/TimeReference',
};
/** A sensor_msgs/msg/Imu of zeros: header with an empty frame_id, 37 numbers. */
const IMU = Buffer.alloc(4 + 16 + 37 * 8);
IMU[1] = 1;
IMU.writeUInt32LE(1, 12);
const UINT32 = Buffer.from([0, 1, 0, 0, 0, 0, 0, 0]);

let folder: string;
let processes: FenderProcess[];
let peers: ChildProcess[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fender-real-ros-'));
  processes = [];
  peers = [];
});
afterEach(async () => {
  for (const peer of peers) peer.kill('SIGKILL');
  await Promise.all(processes.map((each) => each.end('SIGKILL')));
  rmSync(folder, { recursive: true });
});

/** An agent in ROS 2; `ros` are its settings there, as in the configuration. */
async function agentInRos(ros: object = {}, sensors: object = SENSORS) {
  const port = await freePort();
  const agent = startAgent(
    folder,
    {
      data_dir: join(folder, 'data'),
      sensors,
      graph: { kind: 'ros2', ros2: { hang_timeout_s: 2, ...ros } },
      detector: { enabled: false },
      sync: { enabled: false },
      health: { listen: { port }, period_s: 0.5 },
    },
    env,
  );
  processes.push(agent);
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return Number(new RegExp(`^fender_${name} (.*)$`, 'm').exec(text)?.[1]);
  };
  await until('nodes in ROS 2', async () => (await metric('ros_running')) === 1, { processes: [agent] });
  return { agent, metric };
}

async function peer(orders: Parameters<typeof startPeer>[0]): Promise<RosPeer> {
  const started = await startPeer(orders);
  peers.push(started.child);
  return started;
}

/** What a command of ROS 2 prints; it looks around by itself for a while. */
function ros2(...args: string[]): Promise<string> {
  const looking = args[0] === 'service' && args[1] === 'call' ? [] : ['--no-daemon', '--spin-time', '3'];
  return new Promise((resolve, reject) => {
    execFile(
      'ros2',
      [...args, ...looking],
      { env: { ...process.env, ...env }, timeout: 30_000 },
      (error, stdout, stderr) => {
        // A refusal is said there.
        if (error === null) resolve(stdout || stderr);
        else reject(error);
      },
    );
  });
}

/** `topic time hash` of everything recorded, in order. */
function recorded(): string[] {
  return filesBelow(join(folder, 'data', 'recordings'), '.mcap').flatMap(readableMessages);
}

function hashes(lines: readonly string[], topic: string): string[] {
  return lines.filter((line) => line.startsWith(`${topic} `)).map((line) => line.split(' ').at(-1) ?? '');
}

function metadata(): string {
  const recordings = join(folder, 'data', 'recordings');
  const [recording = ''] = readdirSync(recordings);
  return readFileSync(join(recordings, recording, 'metadata.yaml'), 'utf8');
}

describe.skipIf(distro === '')(`a real ROS 2 (${state})`, () => {
  test(
    'shows nodes, topics, parameters and services to its own tools',
    async () => {
      const { agent } = await agentInRos({ arguments: ['-r', '/bme680/gas:=/front/gas'] });
      const [nodes, topics, slop, device] = await Promise.all([
        ros2('node', 'list'),
        ros2('topic', 'list', '-t'),
        ros2('param', 'get', '/fender/synchroniser', 'slop_ms'),
        ros2('param', 'get', '/fender/uma8', 'source'),
      ]);
      expect(nodes.split('\n').filter(Boolean)).toEqual(
        ['bme680', 'detector', 'health', 'plantower', 'recorder', 'synchroniser', 'uma8'].map((n) => `/fender/${n}`),
      );
      const shown = { ...OWN_TOPICS, '/front/gas': 'fender_msgs/msg/GasResistance' };
      for (const [topic, type] of Object.entries(shown)) {
        if (topic !== '/bme680/gas') expect(topics).toContain(`${topic} [${type}]`);
      }
      expect(topics).not.toContain('/bme680/gas');
      expect(slop).toMatch(/Double value is: \d/);
      expect(device).toBe('String value is: generated\n');
      expect(await ros2('param', 'set', '/fender/bme680', 'period_s', '0.5')).toContain('Set parameter successful');
      expect(await ros2('param', 'set', '/fender/bme680', 'period_s', '0.1')).toContain('from 0.5 to 3600, found 0.1');
      expect(await ros2('param', 'set', '/fender/uma8', 'source', 'arecord')).toContain('failed');
      const call = (name: string) => ros2('service', 'call', `/fender/recorder/${name}`, 'std_srvs/srv/Trigger');
      expect(await call('snapshot')).toMatch(/success=True, message='event [0-9a-f-]{36}'/);
      expect(await call('stop')).toContain('success=True');
      expect(await call('start')).toContain('success=True');
      expect(await agent.end('SIGTERM')).toBe(0);
      expect(readdirSync(join(folder, 'data', 'recordings'))).toHaveLength(2);
    },
    LONG_MS,
  );

  test(
    'gets the very bytes that are recorded, every message of them',
    async () => {
      const subscribe = Object.entries(OWN_TOPICS).map(([topic, type]) => ({ topic, type, depth: 200 }));
      const { lines } = await peer({ subscribe });
      const { agent } = await agentInRos();
      await until('five seconds of sound', () => hashes(lines(), '/uma8/audio').length >= 50, { processes: [agent] });
      expect(await agent.end('SIGTERM')).toBe(0);
      const [bag = ''] = filesBelow(join(folder, 'data', 'recordings'), '.mcap');
      for (const topic of Object.keys(OWN_TOPICS)) {
        const heard = hashes(lines(), topic);
        const kept = messagesOf(bag, topic).map(hashOf);
        const from = kept.indexOf(heard[0] ?? 'nothing');
        expect({ topic, heard }).toEqual({ topic, heard: kept.slice(from, from + heard.length) });
        expect(heard.length).toBeGreaterThan(1);
      }
    },
    LONG_MS,
  );

  test(
    'has topics of others recorded undecoded, with their schemas and the QoS that they offer',
    async () => {
      await peer({
        publish: [
          {
            topic: '/imu/data',
            type: 'sensor_msgs/msg/Imu',
            cdr: IMU.toString('hex'),
            hz: 100,
            reliability: 'best_effort',
            durability: 'volatile',
          },
          {
            topic: '/map_id',
            type: 'std_msgs/msg/UInt32',
            cdr: UINT32.toString('hex'),
            hz: 0,
            reliability: 'reliable',
            durability: 'transient_local',
          },
        ],
      });
      const { agent, metric } = await agentInRos({
        topics: [
          { topic: '/imu/data', type: 'sensor_msgs/msg/Imu' },
          { topic: '/map_id', type: 'std_msgs/msg/UInt32' },
        ],
      });
      await until('messages of others', async () => (await metric('ros_received_messages_total')) > 200, {
        processes: [agent],
      });
      expect(await metric('ros_lost_messages_total')).toBe(0);
      expect(await agent.end('SIGTERM')).toBe(0);
      const [bag = ''] = filesBelow(join(folder, 'data', 'recordings'), '.mcap');
      const counters = countersOf(bag, '/imu/data');
      expect(counters.length).toBeGreaterThan(200);
      expect(counters).toEqual(counters.map((_, index) => (counters[0] ?? 0) + index));
      // Said once, before the agent was there.
      expect(countersOf(bag, '/map_id')).toEqual([0]);
      const yaml = metadata();
      expect(yaml).toMatch(/name: \/imu\/data\n\s+type: sensor_msgs\/msg\/Imu[\s\S]*?reliability: best_effort/);
      expect(yaml).toMatch(/name: \/map_id\n\s+type: std_msgs\/msg\/UInt32[\s\S]*?durability: transient_local/);
    },
    LONG_MS,
  );

  test(
    'counts the messages of others from 0 in each recording, and none of those between as lost',
    async () => {
      const data = { type: 'std_msgs/msg/UInt32', cdr: UINT32.toString('hex'), hz: 50 };
      await peer({ publish: [{ topic: '/count', ...data, reliability: 'reliable', durability: 'volatile' }] });
      const { agent, metric } = await agentInRos({ topics: [{ topic: '/count', type: 'std_msgs/msg/UInt32' }] });
      const received = () => metric('ros_received_messages_total');
      const more = async (count: number) => {
        const before = await received();
        await until('more messages', async () => (await received()) >= before + count, { processes: [agent] });
      };
      await more(50);
      for (const name of ['stop', 'start']) {
        expect(await ros2('service', 'call', `/fender/recorder/${name}`, 'std_srvs/srv/Trigger')).toContain(
          'success=True',
        );
        await more(50);
      }
      expect(await metric('recorder_lost_messages_total')).toBe(0);
      expect(await agent.end('SIGTERM')).toBe(0);
      const bags = filesBelow(join(folder, 'data', 'recordings'), '.mcap').sort();
      expect(bags).toHaveLength(2);
      const last: number[] = [];
      for (const bag of bags) {
        const sequences = recordsOf(bag, '/count').map(({ sequence }) => sequence);
        expect(sequences.length).toBeGreaterThan(20);
        expect(sequences).toEqual(sequences.map((_, index) => index));
        const counters = countersOf(bag, '/count');
        expect(counters).toEqual(counters.map((_, index) => (counters[0] ?? 0) + index));
        last.push(counters.at(-1) ?? 0);
        if (last.length === 2) expect(counters[0]).toBeGreaterThan((last[0] ?? 0) + 50);
      }
    },
    LONG_MS,
  );

  test(
    'hears also who comes later and offers less, and is not held up by many topics that come at once',
    async () => {
      const names = Array.from({ length: 12 }, (_, index) => `/value_${index}`);
      const publish = (topic: string, reliability: 'reliable' | 'best_effort', hz: number) => {
        return {
          topic,
          type: 'std_msgs/msg/UInt32',
          cdr: UINT32.toString('hex'),
          hz,
          reliability,
          durability: 'volatile',
        };
      };
      await peer({ publish: names.map((topic) => publish(topic, 'reliable', 1)) });
      const topics = names.map((topic) => ({ topic, type: 'std_msgs/msg/UInt32' }));
      const { agent, metric } = await agentInRos({ topics });
      const received = () => metric('ros_received_messages_total');
      await until('messages of all', async () => (await received()) > 24, { processes: [agent] });
      // The second's thirty a second are told from the first's one.
      await peer({ publish: [publish(names[0] ?? '', 'best_effort', 30)] });
      const before = await received();
      await until('messages of the second', async () => (await received()) > before + 150, { processes: [agent] });
      expect(await metric('ros_restarts_total')).toBe(0);
      expect(await agent.end('SIGTERM')).toBe(0);
      const counts = names.map((topic) => hashes(recorded(), topic).length);
      expect(counts[0]).toBeGreaterThan(100);
      expect(Math.min(...counts)).toBeGreaterThan(1);
    },
    LONG_MS,
  );

  test(
    'may be killed and stopped in its tracks, and no sound is missing from the recording',
    async () => {
      const { agent, metric } = await agentInRos();
      for (const [index, signal] of (['SIGKILL', 'SIGSTOP', 'SIGABRT'] as const).entries()) {
        process.kill(await rosPid(agent), signal);
        await until(`restart ${index + 1}`, async () => (await metric('ros_restarts_total')) === index + 1, {
          processes: [agent],
        });
        await until('nodes again', async () => (await metric('ros_running')) === 1, { processes: [agent] });
      }
      expect(await metric('recorder_lost_messages_total')).toBe(0);
      expect(await agent.end('SIGTERM')).toBe(0);
      const times = recorded()
        .filter((line) => line.startsWith('/uma8/audio '))
        .map((line) => Number(BigInt(line.split(' ')[1] ?? 0) / 1_000_000n));
      const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
      expect(times.length).toBeGreaterThan(50);
      expect(Math.max(...gaps)).toBeLessThan(120);
    },
    LONG_MS,
  );

  test(
    'carries the sound of a node that runs alone into the bag of an agent that has none',
    async () => {
      const topics = [{ topic: '/uma8/audio', type: 'foxglove_msgs/msg/RawAudio' }];
      const silent = { ...SENSORS, uma8: { source: 'none' } };
      const { agent, metric } = await agentInRos({ topics }, silent);
      const config = join(folder, 'agent.yaml');
      const yaml = readFileSync(config, 'utf8').replace('source: none', 'source: generated');
      const nodeConfig = join(folder, 'node.yaml');
      writeFileSync(nodeConfig, yaml);
      const node = new FenderProcess(['node', 'uma8', '--config', nodeConfig, '--ros-args', '-r', '__ns:=/apart'], env);
      processes.push(node);
      await until('sound from the node', async () => (await metric('ros_received_messages_total')) >= 30, {
        processes: [agent, node],
      });
      expect(await ros2('node', 'list')).toContain('/apart/uma8');
      expect(await node.end('SIGINT')).toBe(0);
      expect(await agent.end('SIGTERM')).toBe(0);
      expect(hashes(recorded(), '/uma8/audio').length).toBeGreaterThanOrEqual(30);
    },
    LONG_MS,
  );
});

/** The ROS process of an agent, found among its children. */
async function rosPid(agent: FenderProcess): Promise<number> {
  let pid = 0;
  await until('the ROS process', () => {
    const children = readFileSync(`/proc/${agent.child.pid}/task/${agent.child.pid}/children`, 'utf8')
      .trim()
      .split(' ');
    pid = Number(children.find((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('ros-process')) ?? 0);
    return pid !== 0;
  });
  return pid;
}

/** The counters that the peer wrote into the ends of its messages. */
function countersOf(bag: string, topic: string): number[] {
  return messagesOf(bag, topic).map((data) =>
    new DataView(data.buffer, data.byteOffset).getUint32(data.byteLength - 4, true),
  );
}

/** The bytes of all messages of a topic, in order. */
function messagesOf(bag: string, topic: string): Uint8Array[] {
  return recordsOf(bag, topic).map(({ data }) => data);
}

/** All messages of a topic, in order. */
function recordsOf(bag: string, topic: string): McapTypes.TypedMcapRecords['Message'][] {
  const decompressHandlers = { zstd: (bytes: Uint8Array) => new Uint8Array(zstdDecompressSync(bytes)) };
  const reader = new McapStreamReader({ decompressHandlers });
  reader.append(readFileSync(bag));
  const messages: McapTypes.TypedMcapRecords['Message'][] = [];
  let channelId = -1;
  for (let record = reader.nextRecord(); record; record = reader.nextRecord()) {
    if (record.type === 'Channel' && record.topic === topic) channelId = record.id;
    if (record.type === 'Message' && record.channelId === channelId) messages.push(record);
  }
  return messages;
}
