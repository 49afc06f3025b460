/**
 * Owns turning a topic's sound messages into WAVE files: one file while the sound goes on, with silence where it is missing, so that a
 * moment in the file is the same moment of the recording.
 */

import { basename } from 'node:path';
import { isSoundType, viewSamples } from '../../sound/raw-audio.ts';
import type { SetMessage } from '../bag-set.ts';
import { RecordingError } from '../error.ts';
import { WavFile } from './wav-file.ts';

/** Sound that was missing, filled with silence. */
export interface SoundGap {
  /** Frames of the file before it. */
  readonly atFrame: number;
  readonly frames: number;
}

/** One file made. */
export interface SoundFile {
  readonly file: string;
  readonly topic: string;
  readonly sampleRateHz: number;
  /** The channels of the recording that are in it, from 0. */
  readonly channels: readonly number[];
  readonly frames: number;
  /** UTC nanoseconds of the first frame. */
  readonly startNs: bigint;
  /** The first 1000 gaps, and all of them together. */
  readonly gaps: readonly SoundGap[];
  readonly gapCount: number;
  readonly silentFrames: number;
  /** Messages left out because their sound was there already: the bags overlap. */
  readonly overlapping: number;
  /** Messages whose sound could not be decoded; silence stands for it. */
  readonly undecoded: number;
}

/** How sound is written. */
export interface SoundOptions {
  /** Channels to take, from 0; all when absent. */
  readonly channels?: readonly number[] | undefined;
  /** What stands for missing sound: silence, or the end of a file and a new one. */
  readonly gaps: 'silence' | 'split';
}

/** Whether a channel carries sound that can be written. */
export function isSound(type: string, messageEncoding: string): boolean {
  return messageEncoding === 'cdr' && isSoundType(type);
}

const nsPerSecond = 1_000_000_000n;
/** Longer gaps always begin a new file: nobody listens to an hour of nothing. */
const longestSilenceNs = 3600n * nsPerSecond;
/** Between messages that count on, the clock may be put right by this much without sound being missing. */
const countedToleranceNs = nsPerSecond;
const leastToleranceNs = 50_000_000n;
/** So far a message's own stamp is believed against its log time, from one message to the next: a busy recorder is not later. */
const believedNs = 400_000_000n;
/** So many stamps are remembered, to know a sound that comes twice. */
const rememberedStamps = 64;
const listedGaps = 1000;
const maxFiles = 10_000;

interface OpenFile {
  readonly wav: WavFile;
  readonly name: string;
  readonly startNs: bigint;
  readonly sourceChannels: number;
  readonly picked: readonly number[];
  readonly gaps: SoundGap[];
  gapCount: number;
  silentFrames: number;
  overlapping: number;
  undecoded: number;
}

/** The sound of one topic on its way into files. */
export class SoundExport {
  readonly files: SoundFile[] = [];
  readonly topic: string;
  readonly #pathOf: (part: number) => string;
  readonly #options: SoundOptions;
  #open: OpenFile | null = null;
  #nextNs = 0n;
  #stampNs = 0n;
  #nextStampNs = 0n;
  readonly #written: bigint[] = [];
  #nextSequence = 0;
  #undecoded = 0;
  firstProblem = '';

  /** @param pathOf the path of the `part`th file, from 0. */
  constructor(topic: string, pathOf: (part: number) => string, options: SoundOptions) {
    this.topic = topic;
    this.#pathOf = pathOf;
    this.#options = options;
  }

