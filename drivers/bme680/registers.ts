/** Where things are in a BME680: register addresses, bits and identities. Source: BME680 data sheet, section 5. */

/** 7-bit address with SDO at ground, and with SDO at the supply. */
export const ADDRESS_LOW = 0x76;
export const ADDRESS_HIGH = 0x77;

/** What register 0xD0 must read. A BME688 says the same; `Register.variantId` tells them apart. */
export const CHIP_ID = 0x61;
/** Written to `Register.softReset`; the chip then needs `RESET_MS`. */
export const SOFT_RESET = 0xb6;
export const RESET_MS = 10;

export const Register = {
  /** 17 bytes: status, measurement index, pressure, temperature, humidity, gas. */
  field0: 0x1d,
  /** Heater resistance code of profile step 0. */
  heaterResistance0: 0x5a,
  /** Heater duration code of profile step 0. */
  gasWait0: 0x64,
  /** Bit 3: heater off. */
  ctrlGas0: 0x70,
  /** Bits 5–4: run gas, bits 3–0: profile step. */
  ctrlGas1: 0x71,
  /** Bits 2–0: humidity oversampling. */
  ctrlHum: 0x72,
  /** Bits 7–5: temperature oversampling, 4–2: pressure oversampling, 1–0: mode. Starts the measurement. */
  ctrlMeas: 0x74,
  /** Bits 4–2: filter. */
  config: 0x75,
  chipId: 0xd0,
  softReset: 0xe0,
  variantId: 0xf0,
} as const;

/** The three runs of calibration registers, in the order in which `parseCalibration` wants their 42 bytes. */
export const CALIBRATION_RUNS = [
  { register: 0x8a, length: 23 },
  { register: 0xe1, length: 14 },
  { register: 0x00, length: 5 },
] as const;
export const CALIBRATION_BYTES = 42;
export const FIELD_BYTES = 17;

/** Bits of field byte 0. */
export const NEW_DATA = 0x80;
export const GAS_MEASURING = 0x40;
export const MEASURING = 0x20;
/** Bits of the gas bytes (14 in a BME680, 16 in a BME688). */
export const GAS_VALID = 0x20;
export const HEATER_STABLE = 0x10;

export const MODE_MASK = 0x03;
export const MODE_FORCED = 0x01;
export const HEATER_OFF = 0x08;

/** Which gas front end the chip has: `low` is the BME680, `high` the BME688. */
export type GasVariant = 'low' | 'high';
