/** Owns what a direction is: where a sound came from, in the vehicle's frame, and how far that may be believed. */

/** The four quarters around the vehicle. */
export type Side = 'front' | 'left' | 'rear' | 'right';

/** Where a sound came from. */
export interface Direction {
  /** 0 = straight ahead, +90 = left, −180 < azimuth ≤ 180 (REP 103: anticlockwise seen from above), in the vehicle's frame. */
  readonly azimuthDeg: number;
  readonly side: Side;
  /** Probability, 0 to 1, that the azimuth is within 20° of the truth, as measured on simulated sounds. */
  readonly confidence: number;
}

/** The quarter of an azimuth in degrees, each 90° wide about its middle; the borders belong to front and rear. */
export function sideOf(azimuthDeg: number): Side {
  const azimuth = wrapDegrees(azimuthDeg);
  if (Math.abs(azimuth) <= 45) return 'front';
  if (Math.abs(azimuth) >= 135) return 'rear';
  return azimuth > 0 ? 'left' : 'right';
}

/** The same angle in degrees with −180 < angle ≤ 180. */
export function wrapDegrees(degrees: number): number {
  const turned = degrees - 360 * Math.floor(degrees / 360);
  return turned > 180 ? turned - 360 : turned;
}
