/** Events on the simulated array: a sound at a place that is drawn, and what the finder says of it, as if the detector had asked. */
import type { ArrayMount } from '../../../agent/direction/array-mount.ts';
import { wrapDegrees } from '../../../agent/direction/direction.ts';
import { DirectionFinder } from '../../../agent/direction/direction-finder.ts';
import type { Random } from '../../../drivers/uma8/generated/random.ts';
import { CHANNELS, distanceToShell, IMPACT_AT, RATE_HZ, simulate } from './simulated-array.ts';

export const FLAT: ArrayMount = { yawDeg: 0, pitchDeg: 0, facing: 'down' };
/** Sounds begin this long before their onset. */
export const LEAD_FRAMES = 480;
const CHUNK_FRAMES = 4_800;
/** Where the time of the first sample is put. */
const START_NS = 1_700_000_000_000_000_000n;

/** The kinds of surroundings that events are simulated in. */
export interface Surroundings {
  readonly snrDb: number;
  readonly noiseSlope: number;
  readonly cabin: boolean;
}

export interface SimulatedEvent {
  readonly pcm: Int16Array;
  readonly azimuthDeg: number;
  /** As the detector tells it: up to 20 ms off. */
  readonly onsetFrame: number;
}

/** `sound` at 48 kHz, LEAD_FRAMES before its onset, from anywhere round the array. */
export function drawEvent(
  sound: Float32Array,
  { snrDb, noiseSlope, cabin }: Surroundings,
  random: Random,
): SimulatedEvent {
  const azimuthDeg = random.between(-180, 180);
  const elevationDeg = random.between(-40, 30);
  const distanceM = cabin ? distanceToShell(azimuthDeg, elevationDeg) : random.logBetween(0.4, 3);
  const seed = random.uint32();
  const pcm = simulate({ impact: sound, azimuthDeg, elevationDeg, distanceM, snrDb, noiseSlope, cabin, seed });
  return { pcm, azimuthDeg, onsetFrame: IMPACT_AT + LEAD_FRAMES + Math.round(random.between(-960, 960)) };
}

/** What a finder says of the event; and how much time of a core it took. */
export function find({ pcm, onsetFrame }: SimulatedEvent, mount: ArrayMount = FLAT, channels = CHANNELS) {
  const finder = new DirectionFinder({ sampleRateHz: RATE_HZ, channels, mount });
  for (let frame = 0; frame * channels < pcm.length; frame += CHUNK_FRAMES) {
    finder.push(pcm.subarray(frame * channels, (frame + CHUNK_FRAMES) * channels), timeOf(frame));
  }
  const began = process.cpuUsage();
  const direction = finder.at(timeOf(onsetFrame));
  const took = process.cpuUsage(began);
  return { direction, tookMs: (took.user + took.system) / 1000 };
}

export function timeOf(frame: number): bigint {
  return START_NS + (BigInt(frame) * 1_000_000_000n) / BigInt(RATE_HZ);
}

/** Degrees between two azimuths, 0 to 180. */
export function apartDeg(a: number, b: number): number {
  return Math.abs(wrapDegrees(a - b));
}
