/** Looks at the model: that its file can be read, runs on this machine, and knows the labels of the configured thresholds. */
import { resolve } from 'node:path';
import { windowSamples } from '../../models/description.ts';
import { readModel } from '../../models/package.ts';
import { ModelSession } from '../../models/session.ts';
import type { AgentConfig } from '../config/schema.ts';
import { type Check, failed, ok, reasonOf, warn } from './check.ts';

const programFolder = resolve(import.meta.dirname, '../..');

/** `sampleRateHz` of the configured sound; null where there is none to hear. */
export async function checkModel(
  { enabled, model: path, max_model_bytes, thresholds }: AgentConfig['detector'],
  sampleRateHz: number | null,
): Promise<Check> {
  if (!enabled) return ok('model', 'the detector is switched off');
  try {
    const model = await readModel(resolve(programFolder, path), { maxBytes: max_model_bytes });
    const { name, version, labels, input } = model.description;
    if (sampleRateHz !== null && sampleRateHz !== input.sample_rate_hz) {
      const found = `${name} ${version} hears ${input.sample_rate_hz} Hz, the sound has ${sampleRateHz} Hz`;
      return failed('model', found, 'Correct sensors.uma8.sample_rate_hz, or name another model in detector.model.');
    }
    const unknown = Object.keys(thresholds).filter((label) => !labels.includes(label));
    if (unknown.length > 0) {
      const found = `${name} ${version} does not know ${unknown.join(', ')}; it knows ${labels.join(', ')}`;
      return warn('model', found, 'Correct the labels in detector.thresholds.');
    }
    const session = await ModelSession.open(model, { threads: 1 });
    try {
      const { window } = windowSamples(model.description);
      const startedMs = performance.now();
      await session.run(new Float32Array(window), 1);
      const ms = (performance.now() - startedMs).toFixed(1);
      return ok('model', `${name} ${version}, ${(model.bytes.length / 1e6).toFixed(2)} MB, first window in ${ms} ms`);
    } finally {
      await session.close();
    }
  } catch (error) {
    return failed('model', reasonOf(error), 'Name a model file of this project in detector.model.');
  }
}
