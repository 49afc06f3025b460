/**
 * Talks to systemd as sd_notify(3) describes, when there is one: readiness, status and watchdog. Through the program
 * systemd-notify, since Node has no datagram sockets (the unit needs NotifyAccess=all); without systemd it is silent.
 */
import { execFile } from 'node:child_process';

/** What the agent tells its service manager; calls never throw and never block. */
export interface ServiceManager {
  ready(status: string): void;
  status(text: string): void;
  ping(): void;
  stopping(): void;
  /** How often `ping` is expected, in ms; null when nobody watches. */
  readonly watchdogMs: number | null;
}

/** Sends newline-separated assignments as in sd_notify(3). */
type SendState = (state: string) => void;

/** Connects to the service manager of `env`; one that is not there is replaced by silence. */
export function connectServiceManager(env: NodeJS.ProcessEnv = process.env): ServiceManager {
  const socket = env.NOTIFY_SOCKET;
  const watchdogMs = watchdogPeriodMs(env);
  if (socket === undefined || socket === '') return serviceManager(() => {}, null);
  return serviceManager(programSender(), watchdogMs);
}

/**
 * The watchdog period in ms (sd_watchdog_enabled(3)): WATCHDOG_USEC, unless WATCHDOG_PID names another process. Null when there is none.
 */
export function watchdogPeriodMs(env: NodeJS.ProcessEnv, pid = process.pid): number | null {
  const us = Number(env.WATCHDOG_USEC ?? Number.NaN);
  if (!Number.isFinite(us) || us <= 0) return null;
  if (env.WATCHDOG_PID !== undefined && env.WATCHDOG_PID !== '' && Number(env.WATCHDOG_PID) !== pid) return null;
  return us / 1000;
}

function serviceManager(send: SendState, watchdogMs: number | null): ServiceManager {
  return {
    ready: (status) => send(`READY=1\nSTATUS=${status}`),
    status: (text) => send(`STATUS=${text}`),
    ping: () => send('WATCHDOG=1'),
    stopping: () => send('STOPPING=1\nSTATUS=stopping'),
    watchdogMs,
  };
}

function programSender(): SendState {
  return (state) => {
    execFile('systemd-notify', [`--pid=${process.pid}`, ...state.split('\n')], { timeout: 5_000 }, () => {});
  };
}
