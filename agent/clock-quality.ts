/**
 * What the system knows about its clock: whether it is synchronised and how far it may be off, asked of chrony,
 * systemd-timesyncd or the kernel's flag, in this order.
 */
import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';

/** The quality of the system clock. */
export interface ClockQuality {
  readonly synchronised: boolean;
  /** Estimated error in nanoseconds; null when nobody says. */
  readonly estimatedErrorNs: bigint | null;
  /** Who said so: `chrony`, `timesyncd`, `timedatectl`, `none`. */
  readonly source: string;
}

/** Asks for the clock's quality; may reject. */
export type ReadClockQuality = () => Promise<ClockQuality>;

/** Runs a command and returns its standard output; rejects when it is missing, fails or takes too long. */
export type RunCommand = (command: string, args: readonly string[]) => Promise<string>;

const COMMAND_TIMEOUT_MS = 2_000;

/**
 * The quality in one line of `chronyc -c tracking` (chrony 4 manual, "tracking"): comma-separated, with the system time's offset (5th), root
 * delay (11th) and root dispersion (12th) in seconds and the leap status last. The error bound is |offset| + dispersion + delay / 2, as
 * that manual defines it. Null when the line is not of that form.
 */
export function parseChronyTracking(line: string): ClockQuality | null {
  const fields = line.trim().split(',');
  if (fields.length < 14) return null;
  const [offsetS, delayS, dispersionS] = [fields[4], fields[10], fields[11]].map(Number) as [number, number, number];
  const errorS = Math.abs(offsetS) + dispersionS + delayS / 2;
  if (!Number.isFinite(errorS)) return null;
  const synchronised = fields[13] !== 'Not synchronised';
  return { synchronised, estimatedErrorNs: synchronised ? secondsToNs(errorS) : null, source: 'chrony' };
}

/**
 * The error bound in nanoseconds in the output of `timedatectl show-timesync --property=NTPMessage`, whose RootDelay and
 * RootDispersion carry units (`12.3ms`, `488us`); null when there is no message yet.
 */
export function parseTimesyncMessage(text: string): bigint | null {
  const delayS = parseTimeSpan(/RootDelay=([^,}]*)/.exec(text)?.[1]);
  const dispersionS = parseTimeSpan(/RootDispersion=([^,}]*)/.exec(text)?.[1]);
  return delayS === null || dispersionS === null ? null : secondsToNs(delayS / 2 + dispersionS);
}

const SPAN_UNITS: Readonly<Record<string, number>> = { us: 1e-6, μs: 1e-6, ms: 1e-3, s: 1, min: 60 };

/** Seconds of a systemd time span such as `1s 20.5ms`; null when it is not one. */
function parseTimeSpan(text: string | undefined): number | null {
  if (text === undefined) return null;
  const trimmed = text.trim();
  if (trimmed === '0') return 0;
  let seconds = 0;
  for (const part of trimmed.split(/\s+/)) {
    const match = /^([\d.]+)(us|μs|ms|s|min)$/.exec(part);
    const unit = SPAN_UNITS[match?.[2] ?? ''];
    if (unit === undefined) return null;
    seconds += Number(match?.[1]) * unit;
  }
  return Number.isFinite(seconds) ? seconds : null;
}

function secondsToNs(seconds: number): bigint {
  return BigInt(Math.round(seconds * 1e9));
}

/** Asks chrony, then timesyncd, then systemd's view of the kernel flag. Rejects never; the last resort is "not synchronised". */
export async function readClockQuality(
  run: RunCommand = runCommand,
  exists: (path: string) => Promise<boolean> = pathExists,
): Promise<ClockQuality> {
  const chrony = await run('chronyc', ['-c', 'tracking']).then(parseChronyTracking, () => null);
  if (chrony?.synchronised === true) return chrony;
  if (await exists('/run/systemd/timesync/synchronized')) {
    const message = await run('timedatectl', ['show-timesync', '--property=NTPMessage']).catch(() => '');
    return { synchronised: true, estimatedErrorNs: parseTimesyncMessage(message), source: 'timesyncd' };
  }
  const flag = await run('timedatectl', ['show', '--property=NTPSynchronized', '--value']).catch(() => '');
  if (flag.trim() === 'yes') return { synchronised: true, estimatedErrorNs: null, source: 'timedatectl' };
  return (
    chrony ?? { synchronised: false, estimatedErrorNs: null, source: flag.trim() === 'no' ? 'timedatectl' : 'none' }
  );
}

function runCommand(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { timeout: COMMAND_TIMEOUT_MS }, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(error);
    });
  });
}

async function pathExists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
