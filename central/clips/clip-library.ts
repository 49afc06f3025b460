/** Answers what the API asks of clips; keeps the few clips last asked for decoded, because players ask in ranges. */
import type { SensorSeries } from '../api/schemas.ts';
import { CentralError } from '../error.ts';
import type { BlobFolder } from '../storage/blob-folder.ts';
import { readClip } from './clip-file.ts';
import { shownTypes, toSeries } from './sensors.ts';
import { joinSound, type Sound, toWav } from './sound.ts';

interface DecodedClip {
  readonly sound: Sound | null;
  readonly sensors: ClipSensors;
}

/** Readings over a clip, in seconds from `startNs` (UTC nanoseconds): the first frame of its sound, if it has any. */
export interface ClipSensors {
  readonly startNs: bigint;
  readonly series: SensorSeries[];
}

const maxDecoded = 4;

export class ClipLibrary {
  readonly #folder: BlobFolder;
  readonly #decoded = new Map<string, Promise<DecodedClip>>();

  constructor(folder: BlobFolder) {
    this.#folder = folder;
  }

  /** Where the MCAP file of a finished clip is. */
  pathOf(sha256: string): string {
    return this.#folder.pathOf(sha256);
  }

  /**
   * The clip's sound as a WAV file; null when it has no such channel. Throws CentralError `clip-unreadable`, also when
   * there is no sound in it.
   */
  async wav(sha256: string, startNs: bigint, channel: number | null): Promise<Buffer | null> {
    const { sound } = await this.#clip(sha256, startNs);
    if (sound === null) throw new CentralError('clip-unreadable', `clip ${sha256}: expected sound in it, found none`);
    if (channel !== null && channel >= sound.channels) return null;
    return toWav(sound, channel);
  }

  /** Every sensor's readings, on the time line of the WAV file; `startNs` for a clip without sound. Throws CentralError `clip-unreadable`. */
  async sensors(sha256: string, startNs: bigint): Promise<ClipSensors> {
    return (await this.#clip(sha256, startNs)).sensors;
  }

  #clip(sha256: string, startNs: bigint): Promise<DecodedClip> {
    const key = `${sha256} ${startNs}`;
    const known = this.#decoded.get(key);
    if (known !== undefined) return known;
    const decoding = this.#decode(sha256, startNs);
    decoding.catch(() => this.#decoded.delete(key));
    this.#decoded.set(key, decoding);
    const [oldest] = this.#decoded.keys();
    if (this.#decoded.size > maxDecoded && oldest !== undefined) this.#decoded.delete(oldest);
    return decoding;
  }

  async #decode(sha256: string, startNs: bigint): Promise<DecodedClip> {
    const { messages } = await readClip(this.pathOf(sha256), shownTypes);
    const sound = joinSound(messages);
    const origin = sound?.startNs ?? startNs;
    return { sound, sensors: { startNs: origin, series: toSeries(messages, origin) } };
  }
}
