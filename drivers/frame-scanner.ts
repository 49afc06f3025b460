/**
 * Finds fixed-header, length-known, checksummed frames in a stream of bytes cut anywhere. After a bad candidate it
 * moves on by a single byte, so garbage never costs a valid neighbour.
 */

export interface FrameFormat {
  /** The bytes every frame begins with. */
  readonly header: Uint8Array;
  /** Bytes needed from a candidate's start to know its length; at least the header. */
  readonly lengthKnownAfter: number;
  /** Total length of the candidate at `offset` in bytes, or null when it cannot be a frame. */
  length(bytes: Uint8Array, offset: number): number | null;
  /** Whether the complete candidate is to be believed (checksum, tail). */
  valid(frame: Uint8Array): boolean;
}

export interface ScanResult {
  /** Valid frames in order; each a copy. */
  readonly frames: readonly Uint8Array[];
  /** Complete candidates that failed `valid`. */
  readonly rejected: readonly Uint8Array[];
}

/** Holds at most one incomplete frame between calls. */
export class FrameScanner {
  private readonly format: FrameFormat;
  private pending: Uint8Array = new Uint8Array(0);
  /** Bytes that belonged to no valid frame. */
  discardedBytes = 0;

  constructor(format: FrameFormat) {
    this.format = format;
  }

  push(bytes: Uint8Array): ScanResult {
    const buffer = this.pending.length === 0 ? bytes : concat(this.pending, bytes);
    const frames: Uint8Array[] = [];
    const rejected: Uint8Array[] = [];
    let offset = 0;
    while (offset < buffer.length) {
      const length = this.candidateLength(buffer, offset);
      if (length === 'incomplete') break;
      if (length !== null) {
        const frame = buffer.slice(offset, offset + length);
        if (this.format.valid(frame)) {
          frames.push(frame);
          offset += length;
          continue;
        }
        rejected.push(frame);
      }
      offset += 1;
      this.discardedBytes += 1;
    }
    this.pending = buffer.slice(offset);
    return { frames, rejected };
  }

  private candidateLength(buffer: Uint8Array, offset: number): number | null | 'incomplete' {
    const { header, lengthKnownAfter } = this.format;
    const left = buffer.length - offset;
    for (let i = 0; i < Math.min(header.length, left); i++) {
      if (buffer[offset + i] !== header[i]) return null;
    }
    if (left < lengthKnownAfter) return 'incomplete';
    const length = this.format.length(buffer, offset);
    return length !== null && left < length ? 'incomplete' : length;
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}
