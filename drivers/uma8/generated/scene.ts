/**
 * Owns the whole generated sound at the array: a drive, impacts and harmless sounds in space, brought to the eight microphones
 * with fractional delays, gains and noise of their own, block by block and without end, and the truth about the impacts.
 */
import { MICROPHONES, type Path, type Position, pathsFrom } from '../geometry.ts';
import { addDelayed, Bus, HISTORY_FRAMES } from '../placement.ts';
import { bodyImpact } from './body-impact.ts';
import { confuser } from './confuser.ts';
import { Drive } from './drive.ts';
import { glassBreak } from './glass-break.ts';
import { extentOf } from './modes.ts';
import { Random } from './random.ts';

/** Self-noise of a capsule (SNR 65 dB at 94 dB SPL, full scale 120 dB SPL): about −91 dBFS. */
const SELF_NOISE_RMS = 2.8e-5;

export interface SceneOptions {
  /** Any integer; the same seed and options give the same samples. */
  readonly seed: number;
  /** Default 48000. */
  readonly sampleRateHz?: number;
  /** Frames of one block; default a tenth of a second. */
  readonly blockFrames?: number;
  /** Default `drive`; `none` leaves the capsules' noise alone, for isolated impacts. */
  readonly background?: 'drive' | 'none';
  /** Mean number of impacts a minute; default 6. They never overlap. */
  readonly eventsPerMinute?: number;
  /** Quiet between an impact's end and the next one's onset, at least, in seconds; default 2. */
  readonly minGapS?: number;
  /** Loudest 100 ms of an impact over the background (with `none`: over −66 dBFS), drawn from this range; default 10 to 30 dB. */
  readonly snrDb?: readonly [low: number, high: number];
  /** Share of glass among the impacts, 0 to 1; default 0.5. */
  readonly glassShare?: number;
  /** Mean number of harmless sounds a minute; default 4. */
  readonly confusersPerMinute?: number;
}

/** One impact as it was made; times in seconds from the first frame, at the centre microphone. */
export interface TruthEntry {
  readonly label: 'body_impact' | 'glass_break';
  readonly onsetS: number;
  readonly endS: number;
  /** What kind it is within its label: `stone`, `knock`, `bottle` … */
  readonly kind: string;
  readonly snrDb: number;
  /** Where it sounded, seen from the array: 0 = ahead, +90 = left, −180 to 180; above the array's plane; and how far away. */
  readonly azimuthDeg: number;
  readonly elevationDeg: number;
  readonly distanceM: number;
}

/** One harmless sound. */
export interface ConfuserEntry {
  readonly kind: string;
  readonly onsetS: number;
  readonly endS: number;
}

/** A block of generated sound. */
export interface SceneBlock {
  /** Int16 [frames × 8] interleaved; a new array for each block, owned by the receiver. */
  readonly pcm: Int16Array<ArrayBuffer>;
  readonly firstFrame: number;
  /** Impacts and harmless sounds that were scheduled in this block; they begin in it. */
  readonly truth: readonly TruthEntry[];
  readonly confusers: readonly ConfuserEntry[];
}

interface Voice {
  readonly samples: Float32Array;
  readonly gain: number;
  readonly paths: readonly Path[];
  readonly startFrame: number;
}

/** The endless scene. `next()` makes one block; memory is bounded by the sounds that are still ringing. */
export class Scene {
  readonly sampleRateHz: number;
  readonly blockFrames: number;
  readonly #options: Required<SceneOptions>;
  readonly #impacts: Random;
  readonly #harmless: Random;
  readonly #noise: Random;
  readonly #drive: Drive | null;
  readonly #engine: Bus;
  readonly #leftRoad: Bus;
  readonly #rightRoad: Bus;
  readonly #rain: Bus;
  readonly #mics: Float32Array[];
  readonly #sensitivity: number[];
  readonly #wind = new Float64Array(2 * MICROPHONES.length);
  #voices: Voice[] = [];
  #firstFrame = 0;
  #nextImpactFrame: number;
  #nextConfuserFrame: number;
  #backgroundPower = 0;
  #windRms = 0;

