/**
 * What the agent and its detector process say to each other over one socket: framed setup and sound down, one JSON line a
 * report up.
 */

import type { ArrayMount } from '../direction/array-mount.ts';
import type { Direction } from '../direction/direction.ts';
import type { CheckedModel } from './checked-model.ts';
import type { ReadyReport, ScoredWindow, SummaryReport } from './window-reports.ts';

/** Down: the detector's setup, as JSON. */
export const FRAME_SETUP = 1;
/** Down: interleaved Int16 little endian sound. */
export const FRAME_SOUND = 2;
/** Down: no more sound will come; everything still undecided is to be decided. */
export const FRAME_FLUSH = 3;

/** Frame header: kind (u32), payload bytes (u32), time of the first sample (i64, ns), all little endian. */
export const HEADER_BYTES = 16;

/** No frame is larger: 2 s of 8 × 48 kHz × 16 bit, rounded up. */
export const MAX_PAYLOAD_BYTES = 2_000_000;

/** What the detector process needs to begin. */
export interface DetectorSetup {
  /** Path of the ONNX file. */
  readonly modelPath: string;
  /** What the agent found in it when it started; null when it did not look. */
  readonly checkedModel: CheckedModel | null;
  /** Larger model files are refused; as models/package.ts when absent. */
  readonly maxModelBytes?: number;
  /** Score from which a label is reported, overriding the model's own. */
  readonly thresholds: Readonly<Record<string, number>>;
  readonly sampleRateHz: number;
  readonly channels: number;
  /** What is counted is told this often, and so much is lost with a process that dies. */
  readonly summaryPeriodS: number;
  /** How the array is mounted, so that impacts get a direction; null for the candidate, whose are counted only. */
  readonly mount: ArrayMount | null;
}

/** One impact as the detector process heard it; times in the time base of the sound it was given. */
export interface HeardImpact {
  readonly onsetNs: bigint;
  readonly endNs: bigint;
  readonly label: string;
  readonly score: number;
  readonly scores: Readonly<Record<string, number>>;
  /** Where it came from; absent when there was no telling. */
  readonly direction?: Direction;
}

/** Up: `done` sound frames are through since the process started; the proof of life. */
export interface ProgressReport {
  readonly kind: 'progress';
  readonly done: number;
  /** The windows that the last of them completed; absent when none. */
  readonly windows?: readonly ScoredWindow[];
}

/** Up: an impact; nanoseconds as decimal text. */
export interface ImpactReport {
  readonly kind: 'impact';
  readonly onset_ns: string;
  readonly end_ns: string;
  readonly label: string;
  readonly score: number;
  readonly scores: Readonly<Record<string, number>>;
  readonly direction?: Direction;
}

/** Up: everything before the flush frame is decided. */
export interface FlushedReport {
  readonly kind: 'flushed';
}

/** Up: why the process is about to end. */
export interface FailedReport {
  readonly kind: 'failed';
  readonly message: string;
}

/** Anything the detector process says. */
export type DetectorReport = ReadyReport | ProgressReport | ImpactReport | SummaryReport | FlushedReport | FailedReport;

/** The header of a frame; `timeNs` is 0n for frames without a time. */
export function encodeHeader(kind: number, payloadBytes: number, timeNs: bigint): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32LE(kind, 0);
  header.writeUInt32LE(payloadBytes, 4);
  header.writeBigInt64LE(timeNs, 8);
  return header;
}

/** A whole frame; `payload` is the reader's and is overwritten by the next frame. */
export interface Frame {
  readonly kind: number;
  readonly timeNs: bigint;
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** Puts frames together from pieces of any size, into one buffer that is reused. */
export class FrameReader {
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #payload = new Uint8Array(0);
  #filled = 0;

  /**
   * Takes bytes from `bytes` beginning at `offset` until a frame is whole. Returns where it stopped, and the frame or null when
   * all bytes are taken. Throws a RangeError on a frame larger than MAX_PAYLOAD_BYTES: the streams are out of step.
   */
  read(bytes: Uint8Array, offset: number): { readonly next: number; readonly frame: Frame | null } {
    let next = offset;
    if (this.#filled < HEADER_BYTES) {
      const part = bytes.subarray(next, next + HEADER_BYTES - this.#filled);
      this.#header.set(part, this.#filled);
      this.#filled += part.length;
      next += part.length;
      if (this.#filled < HEADER_BYTES) return { next, frame: null };
    }
    const length = this.#header.readUInt32LE(4);
    if (length > MAX_PAYLOAD_BYTES) {
      throw new RangeError(`detector frame: expected at most ${MAX_PAYLOAD_BYTES} bytes, found ${length}`);
    }
    if (this.#payload.length !== length) this.#payload = new Uint8Array(length);
    const at = this.#filled - HEADER_BYTES;
    const part = bytes.subarray(next, next + length - at);
    this.#payload.set(part, at);
    this.#filled += part.length;
    next += part.length;
    if (this.#filled < HEADER_BYTES + length) return { next, frame: null };
    this.#filled = 0;
    const frame = {
      kind: this.#header.readUInt32LE(0),
      timeNs: this.#header.readBigInt64LE(8),
      payload: this.#payload,
    };
    return { next, frame };
  }
}

/** Longer than the largest report: 128 histograms of 256 bins. */
const MAX_LINE = 2_000_000;

/** Splits a stream of text into lines; one that is longer than any report is dropped as garbage. */
export class LineReader {
  #rest = '';

  /** The lines completed by `text`, without their ends. */
  read(text: string): string[] {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > MAX_LINE) this.#rest = '';
    return lines;
  }
}
