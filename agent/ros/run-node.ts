/** `fender node`: one sensor as a ROS node of its own, without recorder, detector or sync; an agent elsewhere records its topics. */
import { SystemClock } from '../clock.ts';
import type { AgentConfig } from '../config/schema.ts';
import { AgentError } from '../error.ts';
import { Graph } from '../graph.ts';
import { createLog } from '../log.ts';
import { DiagnosticsNode } from '../nodes/diagnostics.ts';
import { sensorNodes } from '../nodes/registry.ts';
import { diagnosticsTopic } from '../nodes/topics.ts';
import { findRos, rosSurroundings } from './environment.ts';
import { sensorDescriptions } from './node-plan.ts';
import { RosBridge } from './ros-bridge.ts';

/** The sensors that can run alone, as `fender node` names them. */
export const NODE_NAMES = ['plantower', 'sds011', 'sps30', 'bme680', 'uma8'] as const;
export type NodeName = (typeof NODE_NAMES)[number];

const DIAGNOSTICS_PERIOD_MS = 1_000;
const STOP_MS = { sensor: 1_500, ros: 1_500 } as const;

/**
 * Runs the sensor with the settings in `config` until `signal` aborts; resolves to 0. Throws AgentError `ros` when ROS 2 cannot be
 * used, `configuration` when the sensor is switched off.
 */
export async function runNode(name: NodeName, config: AgentConfig, signal: AbortSignal): Promise<number> {
  const surroundings = rosSurroundings();
  const found = findRos(surroundings);
  if ('problem' in found) throw new AgentError('ros', `${found.problem.message}. ${found.problem.cure}`);
  const sensors = onlySensor(name, config.sensors);
  const log = createLog(config.log.level);
  const clock = new SystemClock({
    checkPeriodMs: 1_000,
    qualityPeriodMs: config.clock.quality_period_s * 1_000,
    stepThresholdMs: config.clock.step_threshold_ms,
  });
  const graph = new Graph((where, error) => log('error', 'a subscriber failed', { where, error }));
  const diagnostics = new DiagnosticsNode({
    vehicle: config.vehicle.id,
    graph,
    clock,
    record: (_stamp, { source, level, code, message, cure }) =>
      log(level === 'ok' ? 'info' : 'warn', message, { source, code, ...(cure === '' ? {} : { cure }) }),
  });
  const report = diagnostics.report.bind(diagnostics);
  const running = sensorNodes(sensors, { graph, clock, report, appendTelemetry: () => {} });
  const nodes = sensorDescriptions(sensors, running).map((node) => ({
    ...node,
    topics: [...node.topics, diagnosticsTopic],
  }));
  const bridge = new RosBridge(
    { settings: { ...config.graph.ros2, topics: [] }, nodes, otherTopicsNode: name, surroundings },
    { graph, clock, report, serve: async () => ({ success: false, message: 'expected no service here' }) },
  );
  bridge.start();
  const publishing = setInterval(() => diagnostics.publishAll(), DIAGNOSTICS_PERIOD_MS);
  const ticking = clock.run(signal, () => {});
  await Promise.all(running.map((sensor) => atMost(STOP_MS.sensor, sensor.run(signal), signal)));
  clearInterval(publishing);
  await bridge.stop(STOP_MS.ros);
  await ticking;
  return 0;
}

/** The settings with every other sensor switched off. */
function onlySensor(name: NodeName, all: AgentConfig['sensors']): AgentConfig['sensors'] {
  const sensors = structuredClone(all);
  const { particulate, bme680, uma8 } = sensors;
  const isParticulate = name !== 'bme680' && name !== 'uma8';
  particulate.model = isParticulate ? name : 'none';
  if (name !== 'bme680') bme680.device = 'none';
  if (name !== 'uma8') uma8.source = 'none';
  if ((name === 'bme680' && bme680.device === 'none') || (name === 'uma8' && uma8.source === 'none')) {
    const key = name === 'bme680' ? 'sensors.bme680.device' : 'sensors.uma8.source';
    throw new AgentError('configuration', `${key}: expected a device, found none: ${name} is switched off`);
  }
  return sensors;
}

/** Waits for the work, but once `signal` has aborted not longer than that. */
async function atMost(ms: number, work: Promise<void>, signal: AbortSignal): Promise<void> {
  const late = new Promise<void>((resolve) => {
    const wait = (): void => {
      setTimeout(resolve, ms).unref();
    };
    if (signal.aborted) wait();
    else signal.addEventListener('abort', wait, { once: true });
  });
  await Promise.race([work, late]);
}
