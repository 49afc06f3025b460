/** The ROS side of a whole agent: all its nodes, the topics of others, and the services that control the recording. */
import type { Clock, Diagnostic } from '../../drivers/sample.ts';
import type { AgentConfig } from '../config/schema.ts';
import type { Graph } from '../graph.ts';
import type { SensorNode } from '../nodes/sensor-node.ts';
import { rosSurroundings } from './environment.ts';
import { agentDescriptions, RECORDER_NODE, type RosNodeDescription, sensorDescriptions } from './node-plan.ts';
import { RosBridge } from './ros-bridge.ts';

/** What the recorder's services do; each answers with what to tell the caller, and rejects with why not. */
export interface RosControl {
  start(): Promise<string>;
  stop(): Promise<string>;
  snapshot(): Promise<string>;
}

/** What the agent gives. */
export interface AgentBridgeParts {
  readonly graph: Graph;
  readonly clock: Clock;
  readonly report: (diagnostic: Diagnostic) => void;
  /** The settings that `sensors` open with; parameters change them. */
  readonly sensorSettings: AgentConfig['sensors'];
  readonly sensors: readonly SensorNode[];
  readonly control: RosControl;
  /** Nodes of other parts, with their topics and parameters. */
  readonly nodes: readonly RosNodeDescription[];
}

/** The bridge; nothing runs before its `start`. */
export function agentBridge(config: AgentConfig, parts: AgentBridgeParts): RosBridge {
  const { graph, clock, report, control } = parts;
  return new RosBridge(
    {
      settings: config.graph.ros2,
      nodes: [...sensorDescriptions(parts.sensorSettings, parts.sensors), ...agentDescriptions(config), ...parts.nodes],
      surroundings: rosSurroundings(),
    },
    { graph, clock, report, serve: (node, service) => serve(control, node, service) },
  );
}

async function serve(control: RosControl, node: string, service: string) {
  if (node !== RECORDER_NODE) return { success: false, message: `${node} has no service ${service}` };
  switch (service) {
    case 'start':
      return { success: true, message: await control.start() };
    case 'stop':
      return { success: true, message: await control.stop() };
    case 'snapshot':
      return { success: true, message: await control.snapshot() };
    default:
      return { success: false, message: `expected start, stop or snapshot, found ${service}` };
  }
}
