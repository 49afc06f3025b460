/** What the numbers of known message types mean: unit, scale and name, from the dashboard's catalogue or from ROS's own rules. */
import { fieldMeaning } from '../../format/field-catalogue.ts';
import type { FieldInfo } from './bag-model.ts';

/** Fields that the dashboard knows from telemetry, by type and name. */
const catalogued: Readonly<Record<string, string>> = {
  'Temperature temperature': 'temperature_c',
  'RelativeHumidity relative_humidity': 'humidity_ratio',
  'FluidPressure fluid_pressure': 'pressure_pa',
  'GasResistance gas_resistance': 'gas_resistance_ohm',
  'GasResistance gas_valid': 'gas_valid',
  'GasResistance heater_stable': 'heater_stable',
  'ParticulateMatter pm1': 'pm1_ugm3',
  'ParticulateMatter pm2_5': 'pm2_5_ugm3',
  'ParticulateMatter pm4': 'pm4_ugm3',
  'ParticulateMatter pm10': 'pm10_ugm3',
};

/** Units of ROS's standard messages (REP 103), by the end of type and field. */
const units: readonly (readonly [RegExp, string, number])[] = [
  [/ linear_acceleration\.[xyz]$/, 'm/s²', 3],
  [/ angular_velocity\.[xyz]$/, 'rad/s', 4],
  [/ (latitude|longitude)$/, '°', 7],
  [/ altitude$/, 'm', 2],
  [/Twist\w* .*linear\.[xyz]$/, 'm/s', 3],
  [/Twist\w* .*angular\.[xyz]$/, 'rad/s', 4],
  [/Odometry .*position\.[xyz]$/, 'm', 3],
  [/MagneticField magnetic_field\.[xyz]$/, 'T', 8],
  [/Illuminance illuminance$/, 'lx', 1],
  [/BatteryState voltage$/, 'V', 2],
  [/BatteryState current$/, 'A', 2],
  [/ParticulateMatter count_per_cm3/, '1/cm³', 1],
  [/ParticulateMatter pm\w+_standard$/, 'µg/m³', 1],
  [/ParticulateMatter (typical_size|count_(from|to))/, 'µm', 2],
];

/** Bookkeeping, and what says how sure the rest is. */
const rarelyWanted =
  /covariance|variance$|_standard$|typical_size|count_(from|to)|count_per|position_covariance_type|^status\.|gas_valid|heater_stable|^time_ref|\bis_|^sequences?\b|^stamps\b|_ns\b|^missed_|^skew$|dlc|^id$|^err/;

/** Channel `channel` of a sound. */
export function soundField(channel: number): FieldInfo {
  return {
    name: `ch${channel}`,
    unit: '',
    scale: 1,
    digits: 4,
    label: `Channel ${channel}`,
    group: `ch${channel}`,
    usual: channel === 0,
  };
}

/** @param type `package/msg/Name`; @param name as in the message; @param whole for integers and flags. */
export function fieldInfo(type: string, name: string, whole: boolean): FieldInfo {
  const full = `${type.split('/').at(-1)} ${name}`;
  const known = catalogued[full];
  const usual = !rarelyWanted.test(name);
  if (known !== undefined) {
    const { label, unit, scale, digits, group } = fieldMeaning(known);
    return { name, unit, scale, digits, label, group, usual };
  }
  const [, unit = '', digits = whole ? 0 : 3] = units.find(([pattern]) => pattern.test(full)) ?? [];
  return { name, unit, scale: 1, digits, label: name, group: parentOf(name), usual };
}

/** Members of one structure or array share a row: `angular_velocity.x` is of group `angular_velocity`. */
function parentOf(name: string): string {
  const parent = name.replace(/(\.[^.[]+|\[\d+\])$/, '');
  return parent === '' ? name : parent;
}
