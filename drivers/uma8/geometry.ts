/**
 * Owns where the microphones of the array are and how sound from a point in space reaches each of them. The frame has
 * its origin at the centre capsule, x forward, y left, z up, in metres.
 */

export interface Position {
  readonly x: number;
  readonly y: number;
  readonly z: number;
}

/** Speed of sound at 20 °C in m/s. */
const SOUND_SPEED_MPS = 343.2;

/** Radius of the UMA-8's outer circle of capsules in metres (miniDSP UMA-8 data sheet: 90 mm board, 86 mm circle). */
const CIRCLE_RADIUS_M = 0.043;

/**
 * The eight microphones in channel order, of a board that faces down (capsules towards the cabin, as under the glass). Channel 0 is
 * the capsule in the middle, channels 1 to 6 sit on a 43 mm circle every 60°, beginning forward and turning left (anticlockwise from
 * above; looking at the capsules they turn clockwise, as in config/odaslive/minidsp.cfg of introlab/odas). The board carries these
 * seven; channel 7 is its free PDM input, here with a microphone at the foot of the mount, 60 mm behind the centre and 20 mm below it
 * (hardware/uma8.md).
 */
export const MICROPHONES: readonly Position[] = [
  { x: 0, y: 0, z: 0 },
  ...[0, 60, 120, 180, 240, 300].map((degrees) => {
    const angle = (degrees * Math.PI) / 180;
    return { x: CIRCLE_RADIUS_M * Math.cos(angle), y: CIRCLE_RADIUS_M * Math.sin(angle), z: 0 };
  }),
  { x: -0.06, y: 0, z: -0.02 },
];

/** How a point source reaches one microphone. */
export interface Path {
  /** Delay in frames relative to the earliest microphone, 0 or more, fractional. */
  readonly delayFrames: number;
  /** Linear gain relative to the array's centre; spherical spreading. */
  readonly gain: number;
}

/** The paths from a point source to all microphones, in channel order. The source is kept at least 10 cm from a capsule. */
export function pathsFrom(source: Position, sampleRateHz: number): Path[] {
  const distances = MICROPHONES.map((m) => Math.max(0.1, Math.hypot(source.x - m.x, source.y - m.y, source.z - m.z)));
  const nearest = Math.min(...distances);
  const centre = distances[0] as number;
  return distances.map((d) => ({
    delayFrames: ((d - nearest) / SOUND_SPEED_MPS) * sampleRateHz,
    gain: centre / d,
  }));
}
