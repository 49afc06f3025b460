/** The agent's log: one JSON object a line on standard error, and a listener for what central should see. */

/** How important a line is. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Writes a line; `fields` are JSON-able. Never throws. */
export type Log = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void;

const ORDER: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** A log of everything from `least` up, to `write` (standard error). A field that cannot be JSON is left out with its name. */
export function createLog(least: LogLevel, write: (line: string) => void = writeStderr): Log {
  return (level, message, fields = {}) => {
    if (ORDER.indexOf(level) < ORDER.indexOf(least)) return;
    const head = { time: new Date().toISOString(), level, message };
    let line: string;
    try {
      line = JSON.stringify({ ...head, ...fields }, plainValue);
    } catch {
      line = JSON.stringify({ ...head, unprintable: Object.keys(fields) });
    }
    write(`${line}\n`);
  };
}

function plainValue(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Error) return value.message;
  return value;
}

function writeStderr(line: string): void {
  process.stderr.write(line);
}
