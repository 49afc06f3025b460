/** What each telemetry field means: its name for people, the unit shown, and how the stored value becomes the shown one. */

export interface FieldMeaning {
  readonly label: string;
  /** Short form for tight places. */
  readonly short: string;
  /** Empty for counts without a unit. */
  readonly unit: string;
  /** From the wire's unit to the shown one. */
  readonly scale: number;
  /** Digits after the point. */
  readonly digits: number;
  /** Fields of one stream with the same group share a chart. */
  readonly group: string;
}

const meanings: Readonly<Record<string, FieldMeaning>> = {
  pm1_ugm3: { label: 'PM1', short: 'PM1', unit: 'µg/m³', scale: 1, digits: 1, group: 'Particulate matter' },
  pm2_5_ugm3: { label: 'PM2.5', short: 'PM2.5', unit: 'µg/m³', scale: 1, digits: 1, group: 'Particulate matter' },
  pm4_ugm3: { label: 'PM4', short: 'PM4', unit: 'µg/m³', scale: 1, digits: 1, group: 'Particulate matter' },
  pm10_ugm3: { label: 'PM10', short: 'PM10', unit: 'µg/m³', scale: 1, digits: 1, group: 'Particulate matter' },
  temperature_c: { label: 'Temperature', short: 'Temp.', unit: '°C', scale: 1, digits: 1, group: 'Temperature' },
  humidity_ratio: {
    label: 'Relative humidity',
    short: 'Humidity',
    unit: '%',
    scale: 100,
    digits: 1,
    group: 'Relative humidity',
  },
  pressure_pa: { label: 'Air pressure', short: 'Pressure', unit: 'hPa', scale: 0.01, digits: 1, group: 'Air pressure' },
  gas_resistance_ohm: {
    label: 'Gas resistance',
    short: 'Gas',
    unit: 'kΩ',
    scale: 0.001,
    digits: 1,
    group: 'Gas resistance',
  },
  gas_valid: {
    label: 'Gas reading valid',
    short: 'Gas valid',
    unit: '',
    scale: 1,
    digits: 0,
    group: 'Gas sensor flags',
  },
  heater_stable: { label: 'Heater stable', short: 'Heater', unit: '', scale: 1, digits: 0, group: 'Gas sensor flags' },
  level_dbfs: { label: 'Sound level', short: 'Level', unit: 'dBFS', scale: 1, digits: 1, group: 'Sound level' },
  cpu_ratio: { label: 'CPU', short: 'CPU', unit: '%', scale: 100, digits: 1, group: 'CPU' },
  memory_bytes: { label: 'Memory', short: 'Memory', unit: 'MiB', scale: 1 / 1_048_576, digits: 0, group: 'Memory' },
  disk_free_bytes: {
    label: 'Disk free',
    short: 'Disk free',
    unit: 'GiB',
    scale: 1 / 1_073_741_824,
    digits: 1,
    group: 'Disk free',
  },
  soc_temperature_c: {
    label: 'Processor temperature',
    short: 'SoC temp.',
    unit: '°C',
    scale: 1,
    digits: 1,
    group: 'Processor temperature',
  },
  outbox_depth: { label: 'Outbox depth', short: 'Outbox', unit: 'records', scale: 1, digits: 0, group: 'Outbox depth' },
};

/** Units by the ending of a field's name, for fields this page has never heard of. */
const endings: readonly (readonly [RegExp, string, number, number])[] = [
  [/_ugm3$/, 'µg/m³', 1, 1],
  [/_c$/, '°C', 1, 1],
  [/_pa$/, 'hPa', 0.01, 1],
  [/_ratio$/, '%', 100, 1],
  [/_ohm$/, 'kΩ', 0.001, 1],
  [/_dbfs$/, 'dBFS', 1, 1],
  [/_bytes$/, 'MiB', 1 / 1_048_576, 1],
  [/_hz$/, 'Hz', 1, 1],
  [/_ms$/, 'ms', 1, 1],
  [/_s$/, 's', 1, 2],
];

/** The meaning of a field of the wire; unknown ones are read from their name, whose unit comes last. */
export function fieldMeaning(field: string): FieldMeaning {
  const known = meanings[field];
  if (known) return known;
  const channel = /^ch(\d+)_dbfs$/.exec(field);
  if (channel) {
    const label = `Ch ${Number(channel[1])}`;
    return { label, short: label, unit: 'dBFS', scale: 1, digits: 1, group: 'Sound level' };
  }
  for (const [ending, unit, scale, digits] of endings) {
    if (!ending.test(field)) continue;
    const words = field.replace(ending, '').replaceAll('_', ' ');
    const label = words.charAt(0).toUpperCase() + words.slice(1);
    return { label, short: label, unit, scale, digits, group: label };
  }
  const label = field.replaceAll('_', ' ');
  return { label, short: label, unit: '', scale: 1, digits: 2, group: label };
}

const suffixes: Readonly<Record<string, string>> = {
  '°C': '_c',
  Pa: '_pa',
  '1': '_ratio',
  Ω: '_ohm',
  'µg/m³': '_ugm3',
  dBFS: '_dbfs',
};

/** The catalogue's name of a field whose unit is told apart from its name: `pressure` in `Pa` → `pressure_pa`. */
export function fieldWithUnit(field: string, unit: string): string {
  const suffix = suffixes[unit] ?? '';
  return field.endsWith(suffix) ? field : `${field}${suffix}`;
}

const places = new Map(Object.keys(meanings).map((field, place) => [field, place]));

/** The order in which fields are shown: as in the catalogue, then by name, channels by number. */
export function compareFields(one: string, other: string): number {
  const last = places.size;
  return (places.get(one) ?? last) - (places.get(other) ?? last) || one.localeCompare(other, 'en', { numeric: true });
}

/** `bme680/environment` → `BME680 environment`. */
export function streamTitle(stream: string): string {
  const [device = '', ...rest] = stream.replace(/^\//, '').split('/');
  const names: Readonly<Record<string, string>> = {
    uma8: 'UMA-8',
    bme680: 'BME680',
    plantower: 'Plantower',
    sds011: 'SDS011',
    sps30: 'SPS30',
    health: 'Health',
  };
  return [names[device] ?? device, ...rest].join(' ').replaceAll('_', ' ');
}
