/**
 * An I2C bus with patience and with an end to it: transfers that fail as a stretched clock does are tried again, and one
 * that never finishes is given up.
 */
import { DriverError } from '../error.ts';
import type { I2cBus } from '../i2c.ts';
import type { Pause } from '../pause.ts';

/** Attempts at one transfer, and the pause before the next, which grows by as much each time. */
const ATTEMPTS = 4;
const RETRY_PAUSE_MS = 4;
/** A transfer of 32 bytes takes 3.4 ms at 100 kHz; the kernel gives up after 1 s by itself. */
const TRANSFER_LIMIT_MS = 2_000;

/** What happened on the bus, for diagnostics. */
export interface BusCounts {
  transfers: number;
  bus_retries: number;
}

export class PatientBus {
  /** The transfer that was given up, until it settles after all; the bus must not be used or closed before. */
  hung: Promise<void> | null = null;
  private readonly bus: I2cBus;
  private readonly address: number;
  private readonly pause: Pause;
  private readonly counts: BusCounts;
  private readonly signal: AbortSignal;

  constructor(bus: I2cBus, address: number, parts: { pause: Pause; counts: BusCounts; signal: AbortSignal }) {
    this.bus = bus;
    this.address = address;
    this.pause = parts.pause;
    this.counts = parts.counts;
    this.signal = parts.signal;
  }

  /** @throws {DriverError} as `I2cBus.read` after the last attempt; `bus-hung` */
  read(register: number, length: number): Promise<Uint8Array> {
    return this.insist(async () => {
      const bytes = await this.bus.read(this.address, register, length);
      if (bytes.length === length) return bytes;
      throw new DriverError('bus-error', `read: expected ${length} bytes, found ${bytes.length}`);
    });
  }

  /** Writes one register. @throws {DriverError} as `read` */
  write(register: number, value: number): Promise<void> {
    return this.insist(() => this.bus.write(this.address, register, Uint8Array.of(value)));
  }

  /** Asks once whether the target at `address` reads `expected` at `register`. */
  async answers(address: number, register: number, expected: number): Promise<boolean> {
    try {
      const [found] = await this.limited(this.bus.read(address, register, 1));
      return found === expected;
    } catch {
      return false;
    }
  }

  /** Closes the bus unless a transfer still hangs in it. */
  async close(): Promise<void> {
    if (this.hung) return;
    await this.bus.close().catch(() => {}); // nothing is lost with a bus that does not close
  }

  private async insist<T>(transfer: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      this.counts.transfers += 1;
      try {
        return await this.limited(transfer());
      } catch (error) {
        const again = error instanceof DriverError && (error.code === 'no-answer' || error.code === 'bus-error');
        if (!again || !error.retryable || attempt === ATTEMPTS || this.signal.aborted) throw error;
        this.counts.bus_retries += 1;
        await this.pause(RETRY_PAUSE_MS * attempt, this.signal);
      }
    }
  }

  private async limited<T>(transfer: Promise<T>): Promise<T> {
    if (this.hung) throw new DriverError('bus-hung', 'the transfer before has not finished');
    const finished = new AbortController();
    const limit = this.pause(TRANSFER_LIMIT_MS, finished.signal).then(() => LIMIT);
    try {
      const result = await Promise.race([transfer, limit]);
      if (result !== LIMIT) return result as T;
    } finally {
      finished.abort();
    }
    const settled = () => {
      this.hung = null;
    };
    this.hung = transfer.then(settled, settled);
    throw new DriverError('bus-hung', `a transfer has not finished after ${TRANSFER_LIMIT_MS} ms`);
  }
}

const LIMIT = Symbol('limit');
