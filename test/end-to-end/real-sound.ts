/** Real impacts mixed into real engine sound for the end-to-end test, and the comparison of what came back with what was played. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const SAMPLE_RATE_HZ = 48_000;
export const CHANNELS = 8;
const CLIPS = join(import.meta.dirname, '../../../shared/data/esc50');

/** Where the real clips are, or null: they are not part of the project. */
export const realClips = existsSync(join(CLIPS, 'clips.csv')) ? CLIPS : null;

export interface PlayedImpact {
  readonly file: string;
  readonly label: 'body_impact' | 'glass_break';
  /** Seconds from the start of the played sound. */
  readonly startS: number;
  readonly endS: number;
}

export interface Mix {
  /** Int16 interleaved, [frames × 8]. */
  readonly pcm: Int16Array;
  readonly impacts: readonly PlayedImpact[];
}

const LABELS = { door_knock: 'body_impact', glass_breaking: 'glass_break' } as const;

/** The first `each` clips of both impact classes of one fold. */
function impactFiles(fold: string, each: number): { file: string; label: PlayedImpact['label'] }[] {
  const rows = readFileSync(join(CLIPS, 'clips.csv'), 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(','));
  return Object.entries(LABELS).flatMap(([name, label]) =>
    rows
      .filter(([, inFold, className]) => inFold === fold && className === name)
      .slice(0, each)
      .map(([file = '']) => ({ file, label })),
  );
}

function firstOf(className: string, fold: string): string {
  const lines = readFileSync(join(CLIPS, 'clips.csv'), 'utf8').split('\n');
  const row = lines.map((line) => line.split(',')).find(([, inFold, name]) => inFold === fold && name === className);
  if (!row?.[0]) throw new Error(`no ${className} in fold ${fold} of the clips`);
  return row[0];
}

/** A clip as mono floats at 48 kHz, without the silence at its ends. */
function decode(file: string): Float32Array {
  const trim = ['silence', '1', '0.01', '0.2%', 'reverse', 'silence', '1', '0.01', '0.2%', 'reverse'];
  const args = [join(CLIPS, file), '-t', 'f32', '-r', String(SAMPLE_RATE_HZ), '-c', '1', '-', ...trim];
  const { status, stdout, stderr } = spawnSync('sox', args, { maxBuffer: 64e6 });
  if (status !== 0) throw new Error(`sox could not read ${file}: ${stderr}`);
  return new Float32Array(stdout.buffer.slice(stdout.byteOffset, stdout.byteOffset + stdout.byteLength));
}

/** Level of what is loud: the root mean square of the samples within 20 dB of the loudest 20 ms. */
function activeRms(samples: Float32Array): number {
  const frame = SAMPLE_RATE_HZ / 50;
  const powers: number[] = [];
  for (let i = 0; i + frame <= samples.length; i += frame) {
    powers.push(samples.subarray(i, i + frame).reduce((sum, x) => sum + x * x, 0) / frame);
  }
  const loudest = Math.max(...powers);
  const active = powers.filter((power) => power > loudest / 100);
  return Math.sqrt(active.reduce((a, b) => a + b, 0) / active.length);
}

/**
 * Impacts of fold 4 in engine sound, `snrDb` louder than it while they last, `gapS` apart. Each channel has its own gain
 * and delay, and its own stretch of engine, so that a channel taken for another would be noticed.
 */
export function mixImpacts({ each, snrDb, gapS }: { each: number; snrDb: number; gapS: number }): Mix {
  const engine = decode(firstOf('engine', '4'));
  const sounds = impactFiles('4', each).map(({ file, label }) => ({ file, label, samples: decode(file) }));
  const seconds = sounds.reduce((sum, { samples }) => sum + samples.length / SAMPLE_RATE_HZ + gapS, gapS);
  const frames = Math.ceil(seconds * SAMPLE_RATE_HZ);
  const mixed = new Float32Array(frames * CHANNELS);
  const engineGain = 0.02 / activeRms(engine);
  for (let frame = 0; frame < frames; frame++) {
    for (let channel = 0; channel < CHANNELS; channel++) {
      mixed[frame * CHANNELS + channel] = (engine[(frame + 9_731 * channel) % engine.length] ?? 0) * engineGain;
    }
  }
  const impacts: PlayedImpact[] = [];
  let startS = gapS;
  for (const { file, label, samples } of sounds) {
    const gain = (0.02 * 10 ** (snrDb / 20)) / activeRms(samples);
    const start = Math.round(startS * SAMPLE_RATE_HZ);
    for (let channel = 0; channel < CHANNELS; channel++) {
      const channelGain = gain * (1 - 0.04 * channel);
      for (let i = 0; i < samples.length; i++) {
        const at = (start + i + channel) * CHANNELS + channel;
        if (at < mixed.length) mixed[at] = (mixed[at] ?? 0) + (samples[i] ?? 0) * channelGain;
      }
    }
    const endS = startS + samples.length / SAMPLE_RATE_HZ;
    impacts.push({ file, label, startS, endS });
    startS = endS + gapS;
  }
  return { pcm: Int16Array.from(mixed, (x) => Math.max(-32_768, Math.min(32_767, Math.round(x * 32_767)))), impacts };
}

/** One channel of interleaved sound as floats. */
export function channelOf(pcm: Int16Array, channel: number): Float32Array {
  return Float32Array.from(
    { length: Math.floor(pcm.length / CHANNELS) },
    (_, frame) => pcm[frame * CHANNELS + channel] ?? 0,
  );
}

/** The samples of a 16-bit WAV; the header's data chunk is looked for. */
export function wavSamples(bytes: Buffer): Int16Array {
  const at = bytes.indexOf('data', 12, 'latin1') + 8;
  return new Int16Array(
    bytes.buffer.slice(bytes.byteOffset + at, bytes.byteOffset + bytes.length - ((bytes.length - at) % 2)),
  );
}

/** Normalised cross-correlation of `found` with `played` shifted by `lag` samples, −1 to 1, over where both are. */
export function correlationAt(found: Float32Array, played: Float32Array, lag: number): number {
  let [product, power, otherPower] = [0, 0, 0];
  for (let i = Math.max(0, -lag); i < found.length && i + lag < played.length; i++) {
    const [a, b] = [found[i] ?? 0, played[i + lag] ?? 0];
    product += a * b;
    power += a * a;
    otherPower += b * b;
  }
  return product / Math.sqrt(power * otherPower || 1);
}

/** Where in `played` the middle of `found` is: the lag at which a template of 10 ms correlates best. */
export function findLag(found: Float32Array, played: Float32Array, aroundS: number, withinS: number): number {
  const length = SAMPLE_RATE_HZ / 100;
  const middle = Math.floor(found.length / 2);
  const template = found.subarray(middle, middle + length);
  let best = { lag: 0, score: Number.NEGATIVE_INFINITY };
  const from = Math.max(0, Math.floor((aroundS - withinS) * SAMPLE_RATE_HZ));
  const to = Math.min(played.length - length, Math.ceil((aroundS + withinS) * SAMPLE_RATE_HZ));
  for (let start = from; start < to; start++) {
    const score = correlationAt(template, played.subarray(start, start + length), 0);
    if (score > best.score) best = { lag: start - middle, score };
  }
  return best.lag;
}
