/**
 * Records emulated sensors in real time, as the agent does, until it is killed. Before each message is handed to the recorder it says so
 * on its standard output, which a kill does not take back: `topic sequence monotonicNs durationNs`. In between it says `alive
 * monotonicNs cpuUs` every 10 ms, when another file has taken a few bytes: longer gaps, without the CPU time that this thread took in
 * them, are the machine's, which had no time for this process.
 */

import { writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SystemClock } from '../../agent/clock.ts';
import { parseConfig } from '../../agent/config/load.ts';
import { Graph } from '../../agent/graph.ts';
import { durationNs } from '../../agent/messages/messages.ts';
import { sensorNodes } from '../../agent/nodes/registry.ts';
import { RecorderNode } from '../../agent/recording/recorder-node.ts';
import { recorderOptions } from '../../agent/recording/recorder-options.ts';
import type { Diagnostic } from '../../drivers/sample.ts';

const [folder = '', sound = 'pcm', seed = '1'] = process.argv.slice(2);
const config = parseConfig(
  JSON.stringify({
    vehicle: { id: 'killed-1' },
    data_dir: folder,
    sensors: {
      particulate: { model: 'plantower', device: 'emulated' },
      bme680: { device: 'emulated' },
      uma8: { source: 'generated', seed: Number(seed) },
    },
    recorder: { sound },
  }),
  'recording-child',
);
const clock = new SystemClock({ checkPeriodMs: 1000, qualityPeriodMs: 10_000, stepThresholdMs: 200 });
const graph = new Graph();
const report = ({ level, code, message }: Diagnostic): void => {
  if (level === 'error') process.stderr.write(`${code}: ${message}\n`);
};
const options = await recorderOptions(config, folder, report);
const takeSnapshot = (): Promise<string> => Promise.reject(new Error('nobody asks for snapshots here'));
const recorder = await RecorderNode.open(
  join(folder, 'recordings'),
  { ...options, takeSnapshot, minFreeBytes: 0 },
  clock,
);
graph.subscribeAll('recorder', ({ topic, type, sequence, stamp, data }) => {
  writeSync(1, `${topic} ${sequence} ${stamp.monotonicNs} ${durationNs(type, data)}\n`);
  recorder.write({ topic, type, sequence, stamp, data });
});

async function sayAlive(): Promise<never> {
  const file = await open(join(folder, 'alive'), 'w');
  for (;;) {
    await file.write('alive\n', 0);
    const { user, system } = process.threadCpuUsage();
    writeSync(1, `alive ${process.hrtime.bigint()} ${user + system}\n`);
    await sleep(10);
  }
}

const sensors = sensorNodes(config.sensors, { graph, clock, report, appendTelemetry: () => {} });
const forEver = new AbortController().signal;
await Promise.all([sayAlive(), ...sensors.map((sensor) => sensor.run(forEver))]);
