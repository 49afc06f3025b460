/** The errors of recordings and bags: what was expected, what was found, where, and whether trying again can help. */

/** Stable names of what went wrong with a recording or a bag. */
export type RecordingErrorCode =
  | 'not-mcap'
  | 'empty'
  | 'sqlite3'
  | 'nothing-readable'
  | 'no-space'
  | 'write-failed'
  | 'not-covered'
  | 'too-large'
  | 'closed'
  | 'exists'
  | 'not-joinable'
  | 'stopped'
  | 'usage';

/** An error of a recording or a bag. `retryable` says whether the same call may succeed later. */
export class RecordingError extends Error {
  readonly code: RecordingErrorCode;
  readonly retryable: boolean;
  constructor(code: RecordingErrorCode, message: string, options: { cause?: unknown; retryable?: boolean } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'RecordingError';
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** The `code` of a system error (`ENOSPC`), or `unknown`. */
export function systemCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'unknown';
}