  /** Adds a message's sound; messages must come in order of time. @throws RecordingError `usage` for channels it has not. */
  async add({ message }: SetMessage, type: string): Promise<void> {
    const sound = await this.#decode(message.data, type);
    if (sound === null) return;
    const { pcm, channels, sampleRateHz } = sound;
    const stampNs = BigInt(sound.sec) * nsPerSecond + BigInt(sound.nanosec);
    const frames = pcm.length / channels;
    const durationNs = BigInt(Math.round((frames / sampleRateHz) * 1e9));
    const isCounted = message.sequence === this.#nextSequence;
    this.#nextSequence = (message.sequence + 1) >>> 0;
    let open = this.#open;
    let ownStampNs = stampNs;
    if (open !== null && (open.wav.sampleRateHz !== sampleRateHz || open.sourceChannels !== channels)) {
      await this.#close();
      open = null;
    }
    if (open !== null) {
      const gapNs = this.#gapNs(message.logTimeNs, stampNs);
      // One stamp for several messages is that of the first.
      if (stampNs === this.#stampNs) ownStampNs = this.#nextStampNs + gapNs;
      const half = durationNs / 2n;
      const tolerance = isCounted ? countedToleranceNs : half > leastToleranceNs ? half : leastToleranceNs;
      if (gapNs < -tolerance) {
        open.overlapping += 1;
        return;
      }
      if (gapNs > tolerance) open = await this.#gap(open, gapNs);
    }
    open ??= await this.#begin(message.logTimeNs, sampleRateHz, channels);
    await open.wav.append(pick(pcm, channels, open.picked));
    this.#nextNs = message.logTimeNs + durationNs;
    this.#stampNs = stampNs;
    this.#nextStampNs = ownStampNs + durationNs;
    this.#written.push(stampNs);
    if (this.#written.length > rememberedStamps) this.#written.shift();
  }

  /** Ends the last file. */
  async finish(): Promise<void> {
    await this.#close();
  }

  /** Lets go of the file without ending it. */
  async abandon(): Promise<void> {
    await this.#open?.wav.close();
    this.#open = null;
  }

  /**
   * Time between the end of the sound before and the beginning of this. By the stamps of the two, as a recorder other than ours logs a
   * message when it got there, early or late; by the log times where the stamps stand still, tell another story, or go back to a time whose
   * sound was never written: only that is sound heard twice.
   */
  #gapNs(logTimeNs: bigint, stampNs: bigint): bigint {
    const loggedNs = logTimeNs - this.#nextNs;
    if (stampNs === this.#stampNs) return loggedNs;
    const stampedNs = stampNs - this.#nextStampNs;
    const differenceNs = stampedNs - loggedNs;
    if (differenceNs < -believedNs || differenceNs > believedNs) return loggedNs;
    const isBack = stampedNs < -leastToleranceNs && !this.#written.includes(stampNs);
    return isBack ? loggedNs : stampedNs;
  }

  async #decode(data: Uint8Array, type: string): Promise<ReturnType<typeof viewSamples>> {
    try {
      const { plainSound } = await import('../../sound/plain-sound.ts');
      const samples = viewSamples((await plainSound({ topic: this.topic, type, data })).data);
      if (samples !== null) return samples;
      this.firstProblem ||= `expected pcm-s16 or FLAC in whole frames, found ${data.byteLength} other bytes`;
    } catch (error) {
      this.firstProblem ||= (error as Error).message;
    }
    if (this.#open === null) this.#undecoded += 1;
    else this.#open.undecoded += 1;
    return null;
  }

  /** Fills a gap, or ends the file at it. @returns the file to go on with, or null for a new one. */
  async #gap(open: OpenFile, gapNs: bigint): Promise<OpenFile | null> {
    if (this.#options.gaps === 'split' || gapNs > longestSilenceNs) {
      await this.#close();
      return null;
    }
    const frames = Math.round((Number(gapNs) / 1e9) * open.wav.sampleRateHz);
    if (open.gaps.length < listedGaps) open.gaps.push({ atFrame: open.wav.frames, frames });
    open.gapCount += 1;
    open.silentFrames += frames;
    await open.wav.appendSilence(frames);
    return open;
  }

  async #begin(startNs: bigint, sampleRateHz: number, channels: number): Promise<OpenFile> {
    const picked = this.#options.channels ?? Array.from({ length: channels }, (_, channel) => channel);
    const missing = picked.find((channel) => channel >= channels);
    if (missing !== undefined) {
      throw new RecordingError(
        'usage',
        `--channels: expected numbers from 0 to ${channels - 1} for ${this.topic}, found ${missing}`,
      );
    }
    if (this.files.length >= maxFiles) {
      throw new RecordingError(
        'too-large',
        `${this.topic}: expected at most ${maxFiles} files, found more gaps than that`,
      );
    }
    const path = this.#pathOf(this.files.length);
    const wav = await WavFile.create(path, sampleRateHz, picked.length);
    const undecoded = this.#undecoded;
    this.#undecoded = 0;
    const counts = { gapCount: 0, silentFrames: 0, overlapping: 0, undecoded };
    this.#open = { wav, name: basename(path), startNs, sourceChannels: channels, picked, gaps: [], ...counts };
    return this.#open;
  }

  async #close(): Promise<void> {
    const open = this.#open;
    this.#open = null;
    if (open === null) return;
    try {
      await open.wav.finish();
    } finally {
      await open.wav.close();
    }
    const { wav, name, startNs, picked, gaps, gapCount, silentFrames, overlapping, undecoded } = open;
    const { sampleRateHz, frames } = wav;
    const counts = { frames, startNs, gaps, gapCount, silentFrames, overlapping, undecoded };
    this.files.push({ file: name, topic: this.topic, sampleRateHz, channels: picked, ...counts });
  }
}

/** The chosen channels of interleaved frames. */
function pick(pcm: Int16Array, channels: number, picked: readonly number[]): Int16Array {
  if (picked.length === channels && picked.every((channel, index) => channel === index)) return pcm;
  const frames = pcm.length / channels;
  const chosen = new Int16Array(frames * picked.length);
  for (let frame = 0; frame < frames; frame += 1) {
    for (const [index, channel] of picked.entries()) {
      chosen[frame * picked.length + index] = pcm[frame * channels + channel] as number;
    }
  }
  return chosen;
}
