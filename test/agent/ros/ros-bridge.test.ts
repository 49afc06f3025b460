import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { parseConfig } from '../../../agent/config/load.ts';
import { Graph, type Topic } from '../../../agent/graph.ts';
import type { Message } from '../../../agent/messages/message.ts';
import { SensorNode } from '../../../agent/nodes/sensor-node.ts';
import { agentBridge } from '../../../agent/ros/agent-bridge.ts';
import { agentDescriptions, sensorDescriptions } from '../../../agent/ros/node-plan.ts';
import { RosBridge } from '../../../agent/ros/ros-bridge.ts';
import type { Clock, Diagnostic } from '../../../drivers/sample.ts';
import { rosFiles } from './ros-files.ts';

const LONG = { timeout: 30_000, interval: 20 };
const CONFIG = `
sensors: {bme680: {device: emulated}, particulate: {model: none}, uma8: {source: generated}}
graph:
  kind: ros2
  ros2:
    hang_timeout_s: 2
    topics:
      - {topic: /imu/data, type: sensor_msgs/msg/Imu}
      - {topic: /replies, type: memory_msgs/msg/Reply, reliability: reliable, durability: volatile}
      - {topic: /uma8/audio, type: foxglove_msgs/msg/RawAudio}
`;
const fateTopic: Topic<string> = { name: '/fate', type: 'memory_msgs/msg/Fate', encode: (text) => Buffer.from(text) };
const clock: Clock = {
  now: () => clock.at(clock.monotonicNs()),
  monotonicNs: () => process.hrtime.bigint(),
  at: (monotonicNs) => ({
    capturedAtNs: 1_000_000_000_000_000_000n + monotonicNs,
    monotonicNs,
    bootId: '00000000-0000-0000-0000-000000000000',
    synchronised: true,
    estimatedErrorNs: 0n,
  }),
};

let folder: string;
let bridge: RosBridge | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fender-ros-'));
});
afterEach(async () => {
  await bridge?.stop(2_000);
  await rm(folder, { recursive: true });
});

/** A bridge to the ROS in memory, started; everything that the graph saw and everything that was told. */
async function startBridge() {
  const config = parseConfig(CONFIG, 'test');
  const settings = structuredClone(config.sensors);
  const opened = vi.fn(async () => ({
    run: (signal: AbortSignal) => new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())),
  }));
  const sensor = new SensorNode('bme680', opened, () => {});
  const stopping = new AbortController();
  const sensing = sensor.run(stopping.signal);
  const graph = new Graph();
  const seen: Message[] = [];
  graph.subscribeAll('test', (message) => seen.push(message));
  const told: Diagnostic[] = [];
  const serve = async (node: string, service: string) => {
    if (service === 'stop') throw new Error('nothing is being recorded');
    return { success: true, message: `${node} did ${service}` };
  };
  const { env, ...rest } = await rosFiles(folder);
  bridge = new RosBridge(
    {
      settings: config.graph.ros2,
      nodes: [...sensorDescriptions(settings, [sensor]), ...agentDescriptions(config)],
      surroundings: { env: { ...process.env, ...env }, ...rest },
      process: { entry: new URL('./memory-ros-child.ts', import.meta.url) },
    },
    { graph, clock, report: (diagnostic) => told.push(diagnostic), serve },
  );
  const publishFate = graph.advertise(fateTopic);
  bridge.start();
  const { statistics } = bridge;
  const figures = () => statistics.call(bridge);
  await vi.waitFor(() => expect(figures().state).toBe('running'), LONG);
  const of = (topic: string) => seen.filter((message) => message.topic === topic);
  return {
    settings,
    opened,
    told,
    figures,
    of,
    onTopic: (topic: string, handle: () => void) =>
      graph.subscribeAll('slow', (message) => message.topic === topic && handle()),
    fate: (text: string) => publishFate(clock.now(), text),
    end: async () => {
      stopping.abort();
      await sensing;
    },
  };
}

const text = ({ data }: Message): string => Buffer.from(data).subarray(4).toString();
const counter = ({ data }: Message): number => Buffer.from(data).readUInt32LE(4);

