/** Writes generated sound to a WAV file with the truth beside it, for `fender demo --render` and for training. */
import { renderToWav } from '../drivers/uma8/generated/render-to-wav.ts';

/** What to render. */
export interface RenderSoundOptions {
  /** The WAV file: 8 channels, 16 bit, 48 kHz. */
  readonly path: string;
  /** The truth: `label,onset_s,end_s`, a line an impact. */
  readonly csvPath: string;
  readonly seconds: number;
  readonly seed: number;
  /** Told once at the beginning and once at the end; seconds of sound. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Renders; the same seed and seconds give the same file. Rejects with the file system's error. */
export async function renderSound({
  path,
  csvPath,
  seconds,
  seed,
  onProgress,
}: RenderSoundOptions): Promise<{ readonly impacts: number }> {
  onProgress?.(0, seconds);
  const { truth } = await renderToWav({ path, csvPath, seconds, seed });
  onProgress?.(seconds, seconds);
  return { impacts: truth.length };
}
