/**
 * A simulated UMA-8: an impact at a place, free or in a car's cabin, as the seven capsules hear it, in noise. Delays are exact to a
 * fraction of a sample by windowed sincs; reflections are image sources (Allen & Berkley 1979); noise is half the capsules' own, half
 * isotropic with the coherence sin(kd)/kd (Habets, Cohen & Gannot 2008).
 */
import { Fft } from '../../../agent/direction/fft.ts';
import { Random } from '../../../drivers/uma8/generated/random.ts';
import { MICROPHONES, type Position } from '../../../drivers/uma8/geometry.ts';

export const RATE_HZ = 48_000;
export const CHANNELS = 8;
/** The capsules of the board; channel 7 stays silent, as the array delivers it. */
const CAPSULES = 7;
const SOUND_SPEED_MPS = 343.2;
/** What is rendered: noise, and from here on the impact. */
export const IMPACT_AT = 24_000;
const FRAMES = 32_768;
const SINC_HALF = 32;

export interface Simulation {
  /** Mono at 48 kHz, beginning shortly before the onset. */
  readonly impact: Float32Array;
  /** Of the source seen from the array. */
  readonly azimuthDeg: number;
  readonly elevationDeg: number;
  readonly distanceM: number;
  /** The impact's loudest 100 ms at the middle capsule over the noise, full band. */
  readonly snrDb: number;
  /** Power of the noise falls with frequency to this power: 0 is white, 1 pink. */
  readonly noiseSlope: number;
  /** Whether the cabin's walls reflect. */
  readonly cabin: boolean;
  readonly seed: number;
}

/** The room of the harder case: 2 × 1.4 × 1.2 m (forward, left, up), the array at the top of the windshield. */
export const CABIN = { size: { x: 2, y: 1.4, z: 1.2 }, absorption: 0.4, array: { x: 1.5, y: 0.7, z: 1.0 }, order: 6 };

/** Int16 [32768 × 8] interleaved, the sound's onset a little after frame IMPACT_AT. */
export function simulate(options: Simulation): Int16Array {
  const random = new Random(options.seed, 11);
  // Capsules are matched to ±1 dB, and sit within half a millimetre of their places.
  const off = () => random.between(-0.0005, 0.0005);
  const microphones = MICROPHONES.slice(0, CAPSULES).map(({ x, y, z }) => ({
    x: x + off(),
    y: y + off(),
    z: z + off(),
  }));
  const sensitivity = microphones.map(() => 10 ** (random.between(-1, 1) / 20));
  const clean = microphones.map((microphone) => heardAt(microphone, options));
  const level = loudest(clean[0] as Float64Array) * 10 ** (-options.snrDb / 20);
  const noise = mixedNoise(random, options.noiseSlope);
  const pcm = new Int16Array(FRAMES * CHANNELS);
  const peak = clean.reduce((most, line) => line.reduce((m, v) => Math.max(m, Math.abs(v)), most), 0);
  const scale = (0.4 * 32_768) / Math.max(peak, 4 * level);
  for (let m = 0; m < CAPSULES; m++) {
    const gain = scale * (sensitivity[m] as number);
    for (let i = 0; i < FRAMES; i++) {
      const sample =
        gain * (((clean[m] as Float64Array)[i] as number) + level * ((noise[m] as Float64Array)[i] as number));
      pcm[i * CHANNELS + m] = Math.max(-32_768, Math.min(32_767, Math.round(sample)));
    }
  }
  return pcm;
}

interface Arrival {
  readonly delayFrames: number;
  readonly gain: number;
}

