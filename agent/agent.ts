/** Starts the parts of the agent in order, and ends them in an order that leaves nothing unflushed. */
import type { AgentConfig } from './config/schema.ts';
import { type ControlServer, serveControl } from './control/control-server.ts';
import type { HealthReport } from './health/metrics.ts';
import { serveMetrics } from './health/metrics.ts';
import { progressOf } from './health/part-figures.ts';
import { ProgressWatch } from './health/watchdog.ts';
import { audioTopic } from './nodes/topics.ts';
import { type AgentContext, type AgentParts, buildParts } from './parts.ts';
import { Upkeep } from './upkeep.ts';

/** An agent at work. */
export interface RunningAgent {
  /** Where /metrics is served. */
  readonly metricsPort: number;
  /** The latest health report; null before the first. */
  health(): HealthReport | null;
  /** What does not move on and should: the watchdog's reason not to ping; empty when all is well. */
  stalled(): string[];
  /** Ends everything in under 5 s, with nothing unflushed; harmless when called again. */
  stop(): Promise<void>;
}

/** The shares of the 5 s that the parts may take to end, in ms. */
const STOP_MS = { sensors: 1_200, detector: 700, impacts: 300, upkeep: 300, recorder: 1_200, sync: 1_000 } as const;

/** Starts the agent. Throws when its storage cannot be used or its metrics port is taken; devices never make it throw. */
export async function startAgent(config: AgentConfig, context: AgentContext): Promise<RunningAgent> {
  const parts = await buildParts(config, context);
  let latest: HealthReport | null = null;
  const server = await serveMetrics(config.health.listen, () => latest).catch(async (error: unknown) => {
    await parts.recorder.close();
    await parts.outbox.close();
    throw error;
  });
  const upkeep = new Upkeep(config, parts, (report) => {
    latest = report;
  });
  const control = await openControl(parts);
  const stopping = { sensors: new AbortController(), upkeep: new AbortController(), sync: new AbortController() };
  const upkeeping = upkeep.run(stopping.upkeep.signal);
  const impacting = parts.impacts.run(stopping.upkeep.signal);
  const judgingAir = parts.air?.run(stopping.sensors.signal);
  const synchronising = parts.synchroniser?.run(stopping.upkeep.signal);
  const syncing = parts.session?.run(stopping.sync.signal) ?? Promise.resolve();
  startDetector(config, parts);
  parts.ros?.start();
  const sensing = Promise.all(parts.sensors.map((sensor) => sensor.run(stopping.sensors.signal)));
  const watch = new ProgressWatch(progressOf(parts));

  const stop = async (): Promise<void> => {
    await control?.close();
    stopping.sensors.abort();
    await atMost(STOP_MS.sensors, Promise.all([sensing, judgingAir]));
    await Promise.all([parts.detector.stop(STOP_MS.detector), parts.ros?.stop(STOP_MS.detector)]);
    await atMost(STOP_MS.impacts, parts.impacts.settled());
    stopping.upkeep.abort();
    await atMost(STOP_MS.upkeep, Promise.all([impacting, upkeeping, synchronising]));
    await atMost(STOP_MS.recorder, parts.recorder.close());
    await parts.outbox.flush();
    stopping.sync.abort();
    await atMost(STOP_MS.sync, syncing);
    await parts.outbox.close();
    await server.close();
  };
  let stopped: Promise<void> | null = null;
  return {
    metricsPort: server.port,
    health: () => latest,
    stalled: () => watch.stalled(),
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** The control socket; an agent whose file system has no sockets records all the same. */
async function openControl({ dataFolder, recorder, report }: AgentParts): Promise<ControlServer | null> {
  try {
    return await serveControl(dataFolder, recorder);
  } catch (error) {
    const message = `the control socket cannot be served: ${error instanceof Error ? error.message : String(error)}`;
    const cure =
      'fender record and fender snapshot do not work; put data_dir on a file system with sockets, under a shorter path.';
    report({ source: 'control', level: 'warn', code: 'no-socket', message, cure, values: {} });
    return null;
  }
}

function startDetector(config: AgentConfig, { detector, graph }: AgentParts): void {
  if (!config.detector.enabled || config.sensors.uma8.source === 'none') return;
  detector.start();
  graph.subscribe(audioTopic, 'detector', (message) => detector.push(message.value));
}

/** Waits for the promise, but not longer. */
async function atMost(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}
