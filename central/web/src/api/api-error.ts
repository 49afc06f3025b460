/** What can go wrong between the dashboard and the central service, in words a viewer can act on. */

export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** HTTP status; 0 when no answer came. */
  readonly status: number;
  /** The service's own error code, or `unreachable`, `malformed`, `http`. */
  readonly code: string;
  /** Whether asking again can help. */
  readonly retryable: boolean;

  constructor(status: number, code: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.status = status;
    this.code = code;
    this.retryable = status === 0 || status === 408 || status === 429 || status >= 500;
  }
}
