/** The one error of this room: what went wrong on the wire, in the outbox or in the session, and whether trying again can help. */

export type SyncErrorCode =
  | 'bad-frame'
  | 'bad-message'
  | 'limit-exceeded'
  | 'bad-name'
  | 'outbox-closed'
  | 'outbox-unusable'
  | 'connection';

export class SyncError extends Error {
  readonly code: SyncErrorCode;
  /** Whether the same call may succeed later; false: the input itself is at fault. */
  readonly retryable: boolean;
  /** What a person can do about it, in one sentence; empty when nothing is needed. */
  readonly cure: string;

  constructor(
    code: SyncErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly retryable?: boolean; readonly cure?: string } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SyncError';
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.cure = options.cure ?? '';
  }
}
