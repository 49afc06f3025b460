/** The bytes of a model file, before anything is made of them. Loads nothing that only checking needs. */
import { constants, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { ModelError } from './error.ts';

/** Largest model file that is taken when nothing else is said: 64 MiB. */
export const DEFAULT_MAX_MODEL_BYTES = 64 * 1024 * 1024;

export interface ReadModelOptions {
  /** Larger files are refused unread; DEFAULT_MAX_MODEL_BYTES when absent. */
  readonly maxBytes?: number;
}

/** The bytes of the regular file at `path`. Throws ModelError `unreadable-model`, before reading when it is too large. */
export async function readModelBytes(path: string, options: ReadModelOptions = {}): Promise<Uint8Array> {
  const most = options.maxBytes ?? DEFAULT_MAX_MODEL_BYTES;
  try {
    // Opening a pipe would otherwise wait for somebody to write into it.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = await file.stat();
      const { size } = stat;
      if (!stat.isFile()) throw unreadableFile(path, 'a file', kindOf(stat), 'Name the .onnx file itself.');
      if (size > most) throw tooLarge(path, size, most);
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof ModelError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    const found = code === 'ENOENT' ? 'no such file' : code === 'EACCES' ? 'no permission to read it' : message;
    throw unreadableFile(path, 'a file that can be read', found, 'Correct the path or the permissions.');
  }
}

function kindOf(stat: Stats): string {
  return stat.isDirectory() ? 'a folder' : stat.isFIFO() ? 'a pipe' : 'a device';
}

/** Of a file with more bytes than are taken. */
export function tooLarge(path: string, size: number, most: number): ModelError {
  const cure = 'Raise the limit (detector.max_model_bytes, --max-bytes) if the file is what you mean.';
  return unreadableFile(path, `at most ${most} bytes`, `${size} bytes`, cure);
}

/** Of a file that is not what was expected, with the cure. */
export function unreadableFile(path: string, expected: string, found: string, cure: string): ModelError {
  return ModelError.of(path, [{ code: 'unreadable-model', field: 'file', expected, found, cure }]);
}
