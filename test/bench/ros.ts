/**
 * What ROS 2 costs: the real agent with all sensors, with and without its nodes in ROS 2, where another program subscribes to
 * everything; CPU as the kernel accounts it, and whether the same sound is recorded.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { zstdDecompressSync } from 'node:zlib';
import { McapStreamReader } from '@mcap/core';
import { rosEnvironment, startPeer } from '../agent/ros/ros-peer.ts';
import { freePort, startAgent, until } from '../end-to-end/processes.ts';
import { filesBelow } from '../fault/bag-contents.ts';

export interface RosFigures {
  /** CPU of the ROS process, share of one core. */
  readonly processRatio: number;
  /** CPU of the agent's main process with ROS 2 and without. */
  readonly mainRatio: number;
  readonly mainWithoutRatio: number;
  /** Resident memory of the ROS process. */
  readonly memoryBytes: number;
  /** Chunks of sound that both bags have alike at the same place, and those that differ. */
  readonly sameChunks: number;
  readonly differentChunks: number;
  /** Messages that another program in ROS 2 got. */
  readonly heardMessages: number;
  /** Messages that the agent published in ROS 2. */
  readonly publishedMessages: number;
  /** Messages that the recorder lost with ROS 2. */
  readonly lostMessages: number;
}

const WARM_UP_S = 10;
const SUBSCRIBED: Readonly<Record<string, string>> = {
  '/uma8/audio': 'foxglove_msgs/msg/RawAudio',
  '/bme680/temperature': 'sensor_msgs/msg/Temperature',
  '/bme680/humidity': 'sensor_msgs/msg/RelativeHumidity',
  '/bme680/pressure': 'sensor_msgs/msg/FluidPressure',
  '/bme680/gas': 'fender_msgs/msg/GasResistance',
  '/plantower/particulate': 'fender_msgs/msg/ParticulateMatter',
  '/diagnostics': 'diagnostic_msgs/msg/DiagnosticArray',
  '/fender/time_reference': 'sensor_msgs/msg/TimeReference',
  '/fender/sets': 'fender_msgs/msg/SynchronizedSet',
};

/** Measures for `seconds` with and for `seconds` without. */
export async function benchRos(seconds: number): Promise<RosFigures> {
  const without = await run('in_process', seconds);
  const subscribe = Object.entries(SUBSCRIBED).map(([topic, type]) => ({ topic, type, depth: 200 }));
  const peer = await startPeer({ subscribe });
  try {
    const withRos = await run('ros2', seconds);
    const count = Math.min(without.chunks.length, withRos.chunks.length);
    const same = withRos.chunks.filter((chunk, index) => index < count && chunk === without.chunks[index]).length;
    return {
      processRatio: withRos.rosRatio,
      mainRatio: withRos.mainRatio,
      mainWithoutRatio: without.mainRatio,
      memoryBytes: withRos.memoryBytes,
      sameChunks: same,
      differentChunks: count - same,
      heardMessages: peer.lines().length,
      publishedMessages: withRos.publishedMessages,
      lostMessages: withRos.lostMessages,
    };
  } finally {
    peer.child.kill('SIGKILL');
  }
}

async function run(kind: 'in_process' | 'ros2', seconds: number) {
  const folder = mkdtempSync(join(tmpdir(), 'fender-bench-ros-'));
  const port = await freePort();
  const agent = startAgent(
    folder,
    {
      data_dir: join(folder, 'data'),
      sensors: {
        particulate: { model: 'plantower', device: 'emulated' },
        bme680: { device: 'emulated' },
        uma8: { source: 'generated', seed: 5 },
      },
      graph: { kind },
      detector: { enabled: false },
      sync: { enabled: false },
      health: { listen: { port }, period_s: 0.5 },
    },
    rosEnvironment,
  );
  try {
    const scrape = async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const ready = kind === 'ros2' ? 'fender_ros_running 1' : 'fender_recorder_messages_total';
    await until(ready, async () => (await scrape()).includes(ready), { processes: [agent] });
    await sleep(WARM_UP_S * 1000);
    const startedMs = performance.now();
    const before = await scrape();
    await sleep(seconds * 1000);
    const after = await scrape();
    const wallS = (performance.now() - startedMs) / 1000;
    await agent.end('SIGTERM');
    const cpuOf = (text: string, name: string) => figure(text, `process_cpu_seconds_total{process="${name}"}`);
    const ratio = (name: string) => (cpuOf(after, name) - cpuOf(before, name)) / wallS;
    return {
      mainRatio: ratio('main'),
      rosRatio: kind === 'ros2' ? ratio('ros') : 0,
      memoryBytes: kind === 'ros2' ? figure(after, 'process_memory_bytes{process="ros"}') : 0,
      publishedMessages: kind === 'ros2' ? figure(after, 'ros_published_messages_total') : 0,
      lostMessages: figure(after, 'recorder_lost_messages_total'),
      // The last chunk ends where the agent was told to.
      chunks: filesBelow(join(folder, 'data/recordings'), '.mcap').sort().flatMap(soundChunks).slice(0, -1),
    };
  } finally {
    await agent.end('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

function figure(text: string, name: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`fender_${name} `));
  if (line === undefined) throw new Error(`the metrics have no fender_${name}`);
  return Number(line.split(' ').at(-1));
}

/** A hash of the samples of each chunk of sound; the stamps beside them are of their run. */
function soundChunks(path: string): string[] {
  const decompressHandlers = { zstd: (bytes: Uint8Array) => new Uint8Array(zstdDecompressSync(bytes)) };
  const reader = new McapStreamReader({ decompressHandlers });
  reader.append(readFileSync(path));
  const hashes: string[] = [];
  let channelId = -1;
  for (let record = reader.nextRecord(); record; record = reader.nextRecord()) {
    if (record.type === 'Channel' && record.topic === '/uma8/audio') channelId = record.id;
    if (record.type !== 'Message' || record.channelId !== channelId) continue;
    const { data } = record;
    const bytes = new DataView(data.buffer, data.byteOffset).getUint32(12, true);
    hashes.push(
      createHash('sha1')
        .update(data.subarray(16, 16 + bytes))
        .digest('hex'),
    );
  }
  return hashes;
}
