/**
 * One BME680 on an open bus: making sure it is one, bringing it into a known state, and having it measure. Knows nothing
 * of schedules and diagnostics.
 */
import { DriverError } from '../error.ts';
import type { Pause } from '../pause.ts';
import { type Calibration, checkCalibration, type Parsed, parseCalibration } from './calibration.ts';
import {
  type MeasurementSettings,
  measureControl,
  measurementMs,
  type RegisterWrite,
  settingWrites,
} from './control.ts';
import { checkReading, compensate, type Field, parseField, type Reading } from './field.ts';
import type { PatientBus } from './patient-bus.ts';
import {
  CALIBRATION_BYTES,
  CALIBRATION_RUNS,
  CHIP_ID,
  FIELD_BYTES,
  type GasVariant,
  RESET_MS,
  Register,
  SOFT_RESET,
} from './registers.ts';

/** Other chips that sit at the same addresses. */
const KNOWN_CHIP_IDS: Readonly<Record<number, string>> = { 96: 'a BME280', 88: 'a BMP280', 86: 'a BMP280' };
/** Between two looks at whether a measurement is done, ms, and how long past its time it may take. */
const POLL_MS = 5;
const OVERDUE_MS = 250;
/** Equal raw results in a row that no living converter gives. */
const FROZEN_READINGS = 30;
/** Ambient temperature assumed for the first heating, °C. */
const FIRST_AMBIENT_C = 25;
/** The span of registers that hold the settings. */
const SETTINGS_START = Register.heaterResistance0;
const SETTINGS_LENGTH = Register.config - SETTINGS_START + 1;
/** Bits that the chip keeps as written. */
const KEPT_BITS: Readonly<Record<number, number>> = {
  [Register.ctrlHum]: 0x07,
  [Register.ctrlMeas]: 0xfc,
  [Register.config]: 0x1c,
  [Register.ctrlGas0]: 0x08,
  [Register.ctrlGas1]: 0x3f,
};

export class Bme680Chip {
  variant: GasVariant = 'low';
  private readonly bus: PatientBus;
  private readonly settings: MeasurementSettings;
  private readonly pause: Pause;
  private calibration: Calibration | null = null;
  private ambientC = FIRST_AMBIENT_C;
  private written: readonly RegisterWrite[] = [];
  private lastRaw = '';
  private equalReadings = 0;

  constructor(bus: PatientBus, settings: MeasurementSettings, pause: Pause) {
    this.bus = bus;
    this.settings = settings;
    this.pause = pause;
  }

  /**
   * Resets the chip, checks its id, reads its calibration and writes the settings (data sheet 3.2.1 and 5.3.2.5).
   *
   * @throws {DriverError} `wrong-chip-id`, `garbage` calibration, or what the bus throws
   */
  async start(signal: AbortSignal): Promise<void> {
    await this.checkId();
    await this.bus.write(Register.softReset, SOFT_RESET);
    await this.pause(RESET_MS, signal);
    await this.checkId();
    const [variant] = await this.bus.read(Register.variantId, 1);
    this.variant = variant === 1 ? 'high' : 'low';
    this.calibration = await this.readCalibration();
    this.written = [];
    await this.writeSettings();
  }

  /**
   * One forced measurement: seeds the heater with the last temperature, starts, waits, reads, compensates.
   *
   * @param onStart called when the conversion starts, the moment that the reading belongs to
   * @returns the reading, or null when `signal` aborted meanwhile
   * @throws {DriverError} `chip-reset` when the chip lost its settings, `no-new-data` when it does not finish, `garbage`
   * when the result cannot be true, `frozen` when results repeat, or what the bus throws
   */
  async measure(signal: AbortSignal, onStart: () => void): Promise<Reading | null> {
    const calibration = this.calibration;
    if (!calibration) throw new DriverError('chip-reset', 'the chip was not started', { retryable: true });
    await this.checkSettings();
    await this.writeSettings();
    await this.bus.write(Register.ctrlMeas, measureControl(this.settings, 'forced'));
    onStart();
    const field = await this.awaitField(signal);
    if (!field) return null;
    const reading = believed(checkReading(field, compensate(field, this.variant, calibration)));
    this.ambientC = reading.temperatureC;
    return reading;
  }

