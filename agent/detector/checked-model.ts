/**
 * Hands a model's checked description from the start of the agent to the detector process, which then loads nothing of what only
 * checking needs: about 10 MB. The file's hash goes along, so that a file that was replaced meanwhile is checked again.
 */
import { createHash } from 'node:crypto';
import type { ModelDescription } from '../../models/description.ts';
import { readModelBytes } from '../../models/model-bytes.ts';
import type { Model } from '../../models/package.ts';

/** What was found in a model file. */
export interface CheckedModel {
  /** Of the whole file, lower-case hexadecimal. */
  readonly sha256: string;
  readonly description: ModelDescription;
}

/** Reads and checks a model file; null when it cannot be used, which the detector process will find and tell by itself. */
export async function checkModelFile(path: string, maxBytes?: number): Promise<CheckedModel | null> {
  const { readModel } = await import('../../models/package.ts');
  const model = await readModel(path, limitOf(maxBytes)).catch(() => null);
  return model === null ? null : checkedModel(model);
}

/** What was found in a model that has been read. */
export function checkedModel(model: Model): CheckedModel {
  // Nobody in the vehicle reads the figures, which may be long, and all of this goes through an environment variable.
  const { evaluation, ...description } = model.description;
  return { sha256: sha256Of(model.bytes), description };
}

/** The model at `path`: as it was checked when it is the same file, else read and checked now. Throws ModelError as `readModel`. */
export async function loadModel(path: string, checked: CheckedModel | null, maxBytes?: number): Promise<Model> {
  if (checked !== null) {
    const bytes = await readModelBytes(path, limitOf(maxBytes)).catch(() => null);
    if (bytes !== null && sha256Of(bytes) === checked.sha256) return { path, bytes, description: checked.description };
  }
  const { readModel } = await import('../../models/package.ts');
  return readModel(path, limitOf(maxBytes));
}

function limitOf(maxBytes: number | undefined): { maxBytes?: number } {
  return maxBytes === undefined ? {} : { maxBytes };
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
