/**
 * Measures durable recording replayed as fast as the disk takes it: eight channels of 48 kHz × 16 bit sound and the slow topics through
 * the graph, with synchronised sets and the overview as in the agent, data syncs on, and every message read back.
 */

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { bagInfo } from '../../agent/bag/bag-info.ts';
import { Graph, type Publish } from '../../agent/graph.ts';
import {
  audioTopic,
  diagnosticsTopic,
  gasTopic,
  humidityTopic,
  particulateTopic,
  pressureTopic,
  temperatureTopic,
  timeReferenceTopic,
} from '../../agent/nodes/topics.ts';
import { Recorder } from '../../agent/recording/recorder.ts';
import { levelsOf } from '../../agent/sound/levels.ts';
import { SynchroniserNode } from '../../agent/synchroniser/synchroniser-node.ts';
import type { Clock, Stamp } from '../../drivers/sample.ts';

/** What a run of the benchmark gives. */
export interface RecorderBench {
  /** Seconds of recording for each second of the clock. */
  readonly realTimeFactor: number;
  readonly recordedS: number;
  readonly elapsedS: number;
  readonly bytesPerS: number;
  readonly messages: number;
  /** Synchronised sets among the messages. */
  readonly sets: number;
  /** Messages published that are not in the bag; must be 0. */
  readonly lostMessages: number;
  /** 99th percentile of the main thread's event-loop delay, in milliseconds. */
  readonly eventLoopDelayP99Ms: number;
}

const startNs = 1_764_000_000_000_000_000n;
let nowNs = 0n;

function stampAt(offsetNs: bigint): Stamp {
  return {
    capturedAtNs: startNs + offsetNs,
    monotonicNs: offsetNs,
    bootId: 'bench',
    synchronised: true,
    estimatedErrorNs: 0n,
  };
}

/** Stands where the published messages are. */
const clock: Clock = { now: () => stampAt(nowNs), monotonicNs: () => nowNs, at: stampAt };

/** Publishes one second of all topics: ten chunks of sound, the BME680, a particle sensor, diagnostics and the clock. */
function publisher(graph: Graph, pcm: Int16Array<ArrayBuffer>, room: () => Promise<void>) {
  const sound = graph.advertise(audioTopic);
  const air = [temperatureTopic, humidityTopic, pressureTopic, gasTopic].map((topic) => graph.advertise(topic));
  const dust = graph.advertise(particulateTopic('plantower'));
  const diagnostics = graph.advertise(diagnosticsTopic);
  const reference: Publish<Stamp> = graph.advertise(timeReferenceTopic);
  return async (second: number): Promise<void> => {
    for (let tenth = 0; tenth < 10; tenth += 1) {
      const sequence = second * 10 + tenth;
      nowNs = BigInt(sequence) * 100_000_000n;
      const stamp = stampAt(nowNs);
      const firstFrame = BigInt(sequence * 4800);
      sound(stamp, { stamp, firstFrame, sampleRateHz: 48_000, channels: 8, frames: 4800, pcm });
      await room();
    }
    const stamp = stampAt(BigInt(second) * 1_000_000_000n);
    const sample = {
      stamp,
      temperatureC: 21 + second / 1000,
      pressurePa: 101_325,
      humidity: 0.4,
      gasResistanceOhm: 12_000,
      gasValid: true,
      heaterStable: true,
    };
    for (const publish of air) publish(stamp, sample);
    const countsPerCm3 = { '>0.3': 300, '>0.5': 90, '>1.0': 20, '>2.5': 4 };
    dust(stamp, { stamp, pm1UgM3: 4, pm25UgM3: 7, pm4UgM3: 8, pm10UgM3: 9, countsPerCm3 });
    const health = { source: 'uma8', level: 'ok', code: 'ok', message: 'sound arrives', cure: '' } as const;
    diagnostics(stamp, { stamp, vehicle: 'bench', diagnostics: [{ ...health, values: { bytes_per_s: 768_000 } }] });
    reference(stamp, stamp);
  };
}

function synchroniserOf(graph: Graph): SynchroniserNode {
  return new SynchroniserNode(
    { graph, clock, report: () => {} },
    {
      policy: 'approximate',
      topics: ['/uma8/audio', '/plantower/particulate', '/bme680/temperature'],
      queueSize: 100,
      slopNs: 600_000_000n,
      agePenalty: 0.1,
      lowerBoundsNs: {},
    },
  );
}

/**
 * Records `seconds` of everything as fast as it goes, into a new folder under `folder`, and removes it again. The time ends when
 * the last segment is synced and renamed.
 */
export async function benchRecorder(seconds = 300, folder = tmpdir()): Promise<RecorderBench> {
  const scratch = await mkdtemp(join(folder, 'fender-bench-recorder-'));
  const pcm = Int16Array.from({ length: 4800 * 8 }, (_, index) =>
    Math.round(8000 * Math.sin(index / 7) + 500 * Math.sin(index * 1.7)),
  );
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const stopping = new AbortController();
  try {
    const options = { vehicle: 'bench', recordingId: 'bench', minFreeBytes: 0 };
    const recorder = await Recorder.open(join(scratch, 'recordings'), options, clock);
    const graph = new Graph();
    const synchronising = synchroniserOf(graph).run(stopping.signal);
    graph.subscribeAll('recorder', ({ topic, type, sequence, stamp, data }) => {
      const levels = levelsOf(topic, type, data);
      recorder.write({ topic, type, sequence, stamp, data, ...(levels && { levels }) });
    });
    const publishSecond = publisher(graph, pcm, () => recorder.room());
    delay.enable();
    const startedMs = performance.now();
    for (let second = 0; second < seconds; second += 1) await publishSecond(second);
    await recorder.close();
    const elapsedS = (performance.now() - startedMs) / 1000;
    delay.disable();
    stopping.abort();
    await synchronising;
    let messages = 0;
    const recording = join(scratch, 'recordings/bench');
    for (const name of await readdir(recording)) {
      if (name.endsWith('.mcap')) messages += (await bagInfo(join(recording, name))).messages;
    }
    const published = graph.statistics().reduce((sum, topic) => sum + topic.published, 0);
    return {
      realTimeFactor: seconds / elapsedS,
      recordedS: seconds,
      elapsedS,
      bytesPerS: recorder.stats().writtenBytes / elapsedS,
      messages,
      sets: graph.statistics().find(({ topic }) => topic === '/fender/sets')?.published ?? 0,
      lostMessages: published - messages,
      eventLoopDelayP99Ms: delay.percentile(99) / 1e6,
    };
  } finally {
    stopping.abort();
    await rm(scratch, { recursive: true, force: true });
  }
}