  constructor(options: SceneOptions) {
    const sampleRateHz = options.sampleRateHz ?? 48_000;
    this.#options = {
      seed: options.seed,
      sampleRateHz,
      blockFrames: options.blockFrames ?? Math.round(sampleRateHz / 10),
      background: options.background ?? 'drive',
      eventsPerMinute: options.eventsPerMinute ?? 6,
      minGapS: options.minGapS ?? 2,
      snrDb: options.snrDb ?? [10, 30],
      glassShare: options.glassShare ?? 0.5,
      confusersPerMinute: options.confusersPerMinute ?? 4,
    };
    this.sampleRateHz = sampleRateHz;
    this.blockFrames = this.#options.blockFrames;
    this.#impacts = new Random(options.seed, 1);
    this.#harmless = new Random(options.seed, 2);
    this.#noise = new Random(options.seed, 3);
    const place = new Random(options.seed, 4);
    this.#drive =
      this.#options.background === 'drive'
        ? new Drive(new Random(options.seed, 5), sampleRateHz, this.blockFrames)
        : null;
    const bus = (x: number, y: number, z: number) => new Bus(this.blockFrames, pathsFrom({ x, y, z }, sampleRateHz));
    this.#engine = bus(1.4, 0.1, -0.5);
    this.#leftRoad = bus(0.6, 0.9, -1);
    this.#rightRoad = bus(0.6, -0.9, -1);
    this.#rain = bus(place.between(-0.5, 0.5), place.between(-0.4, 0.4), 0.35);
    this.#mics = MICROPHONES.map(() => new Float32Array(this.blockFrames));
    // Sensitivity of MEMS capsules is matched to within ±1 dB.
    this.#sensitivity = MICROPHONES.map(() => 10 ** (place.between(-1, 1) / 20));
    const firstS = Math.min(4, this.#options.minGapS + 0.5) * (0.5 + this.#impacts.unit());
    this.#nextImpactFrame =
      this.#options.eventsPerMinute > 0 ? Math.round(firstS * sampleRateHz) : Number.POSITIVE_INFINITY;
    this.#nextConfuserFrame = this.#after(0, this.#options.confusersPerMinute, this.#harmless);
  }

  /** The next block of sound, with what began in it. */
  next(): SceneBlock {
    for (const mic of this.#mics) mic.fill(0);
    this.#addDrive();
    this.#trackBackground();
    const truth: TruthEntry[] = [];
    const confusers: ConfuserEntry[] = [];
    const end = this.#firstFrame + this.blockFrames;
    if (this.#nextImpactFrame < end) truth.push(this.#startImpact());
    if (this.#nextConfuserFrame < end) confusers.push(this.#startConfuser());
    this.#addVoices();
    const block = { pcm: this.#interleaved(), firstFrame: this.#firstFrame, truth, confusers };
    this.#firstFrame = end;
    return block;
  }

  #addDrive(): void {
    if (this.#drive === null) {
      this.#addOwnNoise(0);
      return;
    }
    const block = this.#drive.next();
    this.#engine.addTo(this.#mics, block.engine);
    this.#leftRoad.addTo(this.#mics, block.leftRoad);
    this.#rightRoad.addTo(this.#mics, block.rightRoad);
    this.#rain.addTo(this.#mics, block.rain);
    this.#addOwnNoise(block.windRms);
  }

  /** Noise that no two capsules share: turbulence at the grille, mostly below 300 Hz, and self-noise. */
  #addOwnNoise(windRms: number): void {
    const keep = 0.975;
    // A two-fold one-pole low-pass leaves this much of white noise's power, which here is 1/3.
    const power = ((1 - keep) ** 4 * (1 + keep * keep)) / (1 - keep * keep) ** 3;
    const scale = 1 / Math.sqrt(power / 3);
    const from = this.#windRms;
    const step = (windRms - from) / this.blockFrames;
    this.#windRms = windRms;
    for (const [m, mic] of this.#mics.entries()) {
      let a = this.#wind[2 * m] as number;
      let b = this.#wind[2 * m + 1] as number;
      for (let i = 0; i < mic.length; i++) {
        const white = this.#noise.uint32() * 4.656612873e-10 - 1;
        a = keep * a + (1 - keep) * white;
        b = keep * b + (1 - keep) * a;
        const wind = from + step * i;
        mic[i] = (mic[i] as number) + wind * (scale * b + 0.03 * white) + SELF_NOISE_RMS * 1.732 * white;
      }
      this.#wind[2 * m] = a;
      this.#wind[2 * m + 1] = b;
    }
  }

  /** A running mean over about a second of the background's power above the rumble, at the centre microphone. */
  #trackBackground(): void {
    const mic = this.#mics[0] as Float32Array;
    let sum = 0;
    for (const v of mic) sum += v * v;
    const power = sum / mic.length;
    this.#backgroundPower = this.#firstFrame === 0 ? power : 0.9 * this.#backgroundPower + 0.1 * power;
  }

  #levelFor(snrDb: number): number {
    const background = this.#options.background === 'none' ? 5e-4 : Math.max(5e-4, Math.sqrt(this.#backgroundPower));
    return background * 10 ** (snrDb / 20);
  }