function heardAt(microphone: Position, options: Simulation): Float64Array {
  const arrivals = options.cabin ? cabinArrivals(microphone, options) : [freeArrival(microphone, options)];
  const earliest = (options.distanceM / SOUND_SPEED_MPS) * RATE_HZ - 8;
  const line = new Float64Array(FRAMES);
  const response = new Float64Array(8192);
  for (const { delayFrames, gain } of arrivals) {
    const delay = delayFrames - earliest + SINC_HALF;
    const whole = Math.floor(delay);
    for (let k = Math.max(0, whole - SINC_HALF + 1); k <= Math.min(response.length - 1, whole + SINC_HALF); k++) {
      const t = k - delay;
      const window = 0.5 + 0.5 * Math.cos((Math.PI * t) / (SINC_HALF + 1));
      response[k] = (response[k] as number) + gain * window * (t === 0 ? 1 : Math.sin(Math.PI * t) / (Math.PI * t));
    }
  }
  const sound = convolve(options.impact, response);
  line.set(sound.subarray(SINC_HALF, SINC_HALF + Math.min(sound.length - SINC_HALF, FRAMES - IMPACT_AT)), IMPACT_AT);
  return line;
}

function placeOf({ azimuthDeg, elevationDeg, distanceM }: Simulation): Position {
  const [azimuth, elevation] = [(azimuthDeg * Math.PI) / 180, (elevationDeg * Math.PI) / 180];
  return {
    x: distanceM * Math.cos(azimuth) * Math.cos(elevation),
    y: distanceM * Math.sin(azimuth) * Math.cos(elevation),
    z: distanceM * Math.sin(elevation),
  };
}

function freeArrival(microphone: Position, options: Simulation): Arrival {
  const source = placeOf(options);
  const distance = Math.hypot(source.x - microphone.x, source.y - microphone.y, source.z - microphone.z);
  return { delayFrames: (distance / SOUND_SPEED_MPS) * RATE_HZ, gain: options.distanceM / distance };
}

/** A place on the cabin's shell in the direction asked for, 3 cm inside: where a struck panel or pane radiates. */
export function distanceToShell(azimuthDeg: number, elevationDeg: number): number {
  const { x, y, z } = placeOf({ azimuthDeg, elevationDeg, distanceM: 1 } as Simulation);
  const { size, array } = CABIN;
  const along = (direction: number, at: number, length: number) =>
    direction === 0 ? Number.POSITIVE_INFINITY : ((direction > 0 ? length - at : at) - 0.03) / Math.abs(direction);
  return Math.min(along(x, array.x, size.x), along(y, array.y, size.y), along(z, array.z, size.z));
}

function cabinArrivals(microphone: Position, options: Simulation): Arrival[] {
  const { size, absorption, array, order } = CABIN;
  const beta = Math.sqrt(1 - absorption);
  const relative = placeOf(options);
  const source = { x: array.x + relative.x, y: array.y + relative.y, z: array.z + relative.z };
  const at = { x: array.x + microphone.x, y: array.y + microphone.y, z: array.z + microphone.z };
  /** Images along one axis: how far away, after how many bounces. */
  const images = (from: number, to: number, length: number) => {
    const found: { offset: number; bounces: number }[] = [];
    for (let n = -order; n <= order; n++) {
      found.push({ offset: 2 * n * length + from - to, bounces: Math.abs(2 * n) });
      found.push({ offset: 2 * n * length - from - to, bounces: Math.abs(2 * n - 1) });
    }
    return found.filter(({ bounces }) => bounces <= order);
  };
  const arrivals: Arrival[] = [];
  for (const x of images(source.x, at.x, size.x)) {
    for (const y of images(source.y, at.y, size.y)) {
      for (const z of images(source.z, at.z, size.z)) {
        const bounces = x.bounces + y.bounces + z.bounces;
        if (bounces > order) continue;
        const distance = Math.hypot(x.offset, y.offset, z.offset);
        arrivals.push({
          delayFrames: (distance / SOUND_SPEED_MPS) * RATE_HZ,
          gain: (beta ** bounces * options.distanceM) / distance,
        });
      }
    }
  }
  return arrivals;
}