  private async checkId(): Promise<void> {
    const [found = 0] = await this.bus.read(Register.chipId, 1);
    if (found === CHIP_ID) return;
    const name = KNOWN_CHIP_IDS[found];
    const message = `chip id: expected 0x61, found 0x${hex(found)}${name ? `, ${name}` : ''}`;
    throw new DriverError('wrong-chip-id', message);
  }

  /** Reads the calibration twice: a bit lost on the way would bend every later number. */
  private async readCalibration(): Promise<Calibration> {
    const bytes = await this.readCalibrationBytes();
    const again = await this.readCalibrationBytes();
    if (!bytes.every((byte, index) => byte === again[index])) {
      throw new DriverError('garbage', 'calibration: expected the same bytes twice, found two different readings');
    }
    return believed(checkCalibration(bytes, believed(parseCalibration(bytes))));
  }

  private async readCalibrationBytes(): Promise<Uint8Array> {
    const bytes = new Uint8Array(CALIBRATION_BYTES);
    let at = 0;
    for (const run of CALIBRATION_RUNS) {
      bytes.set(await this.bus.read(run.register, run.length), at);
      at += run.length;
    }
    return bytes;
  }

  /** Writes the settings that differ from what the chip holds. */
  private async writeSettings(): Promise<void> {
    const calibration = this.calibration;
    if (!calibration) return;
    const wanted = settingWrites(this.settings, this.ambientC, this.variant, calibration);
    for (const write of wanted) {
      const held = this.written.find(({ register }) => register === write.register);
      if (held?.value !== write.value) await this.bus.write(write.register, write.value);
    }
    this.written = wanted;
  }

  /** Reads the settings back: a chip that was swapped, or browned out, has lost them. */
  private async checkSettings(): Promise<void> {
    const held = await this.bus.read(SETTINGS_START, SETTINGS_LENGTH);
    for (const { register, value } of this.written) {
      const kept = KEPT_BITS[register] ?? 0xff;
      const found = held[register - SETTINGS_START] ?? 0;
      if ((found & kept) !== (value & kept)) {
        const message = `register 0x${hex(register)}: expected 0x${hex(value & kept)} as written, found 0x${hex(found)}`;
        throw new DriverError('chip-reset', message);
      }
    }
  }

  private async awaitField(signal: AbortSignal): Promise<Field | null> {
    const expectedMs = measurementMs(this.settings);
    await this.pause(Math.ceil(expectedMs), signal);
    for (let waitedMs = 0; !signal.aborted; waitedMs += POLL_MS) {
      const bytes = await this.bus.read(Register.field0, FIELD_BYTES);
      const field = believed(parseField(bytes, this.variant));
      if (field.newData) {
        this.checkFrozen(bytes);
        return field;
      }
      if (waitedMs >= OVERDUE_MS) {
        const state = field.measuring ? 'still measuring' : 'no new data';
        const message = `measurement: expected within ${expectedMs.toFixed(0)} ms, found ${state} ${OVERDUE_MS} ms later`;
        throw new DriverError('no-new-data', message);
      }
      await this.pause(POLL_MS, signal);
    }
    return null;
  }

  private checkFrozen(bytes: Uint8Array): void {
    const raw = Buffer.from(bytes.subarray(2)).toString('hex');
    this.equalReadings = raw === this.lastRaw ? this.equalReadings + 1 : 0;
    this.lastRaw = raw;
    if (this.equalReadings < FROZEN_READINGS) return;
    this.equalReadings = 0;
    throw new DriverError('frozen', `results: expected them to vary, found ${FROZEN_READINGS} the same in a row`);
  }
}

function believed<T>(parsed: Parsed<T>): T {
  if (parsed.ok) return parsed.value;
  throw new DriverError(parsed.code, parsed.message);
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
