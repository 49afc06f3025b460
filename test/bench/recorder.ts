/**
 * Measures durable recording replayed as fast as the disk takes it: eight channels of 48 kHz × 16 bit sound and the slow
 * topics, with data syncs on and every message read back.
 */

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { bagInfo } from '../../agent/bag/bag-info.ts';
import {
  encodeDiagnosticArray,
  encodeGasResistance,
  encodeHumidity,
  encodeParticulateMatter,
  encodePressure,
  encodeRawAudio,
  encodeTemperature,
  encodeTimeReference,
} from '../../agent/messages/messages.ts';
import { Recorder } from '../../agent/recording/recorder.ts';
import type { Clock, Stamp } from '../../drivers/sample.ts';

/** What a run of the benchmark gives. */
export interface RecorderBench {
  /** Seconds of recording for each second of the clock. */
  readonly realTimeFactor: number;
  readonly recordedS: number;
  readonly elapsedS: number;
  readonly bytesPerS: number;
  readonly messages: number;
  /** Messages given to the recorder that are not in the bag; must be 0. */
  readonly lostMessages: number;
  /** 99th percentile of the main thread's event-loop delay, in milliseconds. */
  readonly eventLoopDelayP99Ms: number;
}

const startNs = 1_764_000_000_000_000_000n;

function stampAt(offsetNs: bigint): Stamp {
  return {
    capturedAtNs: startNs + offsetNs,
    monotonicNs: offsetNs,
    bootId: 'bench',
    synchronised: true,
    estimatedErrorNs: 0n,
  };
}

const clock: Clock = { now: () => stampAt(0n), monotonicNs: () => process.hrtime.bigint(), at: stampAt };

/** Publishes one second of all topics: ten chunks of sound, the BME680, a particle sensor, diagnostics and the clock. */
async function recordSecond(recorder: Recorder, second: number, pcm: Int16Array<ArrayBuffer>): Promise<void> {
  for (let tenth = 0; tenth < 10; tenth += 1) {
    const sequence = second * 10 + tenth;
    const stamp = stampAt(BigInt(sequence) * 100_000_000n);
    const chunk = { stamp, firstFrame: BigInt(sequence * 4800), sampleRateHz: 48_000, channels: 8, frames: 4800, pcm };
    recorder.write({
      topic: '/uma8/audio',
      type: 'foxglove_msgs/msg/RawAudio',
      sequence,
      stamp,
      data: encodeRawAudio(chunk),
    });
    await recorder.room();
  }
  const stamp = stampAt(BigInt(second) * 1_000_000_000n);
  const air = {
    stamp,
    temperatureC: 21 + second / 1000,
    pressurePa: 101_325,
    humidity: 0.4,
    gasResistanceOhm: 12_000,
    gasValid: true,
    heaterStable: true,
  };
  const dust = {
    stamp,
    pm1UgM3: 4,
    pm25UgM3: 7,
    pm4UgM3: 8,
    pm10UgM3: 9,
    countsPerCm3: { '>0.3': 300, '>0.5': 90, '>1.0': 20, '>2.5': 4 },
  };
  const health = {
    source: 'uma8',
    level: 'ok',
    code: 'ok',
    message: 'sound arrives',
    cure: '',
    values: { bytes_per_s: 768_000 },
  } as const;
  const slow = [
    ['/bme680/temperature', 'sensor_msgs/msg/Temperature', encodeTemperature(air, 'bme680')],
    ['/bme680/humidity', 'sensor_msgs/msg/RelativeHumidity', encodeHumidity(air, 'bme680')],
    ['/bme680/pressure', 'sensor_msgs/msg/FluidPressure', encodePressure(air, 'bme680')],
    ['/bme680/gas', 'fender_msgs/msg/GasResistance', encodeGasResistance(air, 'bme680')],
    ['/plantower/particulate', 'fender_msgs/msg/ParticulateMatter', encodeParticulateMatter(dust, 'plantower')],
    ['/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray', encodeDiagnosticArray(stamp, [health])],
    ['/fender/time_reference', 'sensor_msgs/msg/TimeReference', encodeTimeReference(stamp)],
  ] as const;
  for (const [topic, type, data] of slow) recorder.write({ topic, type, sequence: second, stamp, data });
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
  try {
    const options = { vehicle: 'bench', clipFolder: join(scratch, 'clips'), recordingId: 'bench', minFreeBytes: 0 };
    const recorder = await Recorder.open(join(scratch, 'recordings'), options, clock);
    delay.enable();
    const startedMs = performance.now();
    for (let second = 0; second < seconds; second += 1) await recordSecond(recorder, second, pcm);
    await recorder.close();
    const elapsedS = (performance.now() - startedMs) / 1000;
    delay.disable();
    let messages = 0;
    const recording = join(scratch, 'recordings/bench');
    for (const name of await readdir(recording)) {
      if (name.endsWith('.mcap')) messages += (await bagInfo(join(recording, name))).messages;
    }
    return {
      realTimeFactor: seconds / elapsedS,
      recordedS: seconds,
      elapsedS,
      bytesPerS: recorder.stats().writtenBytes / elapsedS,
      messages,
      lostMessages: seconds * 17 - messages,
      eventLoopDelayP99Ms: delay.percentile(99) / 1e6,
    };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
