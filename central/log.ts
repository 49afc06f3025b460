/** Where central writes what an operator should read: one line a message, `key=value` fields after it. */

export type LogFields = Readonly<Record<string, string | number | bigint | boolean>>;

export interface Log {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

const bare = /^[^\s"=]+$/;

/** One line: `central <level> <message> key=value …`; values with spaces are quoted as JSON. */
export function formatLine(level: string, message: string, fields: LogFields = {}): string {
  const pairs = Object.entries(fields).map(([key, value]) => {
    const text = String(value);
    return `${key}=${bare.test(text) ? text : JSON.stringify(text)}`;
  });
  return ['central', level, message, ...pairs].join(' ');
}

/** Writes each line with `write`, for instance to standard error. */
export function lineLog(write: (line: string) => void): Log {
  return {
    info: (message, fields) => write(formatLine('info', message, fields)),
    warn: (message, fields) => write(formatLine('warn', message, fields)),
    error: (message, fields) => write(formatLine('error', message, fields)),
  };
}

/**
 * Lets at most `perMinute` warnings a minute and key through, so that one broken vehicle cannot fill the disk with
 * log lines; the first line of the next minute says how many were held back. Keeps at most 1000 keys.
 */
export class WarningLimiter {
  readonly #log: Log;
  readonly #perMinute: number;
  readonly #nowMs: () => number;
  readonly #windows = new Map<string, { startMs: number; passed: number; held: number }>();

  constructor(log: Log, perMinute: number, nowMs: () => number) {
    this.#log = log;
    this.#perMinute = perMinute;
    this.#nowMs = nowMs;
  }

  warn(key: string, message: string, fields: LogFields): void {
    const nowMs = this.#nowMs();
    let window = this.#windows.get(key);
    const held = window !== undefined && nowMs - window.startMs >= 60_000 ? window.held : 0;
    if (window === undefined || nowMs - window.startMs >= 60_000) {
      if (this.#windows.size >= 1000) this.#windows.clear();
      window = { startMs: nowMs, passed: 0, held: 0 };
      this.#windows.set(key, window);
    }
    if (window.passed >= this.#perMinute) {
      window.held++;
      return;
    }
    window.passed++;
    this.#log.warn(message, held > 0 ? { ...fields, held_back: held } : fields);
  }
}
