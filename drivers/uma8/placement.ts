/** Owns bringing one mono sound to the eight microphones: fractional delays by interpolation, and gains. */
import type { Path } from './geometry.ts';

/** How far back a delay may reach: more than the array's longest path, 103 mm or 15 frames at 48 kHz, and the interpolation's taps. */
export const HISTORY_FRAMES = 64;

/** A bus with memory, so that delays reach back over the block's edge. */
export class Bus {
  readonly #line: Float32Array;
  readonly #paths: readonly Path[];

  constructor(frames: number, paths: readonly Path[]) {
    this.#line = new Float32Array(HISTORY_FRAMES + frames);
    this.#paths = paths;
  }

  /** Takes a block in and adds it to each microphone. */
  addTo(mics: readonly Float32Array[], block: Float32Array): void {
    this.#line.copyWithin(0, block.length);
    this.#line.set(block, HISTORY_FRAMES);
    for (const [m, mic] of mics.entries())
      addDelayed(mic, 0, block.length, this.#line, HISTORY_FRAMES, this.#paths[m] as Path, 1);
  }
}

/**
 * out[begin + i] += gain · line(offset + i − delay) for i in [0, frames), by third-order Lagrange interpolation; frames outside `line`
 * count as silence.
 */
export function addDelayed(
  out: Float32Array,
  begin: number,
  frames: number,
  line: Float32Array,
  offset: number,
  path: Path,
  gain: number,
): void {
  const whole = Math.floor(path.delayFrames);
  const d = path.delayFrames - whole + 1;
  const g = gain * path.gain;
  const c0 = (-g * (d - 1) * (d - 2) * (d - 3)) / 6;
  const c1 = (g * d * (d - 2) * (d - 3)) / 2;
  const c2 = (-g * d * (d - 1) * (d - 3)) / 2;
  const c3 = (g * d * (d - 1) * (d - 2)) / 6;
  const shift = offset - whole + 1;
  const from = Math.max(0, -shift);
  const to = Math.min(frames, line.length + 3 - shift);
  for (let i = from; i < to; i++) {
    const at = shift + i;
    const sum =
      c0 * (at < line.length ? (line[at] as number) : 0) +
      (at >= 1 && at - 1 < line.length ? c1 * (line[at - 1] as number) : 0) +
      (at >= 2 && at - 2 < line.length ? c2 * (line[at - 2] as number) : 0) +
      (at >= 3 && at - 3 < line.length ? c3 * (line[at - 3] as number) : 0);
    out[begin + i] = (out[begin + i] as number) + sum;
  }
}