  #startImpact(): TruthEntry {
    const random = this.#impacts.fork();
    const glass = random.chance(this.#options.glassShare);
    const { kind, samples } = glass ? glassBreak(random, this.sampleRateHz) : bodyImpact(random, this.sampleRateHz);
    const extent = extentOf(samples, this.sampleRateHz);
    const snrDb = random.between(...this.#options.snrDb);
    // Never louder than a peak a little over full scale: the converter clips, as the real one does.
    const gain = Math.min(1.2, this.#levelFor(snrDb) / extent.loudestRms);
    const place = this.#addVoice(samples, gain, random, this.#nextImpactFrame);
    const onsetFrame = this.#nextImpactFrame + extent.onsetFrame;
    const endFrame = this.#nextImpactFrame + extent.endFrame;
    this.#nextImpactFrame = this.#after(endFrame, this.#options.eventsPerMinute, this.#impacts);
    return {
      label: glass ? 'glass_break' : 'body_impact',
      onsetS: onsetFrame / this.sampleRateHz,
      endS: endFrame / this.sampleRateHz,
      kind,
      snrDb,
      azimuthDeg: (Math.atan2(place.y, place.x) * 180) / Math.PI,
      elevationDeg: (Math.atan2(place.z, Math.hypot(place.x, place.y)) * 180) / Math.PI,
      distanceM: Math.hypot(place.x, place.y, place.z),
    };
  }

  #startConfuser(): ConfuserEntry {
    const random = this.#harmless.fork();
    const { kind, samples, levelDb } = confuser(random, this.sampleRateHz);
    const extent = extentOf(samples, this.sampleRateHz);
    this.#addVoice(
      samples,
      Math.min(0.8, this.#levelFor(levelDb) / extent.loudestRms),
      random,
      this.#nextConfuserFrame,
    );
    const onsetFrame = this.#nextConfuserFrame + extent.onsetFrame;
    const endFrame = this.#nextConfuserFrame + extent.endFrame;
    this.#nextConfuserFrame = this.#after(endFrame, this.#options.confusersPerMinute, this.#harmless);
    return { kind, onsetS: onsetFrame / this.sampleRateHz, endS: endFrame / this.sampleRateHz };
  }

  /** The frame of the next sound after `frame`: the least gap plus an exponential wait that gives the mean rate. */
  #after(frame: number, perMinute: number, random: Random): number {
    if (perMinute <= 0) return Number.POSITIVE_INFINITY;
    const gapS = this.#options.minGapS;
    return (
      frame + Math.round((gapS + random.exponential(Math.max(0.1, 60 / perMinute - gapS - 0.8))) * this.sampleRateHz)
    );
  }

  /** Puts a sound at a random place round the vehicle, 0.4 to 3 m away. */
  #addVoice(samples: Float32Array, gain: number, random: Random, startFrame: number): Position {
    const azimuth = random.between(-Math.PI, Math.PI);
    const distance = random.logBetween(0.4, 3);
    const source = { x: distance * Math.cos(azimuth), y: distance * Math.sin(azimuth), z: random.between(-0.8, 0.5) };
    this.#voices.push({ samples, gain, paths: pathsFrom(source, this.sampleRateHz), startFrame });
    return source;
  }

  #addVoices(): void {
    for (const voice of this.#voices) {
      const begin = Math.max(0, voice.startFrame - this.#firstFrame);
      const offset = this.#firstFrame + begin - voice.startFrame;
      for (const [m, mic] of this.#mics.entries()) {
        addDelayed(mic, begin, this.blockFrames - begin, voice.samples, offset, voice.paths[m] as Path, voice.gain);
      }
    }
    const end = this.#firstFrame + this.blockFrames;
    this.#voices = this.#voices.filter((voice) => voice.startFrame + voice.samples.length + HISTORY_FRAMES > end);
  }

  #interleaved(): Int16Array<ArrayBuffer> {
    const channels = this.#mics.length;
    const pcm = new Int16Array(this.blockFrames * channels);
    for (const [m, mic] of this.#mics.entries()) {
      const scale = 32767 * (this.#sensitivity[m] as number);
      for (let i = 0, at = m; i < mic.length; i++, at += channels) {
        const v = Math.round((mic[i] as number) * scale);
        pcm[at] = Math.max(-32768, Math.min(32767, v));
      }
    }
    return pcm;
  }
}
