/** Owns where the capsules of the array are in the vehicle: the board's table, turned as the board is mounted. */
import { MICROPHONES, type Position } from '../../drivers/uma8/geometry.ts';

/** How the board sits in the vehicle. */
export interface ArrayMount {
  /** Where the capsule of channel 1 points, seen from above: 0 = ahead, +90 = left. */
  readonly yawDeg: number;
  /** How far the edge at channel 1 points down (REP 103, about the axis to the left): about 30 on a raked windshield, 0 when flat. */
  readonly pitchDeg: number;
  /** `down`: capsules towards the cabin under the glass or the roof; `up`: on the dashboard. */
  readonly facing: 'down' | 'up';
}

/** The seven capsules of the board. The eighth channel is a free input whose microphone may be anywhere: no direction is taken from it. */
const CAPSULES = 7;

/** Places of the capsules of channels 0 to 6 in metres, in the vehicle's frame: x ahead, y left, z up, from the middle capsule. */
export function mountedCapsules({ yawDeg, pitchDeg, facing }: ArrayMount): Position[] {
  const [yaw, pitch] = [(yawDeg * Math.PI) / 180, (pitchDeg * Math.PI) / 180];
  return MICROPHONES.slice(0, CAPSULES).map(({ x, y }) => {
    // The table is of a board that faces down. Turned over about its axis ahead, left and right change sides.
    const side = facing === 'down' ? y : -y;
    const ahead = x * Math.cos(pitch);
    return {
      x: ahead * Math.cos(yaw) - side * Math.sin(yaw),
      y: ahead * Math.sin(yaw) + side * Math.cos(yaw),
      z: -x * Math.sin(pitch),
    };
  });
}
