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

/** One thing that is wrong with a model file. */
export interface ModelFinding {
  readonly code: ModelErrorCode;
  /** Where in the file, for instance `metadata_props.input.hop_s` or `graph.node[3] (Conv)`. */
  readonly field: string;
  readonly expected: string;
  readonly found: string;
  /** What to do about it. */
  readonly cure: string;
}

/** Thrown by everything in this room. `retryable` is true only where the same call may succeed later. */
export class ModelError extends Error {
  readonly code: ModelErrorCode;
  readonly retryable: boolean;
  /** Everything that was found wrong with a model file; empty for other errors. */
  readonly findings: readonly ModelFinding[];

  constructor(
    code: ModelErrorCode,
    message: string,
    options: { cause?: unknown; retryable?: boolean; findings?: readonly ModelFinding[] } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'ModelError';
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.findings = options.findings ?? [];
  }

  /** The error of what was found wrong (at least one finding) with the model file at `path`. */
  static of(path: string, findings: readonly ModelFinding[], cause?: unknown): ModelError {
    const code = findings[0]?.code ?? 'unreadable-model';
    const text = findings.map(
      ({ field, expected, found, cure }) => `${field}: expected ${expected}, found ${found}. ${cure}`,
    );
    const message = `${path === '' ? '' : `${path}: `}${text.join('\n  ')}`;
    return new ModelError(code, message, { findings, ...(cause === undefined ? {} : { cause }) });
  }
}
