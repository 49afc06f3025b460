/**
 * Measures what hearing costs: a window of the shipped model in either form, by turns, and the whole detector (downmix, windows, model,
 * energies, events) on eight channels of a generated drive, in processor time for each second of sound.
 */

import { renderDrive } from '../../drivers/uma8/generated/render-to-wav.ts';
import { ImpactDetector } from '../../models/detector.ts';
import { measurePair } from '../../models/measure-pair.ts';
import { readModel } from '../../models/package.ts';
import { processorMs } from '../../models/race.ts';
import { ModelSession } from '../../models/session.ts';

const shipped = { int8: 'models/impact.int8.onnx', fp32: 'models/impact.fp32.onnx' };

/** What a run of the benchmark gives. */
export interface ModelBenchFigures {
  /** Processor time of one window on one thread, medians, in ms. */
  readonly int8Ms: number;
  readonly fp32Ms: number;
  /** Windows a second at the model's hop. */
  readonly windowsPerS: number;
  /** Share of a core that the detector takes in real time, with the form of the model that the agent takes here. */
  readonly detectorRatio: number;
}

/** Times `windows` windows of each form, and the detector on `seconds` of sound with the faster one. */
export async function benchShippedModel(windows = 400, seconds = 60): Promise<ModelBenchFigures> {
  const [int8, fp32] = [await readModel(shipped.int8), await readModel(shipped.fp32)];
  const { int8Ms, fp32Ms } = await measurePair(int8, fp32, windows);
  const ratio = await detectorRatio(int8Ms < fp32Ms ? shipped.int8 : shipped.fp32, seconds);
  return { int8Ms, fp32Ms, windowsPerS: 1 / int8.description.input.hop_s, detectorRatio: ratio };
}

async function detectorRatio(path: string, seconds: number): Promise<number> {
  const model = await readModel(path);
  const session = await ModelSession.open(model, { threads: 1 });
  try {
    const detector = new ImpactDetector(session, model.description, { sampleRateHz: 48_000, channels: 8 });
    const chunks = [...renderDrive({ seed: 78, seconds })];
    let beforeMs = 0;
    // The first second loads and compiles.
    for (const [index, { pcm }] of chunks.entries()) {
      if (index === 10) beforeMs = processorMs();
      await detector.push(pcm, BigInt(index) * 100_000_000n);
    }
    return (processorMs() - beforeMs) / 1000 / (seconds - 1);
  } finally {
    await session.close();
  }
}
