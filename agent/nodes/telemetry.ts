/** What of the samples goes to central at once: rows of named numbers, units last. */
import type { EnvironmentSample, ParticulateSample, Stamp } from '../../drivers/sample.ts';

/** Takes one row of a telemetry stream; must not throw and must not block. */
export type AppendTelemetry = (stream: string, stamp: Stamp, values: Readonly<Record<string, number>>) => void;

/** The fields of stream `bme680/environment`; flags are 0 or 1, gas resistance NaN while it is not valid. */
export function environmentValues(sample: EnvironmentSample): Record<string, number> {
  return {
    temperature_c: sample.temperatureC,
    humidity_ratio: sample.humidity,
    pressure_pa: sample.pressurePa,
    gas_resistance_ohm: sample.gasValid ? sample.gasResistanceOhm : Number.NaN,
    gas_valid: sample.gasValid ? 1 : 0,
    heater_stable: sample.heaterStable ? 1 : 0,
  };
}

/** The fields of stream `<model>/particulate`, in µg/m³; what the device does not measure is left out. */
export function particulateValues(sample: ParticulateSample): Record<string, number> {
  const values = {
    pm1_ugm3: sample.pm1UgM3,
    pm2_5_ugm3: sample.pm25UgM3,
    pm4_ugm3: sample.pm4UgM3,
    pm10_ugm3: sample.pm10UgM3,
  };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => !Number.isNaN(value)));
}
