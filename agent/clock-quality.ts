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

/** Asks for the clock's quality; may reject. `doubtful`: the clock was stepped, and nobody has vouched for it since. */
export type ReadClockQuality = (doubtful: boolean) => Promise<ClockQuality>;

/** Runs a command and returns its standard output; rejects when it is missing, fails or takes too long. */
export type RunCommand = (command: string, args: readonly string[]) => Promise<string>;

const EARLIEST_MS = Date.UTC(2025, 0, 1);

/** Whether the clock can be right: false for one that shows a time before this program was made, whoever vouches for it. */
export function isPossibleTime(utcMs: number): boolean {
  return utcMs >= EARLIEST_MS;
}

const COMMAND_TIMEOUT_MS = 2_000;
/** 127.127.1.1 in chrony's hexadecimal. */
const LOCAL_REFERENCE = '7F7F0101';

/**
 * The quality in one line of `chronyc -c tracking` (chrony 4 manual, "tracking"): comma-separated, with the system time's offset (5th), root
 * delay (11th) and root dispersion (12th) in seconds and the leap status last. The error bound is |offset| + dispersion + delay / 2, as
 * that manual defines it. A reference id of 127.127.1.1 is chronyd's own clock, which nobody vouches for. Null when the line is not of that
 * form.
 */
export function parseChronyTracking(line: string): ClockQuality | null {
  const fields = line.trim().split(',');
  if (fields.length < 14) return null;
  const [offsetS, delayS, dispersionS] = [fields[4], fields[10], fields[11]].map(Number) as [number, number, number];
  const errorS = Math.abs(offsetS) + dispersionS + delayS / 2;
  if (!Number.isFinite(errorS)) return null;
  const synchronised = fields[13] !== 'Not synchronised' && fields[0] !== LOCAL_REFERENCE;
  return { synchronised, estimatedErrorNs: synchronised ? secondsToNs(errorS) : null, source: 'chrony' };
}

/** NTP's own bound on a clock nobody corrects, for the time since the last answer of a server (RFC 5905, section 7.3, PHI). */
const FREE_RUNNING = 15e-6;

/**
 * The error bound in nanoseconds in the output of `timedatectl timesync-status` (timedatectl(1), examples): the root distance, which is the
 * server's own, the offset still to be slewed, half the way to the server, and what one poll interval adds. Null without an answer yet.
 */
export function parseTimesyncStatus(text: string): bigint | null {
  const span = (name: string): number =>
    parseTimeSpan(new RegExp(`^ *${name}: [+-]?([^(\\n]*)`, 'm').exec(text)?.[1]) ?? Number.NaN;
  const errorS = span('Root distance') + span('Offset') + span('Delay') / 2 + span('Poll interval') * FREE_RUNNING;
  return Number.isFinite(errorS) ? secondsToNs(errorS) : null;
}

const SPAN_UNITS: Readonly<Record<string, number>> = { us: 1e-6, μs: 1e-6, µs: 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600 };

/** Seconds of a systemd time span such as `1s 20.5ms`; null when it is not one. */
function parseTimeSpan(text: string | undefined): number | null {
  if (text === undefined) return null;
  const trimmed = text.trim();
  if (trimmed === '0') return 0;
  let seconds = 0;
  for (const part of trimmed.split(/\s+/)) {
    const match = /^([\d.]+)(us|μs|µs|ms|s|min|h)$/.exec(part);
    const unit = SPAN_UNITS[match?.[2] ?? ''];
    if (unit === undefined) return null;
    seconds += Number(match?.[1]) * unit;
  }
  return Number.isFinite(seconds) ? seconds : null;
}

function secondsToNs(seconds: number): bigint {
  return BigInt(Math.round(seconds * 1e9));
}

/**
 * Asks chrony, then timesyncd, then systemd's view of the kernel's flag. Rejects never; the last resort is "not synchronised".
 *
 * After a step (`doubtful`) the kernel must agree: a step that is not the daemon's own sets the kernel's greatest error, and
 * systemd then says no until the daemon has looked again, while timesyncd's file stays where it is. Not asked otherwise, because the asking
 * starts systemd-timedated; and a machine without timedatectl has no such vote.
 */
export async function readClockQuality(
  doubtful: boolean,
  run: RunCommand = runCommand,
  exists: (path: string) => Promise<boolean> = pathExists,
): Promise<ClockQuality> {
  const kernelFlag = () => run('timedatectl', ['show', '--property=NTPSynchronized', '--value']).catch(() => '');
  const vouched = await askDaemons(run, exists);
  if (vouched?.synchronised === true) {
    const isDenied = doubtful && (await kernelFlag()).trim() === 'no';
    return isDenied ? { synchronised: false, estimatedErrorNs: null, source: vouched.source } : vouched;
  }
  const flag = (await kernelFlag()).trim();
  if (flag === 'yes') return { synchronised: true, estimatedErrorNs: null, source: 'timedatectl' };
  return vouched ?? { synchronised: false, estimatedErrorNs: null, source: flag === 'no' ? 'timedatectl' : 'none' };
}

/** What chrony or else timesyncd says; null when neither says anything. */
async function askDaemons(run: RunCommand, exists: (path: string) => Promise<boolean>): Promise<ClockQuality | null> {
  const chrony = await run('chronyc', ['-c', 'tracking']).then(parseChronyTracking, () => null);
  if (chrony?.synchronised === true || !(await exists('/run/systemd/timesync/synchronized'))) return chrony;
  const status = await run('timedatectl', ['timesync-status']).catch(() => '');
  return { synchronised: true, estimatedErrorNs: parseTimesyncStatus(status), source: 'timesyncd' };
}

function runCommand(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { timeout: COMMAND_TIMEOUT_MS, killSignal: 'SIGKILL' }, (error, stdout) => {
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
