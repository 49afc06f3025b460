/** Owns generated sound as files and as a finite run: blocks with their truth, or an 8-channel WAV with a CSV of the impacts. */
import { open, writeFile } from 'node:fs/promises';
import { MICROPHONES } from '../geometry.ts';
import { wavHeader } from '../wav.ts';
import { type ConfuserEntry, Scene, type SceneBlock, type SceneOptions, type TruthEntry } from './scene.ts';

/** `seconds` of a scene, block by block; the last block is cut to fit. Infinity is allowed. */
export function* renderDrive(options: SceneOptions & { readonly seconds: number }): Generator<SceneBlock> {
  const scene = new Scene(options);
  let left = options.seconds * scene.sampleRateHz;
  for (; left >= 1; left -= scene.blockFrames) {
    const block = scene.next();
    const samples = Math.floor(left) * MICROPHONES.length;
    yield samples < block.pcm.length ? { ...block, pcm: block.pcm.slice(0, samples) } : block;
  }
}

export interface RenderOptions extends SceneOptions {
  /** The WAV to write, 16 bit, 8 channels. */
  readonly path: string;
  /** The CSV of the impacts to write: `label,onset_s,end_s`, a line each. Omitted: none. */
  readonly csvPath?: string;
  readonly seconds: number;
}

/** Writes a scene to disk and returns what it contains. Rejects with the file system's error when a file cannot be written. */
export async function renderToWav(
  options: RenderOptions,
): Promise<{ truth: TruthEntry[]; confusers: ConfuserEntry[]; frames: number }> {
  const truth: TruthEntry[] = [];
  const confusers: ConfuserEntry[] = [];
  const channels = MICROPHONES.length;
  const sampleRateHz = options.sampleRateHz ?? 48_000;
  let frames = 0;
  const file = await open(options.path, 'w');
  try {
    await file.writeFile(wavHeader(sampleRateHz, channels, Math.floor(options.seconds * sampleRateHz) * channels * 2));
    for (const block of renderDrive(options)) {
      truth.push(...block.truth);
      confusers.push(...block.confusers);
      frames += block.pcm.length / channels;
      await file.writeFile(new Uint8Array(block.pcm.buffer, block.pcm.byteOffset, block.pcm.byteLength));
    }
  } finally {
    await file.close();
  }
  const heard = truth.filter((entry) => entry.onsetS < options.seconds);
  if (options.csvPath !== undefined) {
    const lines = heard.map(
      (e) => `${e.label},${e.onsetS.toFixed(3)},${Math.min(e.endS, options.seconds).toFixed(3)}\n`,
    );
    await writeFile(options.csvPath, `label,onset_s,end_s\n${lines.join('')}`);
  }
  return { truth: heard, confusers, frames };
}
