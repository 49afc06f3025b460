/** What the air detectors go by; the configuration's section `air` with the sensors' periods. */

export interface AirOptions {
  readonly particles: {
    /** µg/m³ of PM2.5 above what is usual, from which the air is so. */
    readonly raisedUgM3: number;
    readonly highUgM3: number;
    readonly veryHighUgM3: number;
    /** What is usual is never taken for more than this. */
    readonly baselineLimitUgM3: number;
    /** After a start or a pause of the sensor it is not judged for so long. */
    readonly warmUpS: number;
    /** Usual time between two readings. */
    readonly periodS: number;
  };
  readonly gas: {
    /** Gas resistance by what is usual, from which downwards the air is so; 0 to 1, falling. */
    readonly raisedRatio: number;
    readonly highRatio: number;
    readonly veryHighRatio: number;
    readonly warmUpS: number;
    readonly periodS: number;
  };
  /** From this relative humidity on, 0 to 1, particles may be droplets: the gas sensor must agree. */
  readonly humidRatio: number;
  /** An event is over when the air was good again for so long. */
  readonly endAfterS: number;
  /** After so long an event is ended, and what is then is usual from then on. */
  readonly longestS: number;
}

/** A sensor that says nothing for this long, and for four of its readings, has paused: it warms up again. */
export function pauseS(periodS: number): number {
  return Math.max(60, 4 * periodS);
}

/** No reading stands for longer than this in sums and baselines. */
export const LONGEST_STEP_S = 10;
