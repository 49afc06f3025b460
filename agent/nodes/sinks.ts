/** Where the drivers put their samples: onto topics, and as telemetry rows. */
import type { AudioChunk, Diagnostic, EnvironmentSample, ParticulateSample, Sink } from '../../drivers/sample.ts';
import type { Graph } from '../graph.ts';
import { SoundLevelMeter } from './sound-level.ts';
import { type AppendTelemetry, environmentValues, particulateValues } from './telemetry.ts';
import {
  audioTopic,
  gasTopic,
  humidityTopic,
  type ParticulateModel,
  particulateTopic,
  pressureTopic,
  temperatureTopic,
} from './topics.ts';

/** What a sensor's sink is connected to. */
export interface SinkParts {
  readonly graph: Graph;
  readonly appendTelemetry: AppendTelemetry;
  readonly report: (diagnostic: Diagnostic) => void;
}

/** Four topics and one row a reading. */
export function environmentSink({ graph, appendTelemetry, report }: SinkParts): Sink<EnvironmentSample> {
  const publish = [temperatureTopic, humidityTopic, pressureTopic, gasTopic].map((topic) => graph.advertise(topic));
  return {
    sample: (sample) => {
      for (const each of publish) each(sample.stamp, sample);
      appendTelemetry('bme680/environment', sample.stamp, environmentValues(sample));
    },
    diagnostic: report,
  };
}

/** One topic and one row a reading. */
export function particulateSink(model: ParticulateModel, parts: SinkParts): Sink<ParticulateSample> {
  const publish = parts.graph.advertise(particulateTopic(model));
  return {
    sample: (sample) => {
      publish(sample.stamp, sample);
      parts.appendTelemetry(`${model}/particulate`, sample.stamp, particulateValues(sample));
    },
    diagnostic: parts.report,
  };
}

/** One topic for the sound, one row a second for its levels. */
export function soundSink({ graph, appendTelemetry, report }: SinkParts): Sink<AudioChunk> {
  const publish = graph.advertise(audioTopic);
  const meter = new SoundLevelMeter();
  return {
    sample: (chunk) => {
      publish(chunk.stamp, chunk);
      const level = meter.add(chunk);
      if (level !== null) appendTelemetry('uma8/level', level.stamp, level.values);
    },
    diagnostic: report,
  };
}
