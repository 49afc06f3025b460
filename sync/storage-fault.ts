/** Tells apart what can be wrong with the outbox's file: no room, beyond use, or something that may pass. */

import { SyncError } from './wire/error.ts';

/** Whether an error says that the disk, or the file's own limit, has no room. */
export function isFull(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'SQLITE_FULL' || code === 'ENOSPC' || code === 'EDQUOT';
}

/** Whether an error says that the file is beyond use. */
export function isCorrupt(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'SQLITE_NOTADB' || (code?.startsWith('SQLITE_CORRUPT') ?? false);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** What happened, with SQLite's or the system's code where there is one. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return [codeOf(error), text].filter((part) => part !== undefined).join(': ');
}

/** The error of an outbox at `path` that cannot be opened, with its cure. */
export function unusable(path: string, cause: unknown): SyncError {
  if (cause instanceof SyncError) return cause;
  const busy = /SQLITE_BUSY|SQLITE_LOCKED/.test(cause instanceof Error && 'code' in cause ? String(cause.code) : '');
  return new SyncError('outbox-unusable', `outbox ${path}: cannot be opened (${reasonOf(cause)})`, {
    cause,
    retryable: true,
    cure: busy
      ? 'Another fender agent uses this data folder: stop it first.'
      : 'Check the disk and the rights of the data folder.',
  });
}
