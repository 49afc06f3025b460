/** The one error class of this room: what went wrong with a device or its bytes, and whether trying again can help. */

export class DriverError extends Error {
  /** Stable, kebab-case: `unplugged`, `wrong-chip-id`, `checksum` … */
  readonly code: string;
  /** True when the same call may succeed later without anybody's help. */
  readonly retryable: boolean;

  constructor(code: string, message: string, options: { cause?: unknown; retryable?: boolean } = {}) {
    super(message, { cause: options.cause });
    this.name = 'DriverError';
    this.code = code;
    this.retryable = options.retryable ?? true;
  }
}
