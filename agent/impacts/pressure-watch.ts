/**
 * Owns the look at the air pressure around an impact: keeps the last readings, and says by how much the pressure after a moment departs
 * from what it would have been, if that stands out of the noise.
 *
 * What one reading a second can show: a change that lasts (a broken or opened window at speed, a tunnel's mouth); of a transient shorter than
 * a second (a door's slam, some 100 Pa for 0.2 s) the one reading that may fall into it, and of that a quarter, as the BME680 smooths by 3
 * taps as it is set here. Most impacts therefore have none.
 */
import type { EnvironmentSample, Stamp } from '../../drivers/sample.ts';

/** Readings looked at before the onset; a road's slope is a straight line over so long. */
const BEFORE_S = 12;
/** Readings this shortly before the onset may hold some of it. */
const GUARD_S = 0.3;
const AFTER_S = 2;
const FEWEST_BEFORE = 5;
/** So many times the noise stands out; under 10⁻⁵ by chance for normal noise, and some for hills that are not straight. */
const SIGNIFICANT = 6;
/** The sensor's own noise at this setting and filter, with what gusts add: less than this is never evidence. */
const LEAST_NOISE_PA = 1.5;
const CAPACITY = 64;

interface Reading {
  readonly bootId: string;
  readonly timeS: number;
  readonly pressurePa: number;
}

/** The last readings of one pressure sensor. */
export class PressureWatch {
  readonly #readings: Reading[] = [];

  add({ stamp, pressurePa }: EnvironmentSample): void {
    if (!Number.isFinite(pressurePa)) return;
    this.#readings.push({ bootId: stamp.bootId, timeS: Number(stamp.monotonicNs) / 1e9, pressurePa });
    if (this.#readings.length > CAPACITY) this.#readings.shift();
  }

  /**
   * The largest departure in Pa, rounded to 0.1, among the readings within 2 s after the onset, from a straight line through those before
   * (Theil–Sen: the median of all slopes, Sen 1968); null when none stands out, or there are not enough readings yet.
   */
  changeAt(onset: Stamp): number | null {
    const onsetS = Number(onset.monotonicNs) / 1e9;
    const near = this.#readings.filter(({ bootId }) => bootId === onset.bootId);
    const before = near.filter(({ timeS }) => timeS < onsetS - GUARD_S && timeS >= onsetS - BEFORE_S);
    const after = near.filter(({ timeS }) => timeS >= onsetS && timeS <= onsetS + AFTER_S);
    if (before.length < FEWEST_BEFORE || after.length === 0) return null;
    const slope = slopeOf(before);
    const level = median(before.map(({ timeS, pressurePa }) => pressurePa - slope * (timeS - onsetS)));
    const departureOf = ({ timeS, pressurePa }: Reading) => pressurePa - level - slope * (timeS - onsetS);
    // 1.4826 × the median of absolute deviations is the standard deviation of normal noise.
    const noise = Math.max(LEAST_NOISE_PA, 1.4826 * median(before.map((reading) => Math.abs(departureOf(reading)))));
    const change = after.map(departureOf).reduce((most, one) => (Math.abs(one) > Math.abs(most) ? one : most), 0);
    return Math.abs(change) >= SIGNIFICANT * noise ? Math.round(change * 10) / 10 : null;
  }
}

function slopeOf(readings: readonly Reading[]): number {
  const slopes = readings.flatMap((one, index) =>
    readings
      .slice(index + 1)
      .filter(({ timeS }) => timeS > one.timeS)
      .map((other) => (other.pressurePa - one.pressurePa) / (other.timeS - one.timeS)),
  );
  return slopes.length === 0 ? 0 : median(slopes);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2;
}
