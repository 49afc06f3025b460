/** The one error class of the agent. */

/** What can go wrong in the agent, as stable codes. */
export type AgentErrorCode =
  | 'configuration'
  | 'locked'
  | 'model'
  | 'detector'
  | 'sound-file'
  | 'recording'
  | 'device'
  | 'ros'
  | 'control'
  | 'storage';

/** An error whose message tells what was expected, what was found, and where. */
export class AgentError extends Error {
  readonly code: AgentErrorCode;
  /** Whether doing the same again later can succeed. */
  readonly retryable: boolean;

  constructor(code: AgentErrorCode, message: string, options: { cause?: unknown; retryable?: boolean } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'AgentError';
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}