function convolve(a: Float32Array, b: Float64Array): Float64Array {
  const size = 2 ** Math.ceil(Math.log2(a.length + b.length));
  const fft = transform(size);
  // Both are real: one goes as the real part, one as the imaginary part.
  const [re, im] = [new Float64Array(size), new Float64Array(size)];
  re.set(a);
  im.set(b);
  fft.forward(re, im);
  const [outRe, outIm] = [new Float64Array(size), new Float64Array(size)];
  for (let k = 0; k < size; k++) {
    const j = (size - k) % size;
    const [ar, ai] = [((re[k] as number) + (re[j] as number)) / 2, ((im[k] as number) - (im[j] as number)) / 2];
    const [br, bi] = [((im[k] as number) + (im[j] as number)) / 2, ((re[j] as number) - (re[k] as number)) / 2];
    // The conjugate, so that a forward transform brings it back.
    outRe[k] = ar * br - ai * bi;
    outIm[k] = -(ar * bi + ai * br);
  }
  fft.forward(outRe, outIm);
  return outRe.map((v) => v / size).subarray(0, a.length + b.length);
}

const transforms = new Map<number, Fft>();

function transform(size: number): Fft {
  const known = transforms.get(size) ?? new Fft(size);
  transforms.set(size, known);
  return known;
}

/** Square root of the mean power of the loudest 100 ms. */
function loudest(line: Float64Array): number {
  const step = RATE_HZ / 100;
  let most = 0;
  for (let begin = 0; begin + 10 * step <= line.length; begin += step) {
    let sum = 0;
    for (let i = begin; i < begin + 10 * step; i++) sum += (line[i] as number) ** 2;
    most = Math.max(most, sum / (10 * step));
  }
  return Math.sqrt(most);
}

let factors: Float64Array | null = null;

/** Cholesky factors (lower triangles, row by row) of the coherence of half isotropic, half own noise at each frequency. */
function coherenceFactors(): Float64Array {
  if (factors !== null) return factors;
  const length = (CAPSULES * (CAPSULES + 1)) / 2;
  factors = new Float64Array((FRAMES / 2 + 1) * length);
  for (let k = 0; k <= FRAMES / 2; k++) {
    const wave = (2 * Math.PI * k * RATE_HZ) / FRAMES / SOUND_SPEED_MPS;
    const l = factors.subarray(k * length, (k + 1) * length);
    const at = (i: number, j: number) => (i * (i + 1)) / 2 + j;
    for (let i = 0; i < CAPSULES; i++) {
      for (let j = 0; j <= i; j++) {
        const [a, b] = [MICROPHONES[i] as Position, MICROPHONES[j] as Position];
        const kd = wave * Math.hypot(a.x - b.x, a.y - b.y, a.z - b.z);
        let sum = 0.5 * (kd === 0 ? 1 : Math.sin(kd) / kd) + (i === j ? 0.5 : 0);
        for (let n = 0; n < j; n++) sum -= (l[at(i, n)] as number) * (l[at(j, n)] as number);
        l[at(i, j)] = i === j ? Math.sqrt(sum) : sum / (l[at(j, j)] as number);
      }
    }
  }
  return factors;
}

/** Seven lines of noise, each of mean power 1 above 50 Hz. */
function mixedNoise(random: Random, slope: number): Float64Array[] {
  const length = (CAPSULES * (CAPSULES + 1)) / 2;
  const all = coherenceFactors();
  const re = Array.from({ length: CAPSULES }, () => new Float64Array(FRAMES));
  const im = Array.from({ length: CAPSULES }, () => new Float64Array(FRAMES));
  const first = Math.ceil((50 * FRAMES) / RATE_HZ);
  for (let k = first; k < FRAMES / 2; k++) {
    const amplitude = (k / first) ** (-slope / 2);
    const own = Array.from({ length: CAPSULES }, () => [amplitude * random.normal(), amplitude * random.normal()]);
    for (let i = 0; i < CAPSULES; i++) {
      let [a, b] = [0, 0];
      for (let j = 0; j <= i; j++) {
        const factor = all[k * length + (i * (i + 1)) / 2 + j] as number;
        a += factor * ((own[j] as number[])[0] as number);
        b += factor * ((own[j] as number[])[1] as number);
      }
      (re[i] as Float64Array)[k] = a;
      (im[i] as Float64Array)[k] = b;
    }
  }
  return re.map((real, i) => {
    transform(FRAMES).forward(real, im[i] as Float64Array);
    const power = real.reduce((sum, v) => sum + v * v, 0) / FRAMES;
    return real.map((v) => v / Math.sqrt(power));
  });
}
