/**
 * Owns the harmless sounds of traffic that a detector must not take for an impact: horns, speech, claps, wheels in potholes,
 * clicking switches. None of them belongs to the truth.
 */
import { addForce, addMode, normalised, withReflections } from './modes.ts';
import type { Random } from './random.ts';

type Confuser = 'horn' | 'speech' | 'clap' | 'pothole' | 'ticking';

const CONFUSERS: Readonly<Record<Confuser, number>> = { horn: 2, speech: 3, clap: 1, pothole: 3, ticking: 1 };

/** Two discs of a car horn, a third or so apart, once or a few times. */
function horn(random: Random, sampleRateHz: number): Float32Array {
  const blasts = random.chance(0.6) ? 1 : random.integer(2, 3);
  const blastS = random.between(0.15, 1.4) / blasts;
  const gapS = random.between(0.08, 0.25);
  const out = new Float32Array(Math.ceil((blasts * (blastS + gapS) + 0.1) * sampleRateHz));
  const low = random.between(330, 460);
  const tones = [low, low * random.between(1.17, 1.3)];
  const partials = 14;
  const tilt = random.between(0.4, 1.1);
  for (let blast = 0; blast < blasts; blast++) {
    const begin = Math.round(blast * (blastS + gapS) * sampleRateHz);
    const frames = Math.round(blastS * sampleRateHz);
    for (const tone of tones) {
      for (let partial = 1; partial <= partials; partial++) {
        const turn = (2 * Math.PI * tone * partial) / sampleRateHz;
        const gain = partial ** -tilt * (partial * tone > 1500 && partial * tone < 3500 ? 1.8 : 1);
        const phase = random.between(0, 6.28);
        for (let i = 0; i < frames; i++) {
          const shape = Math.min(1, i / 700, (frames - i) / 1400);
          out[begin + i] = (out[begin + i] as number) + gain * shape * Math.sin(turn * i + phase);
        }
      }
    }
  }
  return out;
}

/** Talking without words: a glottal pulse train through three wandering formants, with hissed consonants. */
function speech(random: Random, sampleRateHz: number): Float32Array {
  const seconds = random.between(0.8, 3);
  const out = new Float32Array(Math.ceil(seconds * sampleRateHz));
  const voiceHz = random.logBetween(85, 240);
  let begin = 0;
  while (begin < out.length - sampleRateHz * 0.1) {
    const frames = Math.min(out.length - begin, Math.round(random.between(0.08, 0.28) * sampleRateHz));
    const force = new Float32Array(frames);
    const voiced = random.chance(0.75);
    const pitch = voiceHz * random.between(0.85, 1.25);
    let phase = 0;
    for (let i = 0; i < frames; i++) {
      const shape = Math.sin((Math.PI * i) / frames) ** 0.6;
      phase += (pitch * (1 - (0.15 * i) / frames)) / sampleRateHz;
      if (voiced && phase >= 1) {
        phase -= 1;
        force[i] = shape * random.between(0.85, 1.15);
      } else if (!voiced) force[i] = shape * 0.12 * random.normal();
    }
    const formants: readonly (readonly [number, number])[] = voiced
      ? [
          [random.between(280, 800), 1],
          [random.between(900, 2200), 0.45],
          [random.between(2300, 3100), 0.2],
        ]
      : [[random.between(3500, 6500), 0.7]];
    for (const [frequencyHz, amplitude] of formants) {
      addMode(out.subarray(begin), force, { frequencyHz, t60S: 0.02, amplitude }, sampleRateHz, 0, frames);
    }
    begin += frames + Math.round(random.between(0, 0.12) * sampleRateHz);
  }
  return out;
}

