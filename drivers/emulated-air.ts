/**
 * The air that emulated particle sensors breathe: one smooth, repeatable curve with the passing of dust clouds.
 * Invented for demonstrations; no claim about real air.
 */

export interface Air {
  readonly pm1UgM3: number;
  readonly pm25UgM3: number;
  readonly pm4UgM3: number;
  readonly pm10UgM3: number;
  /** Particles per cm³ larger than 0.3, 0.5, 1.0, 2.5, 5.0 and 10 µm. */
  readonly largerPerCm3: readonly [number, number, number, number, number, number];
}

/** The air `seconds` after the start, in µg/m³; the same for the same seed. */
export function emulatedAir(seconds: number, seed: number): Air {
  const slow = Math.sin(seconds / 47 + seed) + 0.5 * Math.sin(seconds / 13 + 2 * seed);
  const ripple = 0.3 * Math.sin(seconds * 2.1 + seed) + 0.2 * Math.sin(seconds * 5.3);
  const cloud = 18 * Math.exp(-(((((seconds + 40 * seed) % 90) - 45) / 9) ** 2));
  const pm25 = Math.max(1, 9 + 3 * slow + ripple + cloud);
  const pm1 = pm25 * 0.64;
  const pm10 = pm25 * (1.3 + (0.5 * cloud) / (cloud + 9));
  return {
    pm1UgM3: pm1,
    pm25UgM3: pm25,
    pm4UgM3: pm25 + 0.6 * (pm10 - pm25),
    pm10UgM3: pm10,
    largerPerCm3: [pm25 * 1.9, pm25 * 0.55, pm25 * 0.09, pm25 * 0.012, pm10 * 0.002, pm10 * 0.0007],
  };
}
