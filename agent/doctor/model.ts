/** Looks at model files: that each can be read, runs on this machine, hears the configured sound, and knows the labels of the thresholds. */
import { resolve } from 'node:path';
import { ModelError } from '../../models/error.ts';
import { readModel } from '../../models/package.ts';
import { TRIAL_LIMITS, tryModel } from '../../models/trial.ts';
import type { AgentConfig } from '../config/schema.ts';
import { type Check, failed, ok, reasonOf, warn } from './check.ts';

const programFolder = resolve(import.meta.dirname, '../..');

/** A model file, and the key of the configuration that a cure names. */
export interface ModelFile {
  readonly path: string;
  readonly key: string;
  readonly maxBytes: number;
  /** Of the configured sound; null where there is none to hear. */
  readonly sampleRateHz: number | null;
}

/** The rate that models have to hear; null where there is no sound. */
export function soundRateHz({ source, sample_rate_hz }: AgentConfig['sensors']['uma8']): number | null {
  return source === 'none' ? null : sample_rate_hz;
}

/** Looks at the model that listens. The signal ends its trial. */
export async function checkModel({ detector, sensors }: AgentConfig, signal?: AbortSignal): Promise<Check> {
  if (!detector.enabled) return ok('model', 'the detector is switched off');
  const { model: path, max_model_bytes: maxBytes, thresholds } = detector;
  const file = { path, key: 'detector.model', maxBytes, sampleRateHz: soundRateHz(sensors.uma8) };
  return checkModelFile('model', file, Object.keys(thresholds), signal);
}

/** Reads the file, and runs it in a process of its own: it may be one that ends or stops whoever runs it. */
export async function checkModelFile(
  name: string,
  { path, key, maxBytes, sampleRateHz }: ModelFile,
  thresholds: readonly string[] = [],
  signal?: AbortSignal,
): Promise<Check> {
  try {
    const model = await readModel(resolve(programFolder, path), { maxBytes });
    const { labels, input } = model.description;
    const called = `${model.description.name} ${model.description.version}`;
    if (sampleRateHz !== null && sampleRateHz !== input.sample_rate_hz) {
      const found = `${called} hears ${input.sample_rate_hz} Hz, the sound has ${sampleRateHz} Hz`;
      return failed(name, found, `Correct sensors.uma8.sample_rate_hz, or name another model in ${key}.`);
    }
    const unknown = thresholds.filter((label) => !labels.includes(label));
    if (unknown.length > 0) {
      const found = `${called} does not know ${unknown.join(', ')}; it knows ${labels.join(', ')}`;
      return warn(name, found, 'Correct the labels in detector.thresholds.');
    }
    const { findings, loadMs } = await tryModel(model, TRIAL_LIMITS, signal);
    if (findings.length > 0) throw ModelError.of(model.path, findings);
    return ok(
      name,
      `${called}, ${(model.bytes.length / 1e6).toFixed(2)} MB, loaded in ${loadMs.toFixed(0)} ms, and tried`,
    );
  } catch (error) {
    return failed(
      name,
      reasonOf(error),
      `Name a model file of this project in ${key}; fender model verify tells more.`,
    );
  }
}
