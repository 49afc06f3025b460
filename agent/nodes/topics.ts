/** The topics of the vehicle: their names, ROS types and encodings. */
import type { AudioChunk, Diagnostic, EnvironmentSample, ParticulateSample, Stamp } from '../../drivers/sample.ts';
import type { Topic } from '../graph.ts';
import {
  encodeDiagnosticArray,
  encodeGasResistance,
  encodeHumidity,
  encodeImpact,
  encodeParticulateMatter,
  encodePressure,
  encodeRawAudio,
  encodeSynchronizedSet,
  encodeTemperature,
  encodeTimeReference,
  type ImpactSample,
  type SynchronizedSetSample,
} from '../messages/messages.ts';

/** The particulate sensors there are. */
export type ParticulateModel = 'plantower' | 'sds011' | 'sps30';

export const audioTopic: Topic<AudioChunk> = {
  name: '/uma8/audio',
  type: 'foxglove_msgs/msg/RawAudio',
  encode: encodeRawAudio,
};

export const temperatureTopic: Topic<EnvironmentSample> = {
  name: '/bme680/temperature',
  type: 'sensor_msgs/msg/Temperature',
  encode: (sample) => encodeTemperature(sample, 'bme680'),
};

export const humidityTopic: Topic<EnvironmentSample> = {
  name: '/bme680/humidity',
  type: 'sensor_msgs/msg/RelativeHumidity',
  encode: (sample) => encodeHumidity(sample, 'bme680'),
};

export const pressureTopic: Topic<EnvironmentSample> = {
  name: '/bme680/pressure',
  type: 'sensor_msgs/msg/FluidPressure',
  encode: (sample) => encodePressure(sample, 'bme680'),
};

export const gasTopic: Topic<EnvironmentSample> = {
  name: '/bme680/gas',
  type: 'fender_msgs/msg/GasResistance',
  encode: (sample) => encodeGasResistance(sample, 'bme680'),
};

/** `/<model>/particulate`. */
export function particulateTopic(model: ParticulateModel): Topic<ParticulateSample> {
  return {
    name: `/${model}/particulate`,
    type: 'fender_msgs/msg/ParticulateMatter',
    encode: (sample) => encodeParticulateMatter(sample, model),
  };
}

export const impactTopic: Topic<ImpactSample> = {
  name: '/fender/impacts',
  type: 'fender_msgs/msg/Impact',
  encode: (event) => encodeImpact(event, event.kind === 'air' || event.kind === 'drift' ? '' : 'uma8'),
};

export const synchronizedSetTopic: Topic<SynchronizedSetSample> = {
  name: '/fender/sets',
  type: 'fender_msgs/msg/SynchronizedSet',
  encode: encodeSynchronizedSet,
};

/** Diagnostics of one moment. */
export interface DiagnosticSet {
  readonly stamp: Stamp;
  /** Name of the vehicle. */
  readonly vehicle: string;
  readonly diagnostics: readonly Diagnostic[];
}

export const diagnosticsTopic: Topic<DiagnosticSet> = {
  name: '/diagnostics',
  type: 'diagnostic_msgs/msg/DiagnosticArray',
  encode: ({ stamp, vehicle, diagnostics }) => encodeDiagnosticArray(stamp, vehicle, diagnostics),
};

export const timeReferenceTopic: Topic<Stamp> = {
  name: '/fender/time_reference',
  type: 'sensor_msgs/msg/TimeReference',
  encode: encodeTimeReference,
};
