/**
 * Puts sounds together for tests: a clip into a background at a signal-to-noise ratio, backgrounds into hours, blows into
 * streets. All of it is deterministic.
 *
 * The signal-to-noise ratio in dB is 10·log₁₀ of the mean power of the clip's active part over the mean power of the
 * background. Active are the blocks of 50 ms whose power is within 20 dB of the loudest one's: so the pauses around a
 * knock count nothing, and a steady sound is active throughout.
 */
import type { SeededRandom } from './seeded-random.ts';

const BLOCK_S = 0.05;
/** Powers, not levels: 20 dB. */
const ACTIVE_SHARE = 0.01;
const CROSSFADE_S = 0.5;
/** Levels of the stretches of an assembled background, dB against the clips as they are. */
const GAIN_DB = [-20, 0] as const;

export function meanPower(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) {
    sum += sample * sample;
  }
  return samples.length === 0 ? 0 : sum / samples.length;
}

/** Mean power of the active part, as above; 0 for silence. */
export function activePower(samples: Float32Array, sampleRateHz: number): number {
  const block = Math.max(1, Math.round(BLOCK_S * sampleRateHz));
  const powers: number[] = [];
  for (let at = 0; at < samples.length; at += block) {
    powers.push(meanPower(samples.subarray(at, at + block)));
  }
  const loudest = powers.reduce((most, power) => Math.max(most, power), 0);
  const active = powers.filter((power) => power > 0 && power >= ACTIVE_SHARE * loudest);
  return active.length === 0 ? 0 : active.reduce((sum, power) => sum + power, 0) / active.length;
}

/** The sound without digital silence at its ends, a view; clips shorter than their file are padded with it. */
export function withoutSilentEnds(samples: Float32Array): Float32Array {
  let from = 0;
  let to = samples.length;
  while (from < to && samples[from] === 0) from++;
  while (to > from && samples[to - 1] === 0) to--;
  return samples.subarray(from, to);
}

/**
 * The clip with the background under it, the background at the level that gives `snrDb`, repeated from sample `offset` on for
 * as long as the clip lasts. All of it is made quieter where it would exceed full scale. A silent clip or background leaves
 * the clip as it is. A new array.
 */
export function mixAtSnr(
  clip: Float32Array,
  background: Float32Array,
  { snrDb, sampleRateHz, offset }: { readonly snrDb: number; readonly sampleRateHz: number; readonly offset: number },
): Float32Array {
  const under = withoutSilentEnds(background);
  const signal = activePower(clip, sampleRateHz);
  const noise = meanPower(under);
  const gain = noise === 0 || signal === 0 ? 0 : Math.sqrt(signal / noise / 10 ** (snrDb / 10));
  const mixed = clip.map((sample, i) => sample + gain * (under[(i + offset) % Math.max(1, under.length)] ?? 0));
  const peak = mixed.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  return peak > 1 ? mixed.map((sample) => sample / peak) : mixed;
}

/**
 * `seconds` of the sounds one after another in ever new orders, each at a level of its own (−20 to 0 dB), crossfaded with equal
 * power over half a second; in pieces of a few seconds, of which the receiver owns each. Sounds shorter than a second without
 * their silent ends are left out; nothing at all gives nothing.
 */
export async function* assembled(
  sounds: readonly (() => Promise<Float32Array>)[],
  seconds: number,
  { sampleRateHz, random }: { readonly sampleRateHz: number; readonly random: SeededRandom },
): AsyncGenerator<Float32Array> {
  let left = Math.round(seconds * sampleRateHz);
  const fade = Math.round(CROSSFADE_S * sampleRateHz);
  let tail: Float32Array = new Float32Array(fade);
  while (left > 0) {
    let usable = 0;
    for (const sound of random.shuffled(sounds)) {
      const gain = 10 ** (random.between(...GAIN_DB) / 20);
      const next = withoutSilentEnds(await sound()).map((sample) => sample * gain);
      if (next.length < 2 * fade || left <= 0) {
        continue;
      }
      usable++;
      for (let i = 0; i < fade; i++) {
        const turn = ((i + 0.5) / fade) * (Math.PI / 2);
        next[i] = Math.sin(turn) * (next[i] as number) + Math.cos(turn) * (tail[i] as number);
      }
      tail = next.slice(next.length - fade);
      const piece = next.slice(0, Math.min(left, next.length - fade));
      left -= piece.length;
      yield piece;
    }
    if (usable === 0) {
      return;
    }
  }
}

/** A blow cut out of a clip: it begins at sample 0. */
export interface Blow {
  readonly samples: Float32Array;
  /** Mean power of its active part. */
  readonly power: number;
}

/** How far before its loudest millisecond a blow's beginning is looked for, and from which share of that power it begins. */
const RISE_S = 0.03;
const BEGIN_SHARE = 0.01;
const FADE_S = 0.01;

/**
 * The loudest blow of a clip, at most `lengthS` long: from where the power of a millisecond first comes within 20 dB of the
 * loudest one's in the 30 ms before it, to where, quiet again, another blow begins. Null for silence.
 */
export function loudestBlow(clip: Float32Array, sampleRateHz: number, lengthS: number): Blow | null {
  const block = Math.round(sampleRateHz / 1000);
  const powers = Array.from({ length: Math.floor(clip.length / block) }, (_, i) =>
    meanPower(clip.subarray(i * block, (i + 1) * block)),
  );
  const peak = powers.reduce((best, power, i) => (power > (powers[best] ?? 0) ? i : best), 0);
  const loudest = powers[peak] ?? 0;
  if (loudest === 0) {
    return null;
  }
  let begin = Math.max(0, peak - Math.round(RISE_S * 1000));
  while ((powers[begin] ?? 0) < BEGIN_SHARE * loudest) begin++;
  let end = peak + 1;
  for (let quiet = 0; end < Math.min(powers.length, begin + lengthS * 1000); end++) {
    const power = powers[end] as number;
    if (quiet >= 40 && power > 0.1 * loudest) {
      break;
    }
    quiet = power < 0.03 * loudest ? quiet + 1 : quiet;
  }
  const samples = clip.slice(begin * block, end * block);
  const fade = Math.min(samples.length, Math.round(FADE_S * sampleRateHz));
  for (let i = 0; i < fade; i++) {
    const at = samples.length - 1 - i;
    samples[at] = (samples[at] as number) * (i / fade);
  }
  return { samples, power: activePower(samples, sampleRateHz) };
}
