/**
 * Owns the arithmetic of struck things: force pulses, banks of damped modes driven by them, reflections of the
 * surroundings, and how long a sound lasts. Pure; levels are relative, callers scale the result.
 */
import type { Random } from './random.ts';

/** One damped mode. */
export interface Mode {
  readonly frequencyHz: number;
  /** Time in seconds in which it falls by 60 dB. */
  readonly t60S: number;
  readonly amplitude: number;
}

/** One blow: when it lands, how hard, and how long the bodies touch. */
export interface Strike {
  readonly atS: number;
  readonly strength: number;
  readonly contactS: number;
}

/**
 * Adds the force of a blow to `force` as a half-sine pulse raised to 1.5 (Hertzian contact), normalised so that
 * `strength` is its impulse: long contacts therefore excite less of the high modes. At least two frames long.
 */
export function addForce(force: Float32Array, strike: Strike, sampleRateHz: number): void {
  const frames = Math.max(2, Math.round(strike.contactS * sampleRateHz));
  const begin = Math.round(strike.atS * sampleRateHz);
  let area = 0;
  for (let i = 0; i < frames; i++) area += Math.sin((Math.PI * (i + 0.5)) / frames) ** 1.5;
  for (let i = 0; i < frames && begin + i < force.length; i++) {
    const at = begin + i;
    force[at] = (force[at] as number) + (strike.strength * Math.sin((Math.PI * (i + 0.5)) / frames) ** 1.5) / area;
  }
}

/**
 * Adds to `out` the response of one mode to `force` (same rate), computed from frame `begin` until `forceEnd` plus the time the mode
 * needs to fall by 70 dB. A two-pole resonator whose impulse response is amplitude · rⁿ · sin(ω(n + 1)).
 */
export function addMode(
  out: Float32Array,
  force: Float32Array,
  mode: Mode,
  sampleRateHz: number,
  begin: number,
  forceEnd: number,
): void {
  if (mode.frequencyHz >= sampleRateHz * 0.45) return;
  const omega = (2 * Math.PI * mode.frequencyHz) / sampleRateHz;
  const radius = Math.exp(-6.908 / (mode.t60S * sampleRateHz));
  const a1 = 2 * radius * Math.cos(omega);
  const a2 = radius * radius;
  const b0 = mode.amplitude * Math.sin(omega);
  const end = Math.min(out.length, forceEnd + Math.ceil(mode.t60S * 1.17 * sampleRateHz));
  let y1 = 0;
  let y2 = 0;
  for (let i = begin; i < end; i++) {
    const y = b0 * (i < forceEnd ? (force[i] as number) : 0) + a1 * y1 - a2 * y2;
    y2 = y1;
    y1 = y;
    out[i] = (out[i] as number) + y;
  }
}

/**
 * Adds reflections: a few strong early ones and a thin diffuse tail that falls by 60 dB in `t60S`. Returns a new array, longer by
 * the tail. `wet` is the level of the first reflection relative to the direct sound.
 */
export function withReflections(
  dry: Float32Array,
  random: Random,
  sampleRateHz: number,
  t60S: number,
  wet: number,
): Float32Array {
  const tailFrames = Math.ceil(t60S * 0.7 * sampleRateHz);
  const out = new Float32Array(dry.length + tailFrames);
  out.set(dry);
  const taps = Math.min(72, 10 + Math.round(t60S * 120));
  for (let tap = 0; tap < taps; tap++) {
    const delayS = 0.0008 + (t60S * 0.65 * tap * (tap + random.unit())) / (taps * taps);
    const gain = wet * random.normal() * 0.7 * Math.exp((-6.908 * delayS) / t60S);
    const delay = Math.min(tailFrames, Math.round(delayS * sampleRateHz));
    // Each bounce loses some treble: a one-pole low-pass whose corner falls with the delay.
    const keep = Math.min(0.85, 0.15 + delayS * 3);
    let low = 0;
    for (let i = 0; i < dry.length; i++) {
      low = keep * low + (1 - keep) * (dry[i] as number);
      const at = i + delay;
      out[at] = (out[at] as number) + gain * low;
    }
  }
  return out;
}

/** Scales in place to a peak of 1 and takes off the last frames that stay below −66 dB; silence stays silence. */
export function normalised(samples: Float32Array): Float32Array {
  let peak = 0;
  for (const v of samples) peak = Math.max(peak, Math.abs(v));
  if (peak === 0) return samples;
  let last = 0;
  for (let i = 0; i < samples.length; i++) {
    const v = (samples[i] as number) / peak;
    samples[i] = v;
    if (Math.abs(v) > 5e-4) last = i;
  }
  const kept = samples.subarray(0, last + 1);
  const fade = Math.min(240, kept.length);
  for (let i = 0; i < fade; i++) {
    const at = kept.length - 1 - i;
    kept[at] = (kept[at] as number) * (i / fade);
  }
  return kept;
}

/** Where a sound begins and ends to the ear, and how loud it is where it is loudest. */
export interface Extent {
  readonly onsetFrame: number;
  readonly endFrame: number;
  /** Root mean square of the loudest 100 ms. */
  readonly loudestRms: number;
}

/** Onset and end are where the energy of 10 ms first comes within 30 dB of its maximum and last leaves it. */
export function extentOf(samples: Float32Array, sampleRateHz: number): Extent {
  const step = Math.round(sampleRateHz * 0.01);
  const energies: number[] = [];
  for (let begin = 0; begin < samples.length; begin += step) {
    let sum = 0;
    for (let i = begin; i < Math.min(samples.length, begin + step); i++) sum += (samples[i] as number) ** 2;
    energies.push(sum / step);
  }
  const threshold = Math.max(...energies) * 1e-3;
  const first = Math.max(
    0,
    energies.findIndex((e) => e >= threshold),
  );
  const last = energies.findLastIndex((e) => e >= threshold);
  let loudest = 0;
  for (let i = 0; i < energies.length; i++) {
    let sum = 0;
    for (let k = i; k < Math.min(energies.length, i + 10); k++) sum += energies[k] as number;
    loudest = Math.max(loudest, sum / 10);
  }
  return {
    onsetFrame: first * step,
    endFrame: Math.min(samples.length, (last + 1) * step),
    loudestRms: Math.sqrt(loudest),
  };
}
