/** Errors of the models room: a stable code, what was expected and found, and whether trying again can help. */

export type ModelErrorCode =
  | 'unreadable-model'
  | 'wrong-model'
  | 'invalid-description'
  | 'session'
  | 'invalid-audio'
  | 'invalid-clips'
  | 'sox-missing'
  | 'unreadable-clip'
  | 'aborted';

/** Thrown by everything in this room. `retryable` is true only where the same call may succeed later. */
export class ModelError extends Error {
  readonly code: ModelErrorCode;
  readonly retryable: boolean;

  constructor(code: ModelErrorCode, message: string, options: { cause?: unknown; retryable?: boolean } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'ModelError';
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}
