/** Runs the detector over recorded sound as fast as the machine can: a sound file, or a bag of this project. */
import { stat } from 'node:fs/promises';
import { type Detection, ImpactDetector } from '../models/detector.ts';
import { type Model, readModel } from '../models/package.ts';
import { ModelSession } from '../models/session.ts';
import type { ArrayMount } from './direction/array-mount.ts';
import type { Direction } from './direction/direction.ts';
import { DirectionFinder } from './direction/direction-finder.ts';
import { AgentError } from './error.ts';
import { readBagSound } from './replay/bag-sound.ts';
import { readFileSound } from './replay/file-sound.ts';
import type { ReplayedBlock } from './replay/replayed-block.ts';

/** Windows heard at once: that saves a fifth of the time; more save nothing more. */
const BATCH = 4;

/** A recording does not say how the array was mounted: azimuths are those of the array, capsule 1 ahead, facing down. */
const MOUNT: ArrayMount = { yawDeg: 0, pitchDeg: 0, facing: 'down' };

/** What to replay. */
export interface ReplayOptions {
  /** A sound file, an `.mcap` file (finished or not), or a recording's folder. */
  readonly path: string;
  readonly modelPath: string;
  /** Score per label, overriding the model's own. */
  readonly thresholds?: Readonly<Record<string, number>>;
  /** Told how much of the input is read. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** One impact, as it is printed. */
export interface ReplayedImpact {
  /** Seconds from the first sample of the input. */
  readonly onset_s: number;
  readonly end_s: number;
  /** UTC time of the onset, RFC 3339 with milliseconds; null where the input has no clock. */
  readonly onset_at: string | null;
  readonly label: string;
  readonly score: number;
  readonly scores: Readonly<Record<string, number>>;
  /** Where it came from: 0 ahead of capsule 1, +90 left, in degrees; absent when there was no telling. */
  readonly azimuth_deg?: number;
  readonly azimuth_confidence?: number;
  readonly side?: Direction['side'];
}

/**
 * Yields each impact when the detector is sure of it, in order. Throws AgentError `sound-file` and RecordingError for input that
 * cannot be read, ModelError for a model that cannot be used. Ends early when the signal aborts.
 */
export async function* replay(options: ReplayOptions): AsyncGenerator<ReplayedImpact> {
  const model = await readModel(options.modelPath);
  const session = await ModelSession.open(model, { threads: 1 });
  try {
    yield* hear(session, model, options);
  } finally {
    await session.close();
  }
}

async function* hear(session: ModelSession, model: Model, options: ReplayOptions): AsyncGenerator<ReplayedImpact> {
  const { description } = model;
  const thresholds = { ...description.thresholds, ...options.thresholds };
  let detector: ImpactDetector | null = null;
  let finder: DirectionFinder | null = null;
  let first: ReplayedBlock | null = null;
  let format = '';
  for await (const block of await openSound(options.path, description.input.topic, description.input.sample_rate_hz)) {
    if (options.signal?.aborted === true) return;
    const { channels, sampleRateHz } = block;
    first ??= block;
    if (format !== `${channels} × ${sampleRateHz} Hz`) {
      if (detector !== null) yield* printable(await detector.flush(), first, finder);
      finder = new DirectionFinder({ sampleRateHz, channels, mount: MOUNT });
      format = `${channels} × ${sampleRateHz} Hz`;
      detector = new ImpactDetector(
        session,
        { ...description, thresholds },
        {
          sampleRateHz,
          channels,
          batch: BATCH,
        },
      );
    }
    finder?.push(block.pcm, block.firstSampleNs);
    if (detector !== null) yield* printable(await detector.push(block.pcm, block.firstSampleNs), first, finder);
    options.onProgress?.(block.share, 1);
  }
  if (detector !== null && first !== null) yield* printable(await detector.flush(), first, finder);
}

async function openSound(path: string, topic: string, sampleRateHz: number): Promise<AsyncIterable<ReplayedBlock>> {
  const info = await stat(path).catch((cause: unknown) => {
    throw new AgentError('sound-file', `${path}: expected a sound file, a bag or a recording's folder, found nothing`, {
      cause,
    });
  });
  const isBag = info.isDirectory() || /\.mcap(\.active)?$/.test(path);
  return isBag ? readBagSound(path, topic) : readFileSound(path, sampleRateHz);
}

function* printable(
  detections: readonly Detection[],
  first: ReplayedBlock,
  finder: DirectionFinder | null,
): Generator<ReplayedImpact> {
  for (const { onsetNs, endNs, label, score, scores } of detections) {
    const direction = finder?.at(onsetNs) ?? null;
    yield {
      onset_s: seconds(onsetNs - first.firstSampleNs),
      end_s: seconds(endNs - first.firstSampleNs),
      onset_at: first.hasClock ? new Date(Number(onsetNs / 1_000_000n)).toISOString() : null,
      label,
      score: Math.round(score * 1e4) / 1e4,
      scores: Object.fromEntries(Object.entries(scores).map(([name, each]) => [name, Math.round(each * 1e4) / 1e4])),
      ...(direction && {
        azimuth_deg: direction.azimuthDeg,
        azimuth_confidence: direction.confidence,
        side: direction.side,
      }),
    };
  }
}

function seconds(ns: bigint): number {
  return Number(ns / 1_000_000n) / 1_000;
}
