/** The sensors around an impact: every numeric reading of a clip as a series over the clip's own time. */
import type { SensorSeries } from '../api/schemas.ts';
import type { ClipMessage } from './clip-file.ts';
import { joinSound, levels, soundType } from './sound.ts';

/** What is shown of a message type: its fields, and the name and unit of each. */
const shownFields: Readonly<Record<string, readonly (readonly [field: string, shown: string, unit: string])[]>> = {
  'sensor_msgs/msg/Temperature': [['temperature', 'temperature', '°C']],
  'sensor_msgs/msg/RelativeHumidity': [['relative_humidity', 'humidity', '1']],
  'sensor_msgs/msg/FluidPressure': [['fluid_pressure', 'pressure', 'Pa']],
  'fender_msgs/msg/GasResistance': [['gas_resistance', 'gas_resistance', 'Ω']],
  'fender_msgs/msg/ParticulateMatter': [
    ['pm1', 'pm1', 'µg/m³'],
    ['pm2_5', 'pm2_5', 'µg/m³'],
    ['pm4', 'pm4', 'µg/m³'],
    ['pm10', 'pm10', 'µg/m³'],
  ],
};

/** The message types that are read from a clip. */
export const shownTypes: ReadonlySet<string> = new Set([...Object.keys(shownFields), soundType]);

const levelWindowS = 0.02;

/** `t_s` counts from `startNs` (UTC nanoseconds). Series whose every value is missing are left out. Sound level comes first. */
export function toSeries(messages: readonly ClipMessage[], startNs: bigint): SensorSeries[] {
  const series = new Map<string, SensorSeries>();
  const sound = joinSound(messages);
  if (sound !== null) {
    const offsetS = Number(sound.startNs - startNs) / 1e9;
    const { t_s, values } = levels(sound, levelWindowS);
    const topic = messages.find((message) => message.type === soundType)?.topic ?? '';
    series.set(topic, { topic, field: 'level', unit: 'dBFS', t_s: t_s.map((t) => t + offsetS), values });
  }
  for (const message of messages) {
    for (const [field, shown, unit] of shownFields[message.type] ?? []) {
      const key = `${message.topic} ${field}`;
      const one = series.get(key) ?? { topic: message.topic, field: shown, unit, t_s: [], values: [] };
      series.set(key, one);
      const value = message.fields[field];
      one.t_s.push(Number(stampNs(message) - startNs) / 1e9);
      one.values.push(typeof value === 'number' && Number.isFinite(value) ? value : null);
    }
  }
  return [...series.values()].filter((one) => one.values.some((value) => value !== null));
}

/** When it was measured: the header's stamp, or, without one, when it was logged. */
function stampNs({ fields, logTimeNs }: ClipMessage): bigint {
  const header = fields.header as { stamp?: { sec?: number; nanosec?: number; nsec?: number } } | undefined;
  const stamp = header?.stamp;
  if (stamp?.sec === undefined) return logTimeNs;
  return BigInt(stamp.sec) * 1_000_000_000n + BigInt(stamp.nanosec ?? stamp.nsec ?? 0);
}
