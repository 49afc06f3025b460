/**
 * A BME680 without the chip: it keeps the registers, takes writes and forced measurements as the chip does, and fills
 * the result registers from a slowly varying environment. Faults are set below the driver, on the bus and in the chip.
 */
import { DriverError } from '../error.ts';
import type { I2cBus, OpenI2cBus } from '../i2c.ts';
import type { Calibration } from './calibration.ts';
import { heaterResistanceCode } from './compensation.ts';
import { heaterDurationMs } from './control.ts';
import {
  type Environment,
  emulatedCalibration,
  emulatedEnvironment,
  encodeCalibration,
  invertCompensation,
} from './emulated-environment.ts';
import { SKIPPED_16_BITS, SKIPPED_20_BITS } from './field.ts';
import {
  ADDRESS_LOW,
  CALIBRATION_RUNS,
  CHIP_ID,
  GAS_MEASURING,
  GAS_VALID,
  type GasVariant,
  HEATER_OFF,
  HEATER_STABLE,
  MEASURING,
  MODE_FORCED,
  MODE_MASK,
  NEW_DATA,
  Register,
  SOFT_RESET,
} from './registers.ts';

/**
 * What is wrong, until it is set back to `none`: `no-answer` and `bus-error` fail every transfer, `hung-bus` never
 * finishes one, `wrong-chip-id` answers as a BME280, `empty-calibration` reads zeros, `garbage` puts random numbers into
 * the results, `stuck` never finishes a measurement, `frozen` repeats the same results.
 */
export type ChipFault =
  | 'none'
  | 'no-answer'
  | 'bus-error'
  | 'hung-bus'
  | 'wrong-chip-id'
  | 'empty-calibration'
  | 'garbage'
  | 'stuck'
  | 'frozen';

export interface Bme680EmulatorOptions {
  readonly address?: number;
  readonly variant?: GasVariant;
  readonly seed?: number;
  /** CLOCK_MONOTONIC in ns, which measurements take their time from. */
  readonly monotonicNs?: () => bigint;
  /** The environment `seconds` after the emulator was made. */
  readonly environmentAt?: (seconds: number) => Environment;
}

const BME280_CHIP_ID = 0x60;

export class Bme680Emulator {
  fault: ChipFault = 'none';
  readonly calibration: Calibration;
  /** The register file, as it would be read; tests may look and meddle. */
  readonly registers = new Uint8Array(256);
  /** Forced measurements started since it was made. */
  measurements = 0;
  private readonly address: number;
  private readonly variant: GasVariant;
  private readonly seed: number;
  private readonly monotonicNs: () => bigint;
  private readonly environmentAt: (seconds: number) => Environment;
  private readonly startedNs: bigint;
  private plugged = true;
  private transientFailures = 0;
  private measuringSinceNs: bigint | null = null;

  constructor(options: Bme680EmulatorOptions = {}) {
    this.address = options.address ?? ADDRESS_LOW;
    this.variant = options.variant ?? 'low';
    this.seed = options.seed ?? 1;
    this.monotonicNs = options.monotonicNs ?? (() => process.hrtime.bigint());
    this.environmentAt = options.environmentAt ?? ((seconds) => emulatedEnvironment(seconds, this.seed));
    this.calibration = emulatedCalibration(this.seed);
    this.startedNs = this.monotonicNs();
    this.reset();
  }

  /** Opens an in-memory bus with this chip alone on it, as `openI2cBus` opens a bus of the kernel. */
  readonly open: OpenI2cBus = async () => {
    const bus: I2cBus = {
      read: async (address, register, length) => this.read(address, register, length),
      write: async (address, register, bytes) => this.write(address, register, bytes),
      close: async () => {},
    };
    return bus;
  };

  /** Takes the chip off the bus; its registers are lost. */
  unplug(): void {
    this.plugged = false;
  }

  plugIn(): void {
    this.plugged = true;
    this.reset();
  }

  /** Lets the next `count` transfers fail as a stretched clock does. */
  failNext(count: number): void {
    this.transientFailures = count;
  }

  /** Puts every register back to its power-on value, as a brown-out does. */
  reset(): void {
    this.measuringSinceNs = null;
    this.registers.fill(0);
    const encoded = encodeCalibration(this.calibration);
    let at = 0;
    for (const run of CALIBRATION_RUNS) {
      this.registers.set(encoded.subarray(at, at + run.length), run.register);
      at += run.length;
    }
    this.registers[Register.chipId] = CHIP_ID;
    this.registers[Register.variantId] = this.variant === 'high' ? 1 : 0;
    for (const skipped of [2, 5, 8]) this.registers[Register.field0 + skipped] = 0x80;
  }

  /** One read transfer, as the chip answers it. */
  async read(address: number, register: number, length: number): Promise<Uint8Array> {
    await this.transfer(address);
    this.advance();
    const bytes = new Uint8Array(length);
    for (let index = 0; index < length; index += 1) bytes[index] = this.readByte((register + index) & 0xff);
    if (register <= Register.field0 && register + length > Register.field0) {
      this.registers[Register.field0] = this.at(Register.field0) & ~NEW_DATA;
    }
    return bytes;
  }

