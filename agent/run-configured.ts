/** Runs the agent with a checked configuration until it is told to end, and keeps its service manager informed. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type RunningAgent, startAgent } from './agent.ts';
import type { AgentConfig } from './config/schema.ts';
import { lockDataFolder } from './data-lock.ts';
import type { CheckedModel } from './detector/checked-model.ts';
import { createLog, type Log } from './log.ts';
import { connectServiceManager, type ServiceManager } from './service-manager.ts';

const programFolder = resolve(import.meta.dirname, '..');
const STATUS_PERIOD_MS = 10_000;

/**
 * Runs the agent until `signal` aborts, then ends it in under 5 s. Resolves to 0. Throws AgentError `locked` when another agent uses
 * its data folder, `storage` when that cannot be written. `checkedModel` is the configured model as it was checked before, or null.
 */
export async function runConfigured(
  config: AgentConfig,
  checkedModel: CheckedModel | null,
  signal: AbortSignal,
): Promise<number> {
  // Whoever reads the log may go away, as a pipe's reader does; the recording goes on.
  process.stderr.on('error', () => {});
  const log = createLog(config.log.level);
  const release = await lockDataFolder(config.data_dir);
  try {
    const manager = connectServiceManager();
    const version = await readVersion();
    const agent = await startAgent(config, { log, version, programFolder, checkedModel });
    log('info', 'the agent runs', aboutAgent(config, version, agent));
    manager.ready(`${config.vehicle.id}: recording`);
    const feeding = feedWatchdog(manager, agent, log);
    await aborted(signal);
    clearInterval(feeding);
    manager.stopping();
    await agent.stop();
    log('info', 'the agent ended');
    return 0;
  } finally {
    await release();
  }
}

function aboutAgent(config: AgentConfig, version: string, agent: RunningAgent): Record<string, unknown> {
  const metrics = `http://${config.health.listen.host}:${agent.metricsPort}/metrics`;
  return { vehicle: config.vehicle.id, version, data_dir: config.data_dir, sync: config.sync.url, metrics };
}

/** Pings the watchdog twice a period while everything makes progress, and says what does not. */
function feedWatchdog(manager: ServiceManager, agent: RunningAgent, log: Log): NodeJS.Timeout {
  const periodMs = Math.min(STATUS_PERIOD_MS, (manager.watchdogMs ?? STATUS_PERIOD_MS * 2) / 2);
  let lastStatus = '';
  return setInterval(() => {
    const stalled = agent.stalled();
    if (stalled.length === 0) {
      if (manager.watchdogMs !== null) manager.ping();
    } else {
      log('error', 'no progress; the watchdog is not fed', { stalled });
    }
    const status = stalled.length === 0 ? statusOf(agent) : `no progress: ${stalled.join(', ')}`;
    if (status !== lastStatus) manager.status(status);
    lastStatus = status;
  }, periodMs);
}

function statusOf(agent: RunningAgent): string {
  const health = agent.health();
  if (health === null) return 'recording';
  const trouble = health.diagnostics.filter(({ level }) => level === 'error' || level === 'stale');
  const sync = health.syncConnected ? 'online' : 'offline';
  const state = trouble.length === 0 ? 'all well' : `trouble with ${trouble.map(({ source }) => source).join(', ')}`;
  return `${health.recorder.state}, ${sync}, ${state}, ${health.impacts.events} impacts`;
}

async function readVersion(): Promise<string> {
  const text = await readFile(resolve(programFolder, 'package.json'), 'utf8').catch(() => '{}');
  const { version } = JSON.parse(text) as { version?: unknown };
  return typeof version === 'string' ? version : 'unknown';
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolveAborted) => {
    if (signal.aborted) resolveAborted();
    else signal.addEventListener('abort', () => resolveAborted(), { once: true });
  });
}
