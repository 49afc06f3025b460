/** Says which ROS nodes there are, what each publishes, and which settings it shows as parameters. */
import { offeredQos } from '../bag/channel-table.ts';
import type { AgentConfig } from '../config/schema.ts';
import type { SensorNode } from '../nodes/sensor-node.ts';
import {
  audioTopic,
  diagnosticsTopic,
  gasTopic,
  humidityTopic,
  impactTopic,
  particulateTopic,
  pressureTopic,
  temperatureTopic,
  timeReferenceTopic,
} from '../nodes/topics.ts';
import type { ParameterScalar, PlannedNode, PlannedParameter, PlannedTopic } from './protocol.ts';

/** A parameter whose value lives in the agent. */
export interface NodeParameter extends Omit<PlannedParameter, 'value'> {
  read(): ParameterScalar;
  /** Takes a value that is within `range`; false when it cannot be used. */
  write(value: ParameterScalar): boolean;
}

/** A ROS node of this vehicle. */
export interface RosNodeDescription {
  readonly name: string;
  readonly topics: readonly { readonly name: string; readonly type: string }[];
  readonly parameters: readonly NodeParameter[];
  readonly triggers: readonly string[];
}

type Sensors = AgentConfig['sensors'];

/** The node whose name stands for the vehicle's own state. */
export const HEALTH_NODE = 'health';
/** The node that records, and so subscribes to the topics of others. */
export const RECORDER_NODE = 'recorder';

/** The sensors' nodes. `sensors` are the settings that the sensor nodes open with; a written parameter changes them there. */
export function sensorDescriptions(sensors: Sensors, running: readonly SensorNode[]): RosNodeDescription[] {
  const reopen = (name: string) => () => running.find((node) => node.name === name)?.reopen();
  const { particulate, bme680, uma8 } = sensors;
  const descriptions: RosNodeDescription[] = [];
  if (particulate.model !== 'none') {
    const name = particulate.model;
    descriptions.push({
      name,
      topics: [particulateTopic(name)],
      parameters: [
        setting(particulate, 'period_s', 'Time between readings in s.', reopen(name), [0.2, 3600]),
        setting(particulate, 'device', 'The serial device, or emulated.', reopen(name)),
        setting(particulate, 'mode', 'Whether the sensor sends by itself or is asked.', reopen(name)),
      ],
      triggers: [],
    });
  }
  if (bme680.device !== 'none') {
    descriptions.push({
      name: 'bme680',
      topics: [temperatureTopic, humidityTopic, pressureTopic, gasTopic],
      parameters: [
        setting(bme680, 'period_s', 'Time between readings in s.', reopen('bme680'), [0.5, 3600]),
        constant('device', String(bme680.device), 'The I²C bus number, or emulated.'),
        constant('address', bme680.address, 'The I²C address.'),
        constant('heater_temperature_c', bme680.heater_temperature_c, 'Temperature of the hot plate in °C.'),
        constant('heater_duration_ms', bme680.heater_duration_ms, 'Heating time before gas is measured in ms.'),
      ],
      triggers: [],
    });
  }
  if (uma8.source !== 'none') {
    descriptions.push({
      name: 'uma8',
      topics: [audioTopic],
      parameters: [
        constant('source', uma8.source, 'Where sound comes from.'),
        setting(uma8, 'device', 'The ALSA device.', reopen('uma8')),
        constant('sample_rate_hz', uma8.sample_rate_hz, 'Sampling rate in Hz.'),
        constant('channels', uma8.channels, 'Channels captured.'),
      ],
      triggers: [],
    });
  }
  return descriptions;
}

/** The nodes of the agent that are no sensors. */
export function agentDescriptions({ recorder, detector, clock }: AgentConfig): RosNodeDescription[] {
  return [
    {
      name: RECORDER_NODE,
      topics: [],
      parameters: [
        constant('segment_s', recorder.segment_s, 'A segment is closed after this time in s.'),
        constant('segment_bytes', recorder.segment_bytes, 'A segment is closed at this size in bytes.'),
        constant('disk_share', recorder.disk_share, 'Share of the disk that recordings may take.'),
      ],
      triggers: ['start', 'stop', 'snapshot'],
    },
    {
      name: 'detector',
      topics: [impactTopic],
      parameters: [
        constant('enabled', detector.enabled, 'Whether impacts are detected.'),
        constant('model', detector.model, 'The ONNX model file.'),
        constant('pre_roll_s', detector.pre_roll_s, 'What a clip holds before the impact in s.'),
        constant('post_roll_s', detector.post_roll_s, 'What a clip holds after the impact in s.'),
      ],
      triggers: [],
    },
    {
      name: HEALTH_NODE,
      topics: [diagnosticsTopic, timeReferenceTopic],
      parameters: [constant('clock_step_threshold_ms', clock.step_threshold_ms, 'A larger jump is a step, in ms.')],
      triggers: [],
    },
  ];
}

/** What the ROS process is told of the nodes, with the values of now. */
export function plannedNodes(descriptions: readonly RosNodeDescription[]): PlannedNode[] {
  return descriptions.map(({ name, parameters, triggers }) => ({
    name,
    parameters: parameters.map(({ read, write: _write, ...parameter }) => ({ ...parameter, value: read() })),
    triggers,
  }));
}

/** The topics of the nodes with the QoS that bags say they have. */
export function plannedTopics(descriptions: readonly RosNodeDescription[]): PlannedTopic[] {
  return descriptions.flatMap(({ name: node, topics }) =>
    topics.map(({ name, type }) => plannedTopic(node, name, type)),
  );
}

/** One topic of a node. */
export function plannedTopic(node: string, topic: string, type: string): PlannedTopic {
  const [qos] = offeredQos(type);
  const reliability = qos?.reliability === 'best_effort' ? 'best_effort' : 'reliable';
  return { node, topic, type, reliability, depth: Number(qos?.depth) };
}

/** A setting of a sensor. Those with a range may be set at any time, the others when the node starts. */
function setting<Name extends string, Settings extends Record<Name, ParameterScalar>>(
  settings: Settings,
  name: Name,
  description: string,
  apply: () => void,
  range?: readonly [number, number],
): NodeParameter {
  return {
    name,
    description,
    readOnly: range === undefined,
    ...(range === undefined ? { isOverridable: true } : { range }),
    read: () => settings[name],
    write: (value) => {
      if (settings[name] === value) return true;
      Object.assign(settings, { [name]: value });
      apply();
      return true;
    },
  };
}

/** A setting that only the configuration file sets. */
function constant(name: string, value: ParameterScalar, description: string): NodeParameter {
  return { name, description, readOnly: true, read: () => value, write: () => false };
}