/** Clapping hands: bursts of noise round 1 to 2 kHz. */
function clap(random: Random, sampleRateHz: number): Float32Array {
  const claps = random.integer(2, 9);
  const intervalS = random.between(0.12, 0.4);
  const out = new Float32Array(Math.ceil((claps * intervalS + 0.2) * sampleRateHz));
  const palmHz = random.between(900, 2200);
  for (let i = 0; i < claps; i++) {
    const begin = Math.round(i * intervalS * random.between(0.93, 1.07) * sampleRateHz);
    const frames = Math.round(random.between(0.006, 0.016) * sampleRateHz);
    const force = new Float32Array(frames);
    const loud = random.between(0.5, 1);
    for (let k = 0; k < frames; k++) force[k] = loud * random.normal() * Math.exp((-4 * k) / frames);
    for (const ratio of [1, 1.7, 2.6]) {
      const mode = { frequencyHz: palmHz * ratio, t60S: 0.012, amplitude: 1 / ratio };
      addMode(out.subarray(begin), force, mode, sampleRateHz, 0, frames);
    }
  }
  return out;
}

/** Front and rear axle through one hole: soft thuds below about 150 Hz, a wheelbase apart. */
function pothole(random: Random, sampleRateHz: number): Float32Array {
  const betweenAxlesS = 2.6 / random.between(4, 30);
  const out = new Float32Array(Math.ceil((betweenAxlesS + 0.6) * sampleRateHz));
  const force = new Float32Array(out.length);
  for (const [i, atS] of [0.01, 0.01 + betweenAxlesS].entries()) {
    addForce(
      force,
      { atS, strength: i === 0 ? 1 : random.between(0.5, 1), contactS: random.between(0.015, 0.05) },
      sampleRateHz,
    );
  }
  for (let i = 0; i < 8; i++) {
    const frequencyHz = random.logBetween(18, 170);
    const mode = { frequencyHz, t60S: random.between(0.08, 0.35), amplitude: random.between(0.3, 1) };
    addMode(out, force, mode, sampleRateHz, 0, Math.ceil((0.07 + betweenAxlesS) * sampleRateHz));
  }
  return out;
}

/** The relay of a turn indicator, or a key on the dashboard: regular, tiny and dry. */
function ticking(random: Random, sampleRateHz: number): Float32Array {
  const ticks = random.integer(3, 8);
  const out = new Float32Array(Math.ceil((ticks * 0.36 + 0.1) * sampleRateHz));
  const force = new Float32Array(32);
  addForce(force, { atS: 0, strength: 1, contactS: random.logBetween(0.0001, 0.0005) }, sampleRateHz);
  const modes = Array.from({ length: 6 }, () => ({
    frequencyHz: random.logBetween(900, 7000),
    t60S: random.between(0.004, 0.015),
    amplitude: random.normal(),
  }));
  for (let tick = 0; tick < ticks; tick++) {
    const begin = Math.round((0.005 + tick * 0.36) * sampleRateHz);
    for (const mode of modes) addMode(out.subarray(begin), force, mode, sampleRateHz, 0, 32);
  }
  return out;
}

/** How loud each may get over the background, in dB; chosen so that they stay what they are in a real cabin. */
const LOUDNESS_DB: Readonly<Record<Confuser, readonly [low: number, high: number]>> = {
  horn: [3, 22],
  speech: [0, 15],
  clap: [0, 15],
  pothole: [3, 18],
  ticking: [-6, 6],
};

/** One harmless sound as mono samples of peak 1, with the level over the background, in dB, at which it should be heard. */
export function confuser(
  random: Random,
  sampleRateHz: number,
): { kind: string; samples: Float32Array; levelDb: number } {
  const kind = random.weighted(CONFUSERS);
  const makers = { horn, speech, clap, pothole, ticking };
  const dry = normalised(makers[kind](random, sampleRateHz));
  const wet = withReflections(dry, random, sampleRateHz, random.logBetween(0.05, 0.4), random.between(0.05, 0.4));
  return { kind, samples: normalised(wet), levelDb: random.between(...LOUDNESS_DB[kind]) };
}