  /** One write transfer: `register`, its value, and then more pairs of register and value. */
  async write(address: number, register: number, bytes: Uint8Array): Promise<void> {
    await this.transfer(address);
    this.advance();
    let target = register;
    for (const [index, byte] of bytes.entries()) {
      if (index % 2 === 0) this.writeByte(target, byte);
      else target = byte;
    }
  }

  private async transfer(address: number): Promise<void> {
    if (this.fault === 'hung-bus') await new Promise(() => {});
    if (this.transientFailures > 0) {
      this.transientFailures -= 1;
      throw new DriverError('no-answer', 'Remote I/O error (emulated)');
    }
    if (!this.plugged || this.fault === 'no-answer' || address !== this.address) {
      throw new DriverError('no-answer', 'Remote I/O error (emulated)');
    }
    if (this.fault === 'bus-error') throw new DriverError('bus-error', 'Input/output error (emulated)');
  }

  private at(register: number): number {
    return this.registers[register] ?? 0;
  }

  private readByte(register: number): number {
    if (this.fault === 'wrong-chip-id' && register === Register.chipId) return BME280_CHIP_ID;
    if (this.fault === 'empty-calibration') {
      const inRun = CALIBRATION_RUNS.some((run) => register >= run.register && register < run.register + run.length);
      if (inRun) return 0;
    }
    return this.at(register);
  }

  private writeByte(register: number, value: number): void {
    if (register === Register.softReset) {
      if (value === SOFT_RESET) this.reset();
      return;
    }
    // Only the control registers can be written.
    if (register < 0x50 || register > Register.config) return;
    this.registers[register] = value;
    if (register !== Register.ctrlMeas || (value & MODE_MASK) !== MODE_FORCED) return;
    this.measurements += 1;
    this.measuringSinceNs = this.monotonicNs();
    this.registers[Register.field0] = MEASURING | (this.gasRuns() ? GAS_MEASURING : 0);
  }

  /** Finishes a measurement whose time is over. */
  private advance(): void {
    if (this.measuringSinceNs === null || this.fault === 'stuck') return;
    const control = this.at(Register.ctrlMeas);
    const conversions = oversampled(control >> 5) + oversampled(control >> 2) + oversampled(this.at(Register.ctrlHum));
    const heatingMs = this.gasRuns() ? heaterDurationMs(this.at(Register.gasWait0)) : 0;
    const endNs = this.measuringSinceNs + BigInt(Math.round((conversions * 1.963 + 5.293 + heatingMs) * 1e6));
    if (this.monotonicNs() < endNs) return;
    this.measuringSinceNs = null;
    this.registers[Register.ctrlMeas] = control & ~MODE_MASK;
    if (this.fault === 'frozen') this.registers[Register.field0] = NEW_DATA;
    else this.fillField(Number(endNs - this.startedNs) / 1e9);
  }

  private fillField(seconds: number): void {
    const environment = this.environmentAt(seconds);
    const raw = invertCompensation(environment, this.variant, this.calibration);
    const control = this.at(Register.ctrlMeas);
    const temperature = control >> 5 ? raw.temperatureAdc : SKIPPED_20_BITS;
    const pressure = (control >> 2) & 0x07 ? raw.pressureAdc : SKIPPED_20_BITS;
    const humidity = this.at(Register.ctrlHum) & 0x07 ? raw.humidityAdc : SKIPPED_16_BITS;
    const field = this.registers.subarray(Register.field0, Register.field0 + 17);
    field.fill(0);
    field.set([NEW_DATA, this.measurements & 0xff, ...split20(pressure), ...split20(temperature)]);
    field.set([humidity >> 8, humidity & 0xff], 8);
    if (this.gasRuns()) {
      const stable = this.heaterReaches(150, environment.temperatureC) ? HEATER_STABLE : 0;
      const flags = ((raw.gasAdc & 0x03) << 6) | GAS_VALID | stable | raw.gasRange;
      field.set([raw.gasAdc >> 2, flags], this.variant === 'high' ? 15 : 13);
    }
    if (this.fault === 'garbage') {
      for (let index = 2; index < 10; index += 1) field[index] = (this.measurements * 151 + index * 89) % 2 ? 0xff : 0;
    }
  }

  private gasRuns(): boolean {
    const run = this.at(Register.ctrlGas1) & (this.variant === 'high' ? 0x20 : 0x10);
    return run !== 0 && (this.at(Register.ctrlGas0) & HEATER_OFF) === 0;
  }

  /** Whether the heater settings bring it above `celsius` for long enough (data sheet 3.3.5: 20 to 30 ms). */
  private heaterReaches(celsius: number, ambientC: number): boolean {
    const needed = heaterResistanceCode(celsius, ambientC, this.calibration);
    return this.at(Register.heaterResistance0) >= needed && heaterDurationMs(this.at(Register.gasWait0)) >= 20;
  }
}

function oversampled(code: number): number {
  const bits = code & 0x07;
  return bits === 0 ? 0 : 2 ** (Math.min(5, bits) - 1);
}

/** A 20-bit value as three bytes, highest first, the lowest four bits at the top of the last. */
function split20(value: number): [number, number, number] {
  return [value >> 12, (value >> 4) & 0xff, (value & 0x0f) << 4];
}
