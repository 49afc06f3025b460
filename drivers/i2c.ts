/**
 * The I2C bus as the drivers see it: register reads and writes of one target after another. The real bus is in
 * `i2c-bus.ts`; emulators answer through the same interface.
 */

/** Operations of one opened bus. They run one at a time: callers await each before the next. */
export interface I2cBus {
  /**
   * Reads `length` bytes (1 to 32) starting at `register` of the target at 7-bit `address`.
   *
   * @returns exactly `length` bytes, owned by the caller
   * @throws {DriverError} `no-answer` when nobody acknowledges (a Raspberry Pi says the same when a target stretches the
   * clock), `address-busy` when a kernel driver holds the address, `no-bus` or `no-permission` when the bus cannot be
   * opened (the kernel's bus is opened at the first use of an address), `bus-error` for everything else
   */
  read(address: number, register: number, length: number): Promise<Uint8Array>;
  /**
   * Sends `register` and then `bytes` (1 to 31) in one transfer. What a target makes of more than one byte is its own
   * affair: a BME680 takes them as data, register, data, … and does not count registers up.
   *
   * @throws {DriverError} as `read`
   */
  write(address: number, register: number, bytes: Uint8Array): Promise<void>;
  /** Releases the bus; idempotent. */
  close(): Promise<void>;
}

/**
 * Opens the bus.
 *
 * @throws {DriverError} `not-built`, `no-bus`, `no-permission`, `bus-error`
 */
export type OpenI2cBus = () => Promise<I2cBus>;