describe('the bridge to ROS 2', () => {
  test('brings the topics of others into the graph undecoded, with definition, QoS and the time of receipt', async () => {
    const { of, end } = await startBridge();
    await vi.waitFor(() => expect(of('/imu/data').length).toBeGreaterThan(20), LONG);
    const messages = of('/imu/data');
    const first = counter(messages[0] as Message);
    expect(messages.map(counter)).toEqual(messages.map((_, index) => first + index));
    expect(messages.map(({ sequence }) => sequence)).toEqual(messages.map((_, index) => index));
    const { type, foreign, stamp } = messages.at(-1) as Message;
    expect(type).toBe('sensor_msgs/msg/Imu');
    expect(foreign?.schemaText).toBe('uint32 count\n');
    expect(foreign?.offeredQos).toMatchObject([{ reliability: 'best_effort', durability: 'volatile', depth: 7 }]);
    expect(stamp.monotonicNs).toBeLessThan(process.hrtime.bigint());
    expect(stamp.capturedAtNs - stamp.monotonicNs).toBe(1_000_000_000_000_000_000n);
    await end();
  });

  test('refuses to record what this vehicle publishes itself, and says so', async () => {
    const { told, end } = await startBridge();
    expect(told.at(-1)).toMatchObject({ level: 'warn', code: 'topics' });
    expect(told.at(-1)?.message).toMatch(/\/uma8\/audio is published by this vehicle itself/);
    await end();
  });

  test('keeps all that a killed process had sent, and goes on with the next', async () => {
    const { of, fate, figures, told, end } = await startBridge();
    await vi.waitFor(() => expect(of('/imu/data').length).toBeGreaterThan(5), LONG);
    const { pid } = figures();
    fate('kill');
    await vi.waitFor(() => expect(figures()).toMatchObject({ state: 'running', restarts: 1 }), LONG);
    expect(figures().pid).not.toBe(pid);
    expect(told.map(({ code }) => code)).toContain('restarted');
    const before = of('/imu/data').length;
    await vi.waitFor(() => expect(of('/imu/data').length).toBeGreaterThan(before + 5), LONG);
    expect(of('/imu/data').map(({ sequence }) => sequence)).toEqual(of('/imu/data').map((_, index) => index));
    await end();
  });

  test('ends a process that hangs and starts another', async () => {
    const { fate, figures, told, end } = await startBridge();
    fate('hang');
    await vi.waitFor(() => expect(figures()).toMatchObject({ state: 'running', restarts: 1 }), LONG);
    expect(told.find(({ code }) => code === 'hung')?.message).toMatch(/no sign of life for 2000 ms/);
    await end();
  });

  test('leaves the agent time for its own sensors when others flood it', async () => {
    const { of, onTopic, fate, figures, end } = await startBridge();
    onTopic('/replies', () => {
      const until = performance.now() + 0.1;
      while (performance.now() < until);
    });
    let turns = 0;
    const turning = setInterval(() => {
      turns += 1;
    }, 10);
    fate('flood');
    // Half a second of work in a few pieces.
    await vi.waitFor(() => expect(of('/replies')).toHaveLength(4_000), LONG);
    clearInterval(turning);
    expect(turns).toBeGreaterThan(20);
    expect(figures()).toMatchObject({ state: 'running', restarts: 0, lost: 0 });
    await end();
  });

  test('serves calls, and tells the caller why one failed', async () => {
    const { of, fate, end } = await startBridge();
    fate('call /fender/recorder/snapshot');
    await vi.waitFor(() => expect(of('/replies').map(text)).toContain('true recorder did snapshot'), LONG);
    fate('call /fender/recorder/stop');
    await vi.waitFor(() => expect(of('/replies').map(text)).toContain('false nothing is being recorded'), LONG);
    await end();
  });

  test('sets a period that is within bounds by opening the sensor again, and no other', async () => {
    const { of, fate, settings, opened, figures, end } = await startBridge();
    await vi.waitFor(() => expect(opened).toHaveBeenCalledTimes(1), LONG);
    fate('parameter 0.1');
    const refused = 'false period_s: expected a number from 0.5 to 3600, found 0.1';
    await vi.waitFor(() => expect(of('/replies').map(text)).toContain(refused), LONG);
    expect(settings.bme680.period_s).toBe(1);
    fate('parameter 2.5');
    await vi.waitFor(() => expect(opened).toHaveBeenCalledTimes(2), LONG);
    expect(settings.bme680.period_s).toBe(2.5);
    // A successor is told the period of now.
    fate('kill');
    await vi.waitFor(() => expect(figures()).toMatchObject({ state: 'running', restarts: 1 }), LONG);
    expect(settings.bme680.period_s).toBe(2.5);
    await end();
  });

  test('counts what nobody could publish, and holds nobody up', async () => {
    const { fate, figures, end } = await startBridge();
    const before = figures().missed;
    fate('kill');
    await vi.waitFor(() => expect(figures().state).not.toBe('running'), LONG);
    fate('lost');
    expect(figures().missed).toBe(before + 1);
    await end();
  });

  test('without a ROS 2 says what to source, once, and does nothing', async () => {
    const config = parseConfig(CONFIG, 'test');
    const told: Diagnostic[] = [];
    const { ROS_DISTRO: distro } = process.env;
    delete process.env.ROS_DISTRO;
    try {
      bridge = agentBridge(config, {
        graph: new Graph(),
        clock,
        report: (diagnostic) => told.push(diagnostic),
        sensorSettings: config.sensors,
        sensors: [],
        control: { start: async () => '', stop: async () => '', snapshot: async () => '' },
        nodes: [],
      });
      bridge.start();
    } finally {
      if (distro !== undefined) process.env.ROS_DISTRO = distro;
    }
    expect(told).toMatchObject([{ source: 'ros', level: 'error', code: 'not-sourced' }]);
    expect(told[0]?.cure).toMatch(/source \/opt\/ros\/.*setup\.bash/);
    expect(bridge.statistics()).toMatchObject({ state: 'stopped', pid: null });
  });
});
