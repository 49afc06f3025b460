/** One thing that was looked at. */
export interface Check {
  /** What was looked at: `clock`, `disk`, `uma8` … */
  readonly name: string;
  /** `error`: the agent cannot do this part of its work; `warn`: it can, with a loss. */
  readonly level: 'ok' | 'warn' | 'error';
  /** What was found. */
  readonly found: string;
  /** What a person can do about it; empty when nothing is needed. */
  readonly cure: string;
}

export function ok(name: string, found: string): Check {
  return { name, level: 'ok', found, cure: '' };
}

export function warn(name: string, found: string, cure: string): Check {
  return { name, level: 'warn', found, cure };
}

export function failed(name: string, found: string, cure: string): Check {
  return { name, level: 'error', found, cure };
}

/** The message of anything thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
