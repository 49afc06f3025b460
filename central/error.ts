/** The error of the room `central`: a stable code, the cause, and whether trying again can help. */

export type CentralErrorCode =
  | 'data-dir-in-use'
  | 'migration'
  | 'storage'
  | 'blob'
  | 'clip-unreadable'
  | 'broker'
  | 'listen'
  | 'options';

/** `message` says what was expected, what was found, and where. */
export class CentralError extends Error {
  readonly code: CentralErrorCode;
  readonly retryable: boolean;

  constructor(code: CentralErrorCode, message: string, options: { cause?: unknown; retryable?: boolean } = {}) {
    super(message, { cause: options.cause });
    this.name = 'CentralError';
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
