/**
 * The device loop of a BME680: opens the bus, starts the chip, has it measure at each interval, and starts over until it
 * is back whenever it was unplugged, reset or hung.
 */
import { DriverError } from '../error.ts';
import type { OpenI2cBus } from '../i2c.ts';
import { type Pause, realPause } from '../pause.ts';
import type { Clock, Device, Diagnostic, EnvironmentSample, Sink, Stamp } from '../sample.ts';
import { Bme680Chip } from './chip.ts';
import { DEFAULT_SETTINGS, type MeasurementSettings, measurementMs } from './control.ts';
import { remedyOf } from './cures.ts';
import { PatientBus } from './patient-bus.ts';
import { ADDRESS_HIGH, ADDRESS_LOW, CHIP_ID, Register } from './registers.ts';

export interface Bme680Options {
  /** 7-bit address, 0x76 or 0x77; 0x76 when omitted. */
  readonly address?: number;
  /** Between the starts of two measurements, ms; 1000 when omitted, longer when a measurement takes longer. */
  readonly intervalMs?: number;
  /** `DEFAULT_SETTINGS` where omitted. */
  readonly settings?: Partial<MeasurementSettings>;
}

export interface Bme680Parts {
  readonly open: OpenI2cBus;
  readonly clock: Clock;
  /** Waits; real time when omitted. */
  readonly pause?: Pause;
}

/** Between two attempts, ms: back well within 5 s of the chip's return. The first after a measurement comes at once. */
const REOPEN_MS = 1_000;
/** Results that cannot be true, in a row, before the chip is started over. */
const GARBAGE_LIMIT = 3;
/** Diagnostics are repeated so often with fresh counters, ms. */
const REPEAT_MS = 10_000;

const SOURCE = 'bme680';

export class Bme680Device implements Device {
  private readonly address: number;
  private readonly intervalMs: number;
  private readonly settings: MeasurementSettings;
  private readonly open: OpenI2cBus;
  private readonly clock: Clock;
  private readonly pause: Pause;
  private readonly sink: Sink<EnvironmentSample>;
  private readonly counts = {
    samples: 0,
    starts: 0,
    faults: 0,
    rejected_readings: 0,
    missed_intervals: 0,
    transfers: 0,
    bus_retries: 0,
  };
  private shown = '';
  private shownNs = 0n;

  constructor(options: Bme680Options, parts: Bme680Parts, sink: Sink<EnvironmentSample>) {
    this.address = options.address ?? ADDRESS_LOW;
    this.settings = { ...DEFAULT_SETTINGS, ...options.settings };
    this.intervalMs = Math.max(options.intervalMs ?? 1_000, Math.ceil(measurementMs(this.settings)) + 20);
    this.open = parts.open;
    this.clock = parts.clock;
    this.pause = parts.pause ?? realPause;
    this.sink = sink;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const samplesBefore = this.counts.samples;
      try {
        await this.converse(signal);
      } catch (error) {
        this.counts.faults += 1;
        this.showFault(error);
      }
      if (this.counts.samples === samplesBefore) await this.pause(REOPEN_MS, signal);
    }
  }

  /** One opening of the bus: returns when the signal aborts, throws at the first fault that needs a fresh start. */
  private async converse(signal: AbortSignal): Promise<void> {
    const opened = await this.open();
    const bus = new PatientBus(opened, this.address, { pause: this.pause, counts: this.counts, signal });
    try {
      const chip = new Bme680Chip(bus, this.settings, this.pause);
      await this.start(bus, chip, signal);
      await this.measureForever(chip, signal);
    } catch (error) {
      if (bus.hung && !signal.aborted) {
        this.showFault(error);
        await Promise.race([bus.hung, aborted(signal)]);
      }
      if (!signal.aborted) throw error;
    } finally {
      await bus.close();
    }
  }

  private async start(bus: PatientBus, chip: Bme680Chip, signal: AbortSignal): Promise<void> {
    try {
      await chip.start(signal);
      this.counts.starts += 1;
    } catch (error) {
      const silent = error instanceof DriverError && error.code === 'no-answer';
      const other = this.address === ADDRESS_LOW ? ADDRESS_HIGH : ADDRESS_LOW;
      if (silent && (await bus.answers(other, Register.chipId, CHIP_ID))) {
        const message = `address: expected a BME680 at ${hexAddress(this.address)}, found one at ${hexAddress(other)}`;
        throw new DriverError('wrong-address', message, { cause: error });
      }
      throw error;
    }
  }

  private async measureForever(chip: Bme680Chip, signal: AbortSignal): Promise<void> {
    const intervalNs = BigInt(Math.round(this.intervalMs * 1e6));
    let dueNs = this.clock.monotonicNs();
    let rejected = 0;
    while (!signal.aborted) {
      try {
        await this.measureOnce(chip, signal);
        rejected = 0;
      } catch (error) {
        rejected += 1;
        if (!(error instanceof DriverError && error.code === 'garbage') || rejected >= GARBAGE_LIMIT) throw error;
        this.counts.rejected_readings += 1;
        this.show('warn', 'garbage', error.message, remedyOf('garbage').cure);
      }
      dueNs += intervalNs;
      const lateNs = this.clock.monotonicNs() - dueNs;
      if (lateNs > 0n) {
        const missed = lateNs / intervalNs + 1n;
        this.counts.missed_intervals += Number(missed);
        dueNs += missed * intervalNs;
      }
      await this.pause(Number(dueNs - this.clock.monotonicNs()) / 1e6, signal);
    }
  }

  private async measureOnce(chip: Bme680Chip, signal: AbortSignal): Promise<void> {
    let stamp: Stamp | null = null;
    const reading = await chip.measure(signal, () => {
      stamp = this.clock.now();
    });
    if (!reading || !stamp) return;
    this.counts.samples += 1;
    this.sink.sample({ stamp, ...reading });
    const name = chip.variant === 'high' ? 'BME688' : 'BME680';
    this.show('ok', 'ok', `the ${name} at ${hexAddress(this.address)} is measuring`, '');
  }

  private showFault(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    let code = error instanceof DriverError ? error.code : 'bus-error';
    if (code === 'no-answer') code = 'unplugged';
    const { level, cure } = remedyOf(code);
    const where = code === 'unplugged' ? `nobody answers at ${hexAddress(this.address)}: ${message}` : message;
    this.show(level, code, where, cure);
  }

  /** Tells the sink when the state changes, and now and then while it does not. */
  private show(level: Diagnostic['level'], code: string, message: string, cure: string): void {
    const key = `${level} ${code}`;
    const nowNs = this.clock.monotonicNs();
    if (key === this.shown && nowNs - this.shownNs < BigInt(REPEAT_MS) * 1_000_000n) return;
    this.shown = key;
    this.shownNs = nowNs;
    this.sink.diagnostic({ source: SOURCE, level, code, message, cure, values: { ...this.counts } });
  }
}

function hexAddress(address: number): string {
  return `0x${address.toString(16)}`;
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
