/** Sound of chunks of 100 ms at a low rate, and options of a supervisor for the detector process without a model. */
import type { ModelSetup, SupervisorOptions } from '../../../agent/detector/supervisor.ts';
import type { AudioChunk } from '../../../drivers/sample.ts';

const FRAMES = 480;
const CHANNELS = 8;
export const CHUNK_NS = 100_000_000n;
export const UTC_NS = 1_700_000_000_000_000_000n;

/** The chunk at `index`, all of whose samples are `value`. */
export function chunk(index: number, value: number): AudioChunk {
  const monotonicNs = BigInt(index) * CHUNK_NS;
  const stamp = {
    capturedAtNs: UTC_NS + monotonicNs,
    monotonicNs,
    bootId: 'b',
    synchronised: true,
    estimatedErrorNs: 1n,
  };
  const pcm = new Int16Array(FRAMES * CHANNELS).fill(value);
  return { stamp, firstFrame: BigInt(index * FRAMES), sampleRateHz: 4_800, channels: CHANNELS, frames: FRAMES, pcm };
}

export function setupOf(modelPath: string): ModelSetup {
  return { modelPath, checkedModel: null, thresholds: {}, summaryPeriodS: 60, mount: null };
}

export function optionsOf(modelPath: string): SupervisorOptions {
  return {
    source: 'detector',
    setup: setupOf(modelPath),
    niceness: 0,
    maxMemoryBytes: 1e9,
    queueChunks: 30,
    hangTimeoutMs: 600,
    startTimeoutMs: 20_000,
    entry: new URL('./fake-detector-process.ts', import.meta.url),
    execArgv: [],
  };
}
