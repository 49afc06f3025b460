/** Which of a vehicle's many values stand for it at a glance. */
import type { LatestStream } from '../../api/types.ts';

export interface Glance {
  readonly stream: string;
  readonly field: string;
  readonly label: string;
  readonly value: number | null;
  /** RFC 3339. */
  readonly at: string;
}

const wanted = ['pm2_5_ugm3', 'temperature_c', 'humidity_ratio', 'pressure_pa'] as const;
const words: Readonly<Record<string, string>> = {
  pm2_5_ugm3: 'PM2.5',
  temperature_c: 'Temperature',
  humidity_ratio: 'Humidity',
  pressure_pa: 'Pressure',
};

/** PM2.5, temperature, humidity, pressure and the sound level (its loudest channel), as far as the vehicle has them. */
export function glanceOf(streams: readonly LatestStream[]): Glance[] {
  const glances: Glance[] = [];
  for (const field of wanted) {
    const found = streams.find(({ values }) => field in values);
    if (!found) continue;
    glances.push({
      stream: found.stream,
      field,
      label: words[field] ?? field,
      value: found.values[field] ?? null,
      at: found.captured_at,
    });
  }
  const sound = streams.find(({ values }) => 'ch0_dbfs' in values);
  if (sound) {
    const [loudest] = Object.entries(sound.values)
      .filter(([field]) => field.endsWith('_dbfs'))
      .toSorted(([, one], [, other]) => (other ?? -200) - (one ?? -200));
    if (loudest) {
      const [field, value] = loudest;
      glances.push({ stream: sound.stream, field, label: 'Sound level', value, at: sound.captured_at });
    }
  }
  return glances;
}

/** Values older than this are shown as old. */
export const oldAfterMs = 60_000;
