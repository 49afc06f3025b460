/**
 * The kernel's I2C buses (/dev/i2c-N) through the `i2c-bus` package. The only file that loads it, and only when a bus is
 * opened: its addon has to be compiled for the Node that runs it, and most machines need none.
 */
import { createRequire } from 'node:module';
import type { PromisifiedBus } from 'i2c-bus';
import { DriverError } from './error.ts';
import type { I2cBus, OpenI2cBus } from './i2c.ts';

/** Longest transfer of the SMBus calls that the package makes. */
const MAX_BLOCK_BYTES = 32;
/** errno of "Remote I/O error", which Node has no name for. */
const EREMOTEIO = 121;

/**
 * Opens bus `bus` of the kernel.
 *
 * @param options `bus`: N of /dev/i2c-N; 1 is the one at pins 3 and 5 of a Raspberry Pi
 */
export function openI2cBus(options: { bus: number }): OpenI2cBus {
  const path = `/dev/i2c-${options.bus}`;
  return async () => {
    const bus = await guarded(path, () => loadAddon().openPromisified(options.bus));
    try {
      const functions = await guarded(path, () => bus.i2cFuncs());
      if (!functions.smbusReadI2cBlock || !functions.smbusWriteByte) {
        throw new DriverError('bus-error', `${path}: the adapter cannot read blocks or write bytes`, {
          retryable: false,
        });
      }
    } catch (error) {
      await bus.close().catch(() => {});
      throw error;
    }
    return kernelBus(path, bus);
  };
}

function kernelBus(path: string, bus: PromisifiedBus): I2cBus {
  let closed = false;
  return {
    async read(address, register, length) {
      if (length < 1 || length > MAX_BLOCK_BYTES) throw new RangeError(`length: expected 1 to 32, found ${length}`);
      const buffer = Buffer.alloc(length);
      const { bytesRead } = await guarded(path, () => bus.readI2cBlock(address, register, length, buffer));
      if (bytesRead !== length) {
        throw new DriverError('bus-error', `${path}: expected ${length} bytes, found ${bytesRead}`);
      }
      return new Uint8Array(buffer);
    },
    async write(address, register, bytes) {
      const [first] = bytes;
      if (first === undefined || bytes.length >= MAX_BLOCK_BYTES) {
        throw new RangeError(`bytes: expected 1 to 31, found ${bytes.length}`);
      }
      await guarded(path, async () => {
        if (bytes.length === 1) await bus.writeByte(address, register, first);
        else await bus.writeI2cBlock(address, register, bytes.length, Buffer.from(bytes));
      });
    },
    async close() {
      if (closed) return;
      closed = true;
      await guarded(path, () => bus.close());
    },
  };
}

/** Loads the package afresh after a failure, so that building the addon needs no restart. */
function loadAddon(): typeof import('i2c-bus') {
  try {
    return createRequire(import.meta.url)('i2c-bus') as typeof import('i2c-bus');
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
    throw new DriverError('not-built', `the i2c-bus addon does not load: ${reason}`, { cause, retryable: false });
  }
}

async function guarded<T>(path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw translateI2cError(path, error);
  }
}

/**
 * Tells what an error of the kernel or of the addon means for a driver.
 *
 * @returns a DriverError with code `no-answer`, `address-busy`, `no-bus`, `no-permission` or `bus-error`; one that is
 * a DriverError already comes back as it is
 */
export function translateI2cError(path: string, cause: unknown): DriverError {
  if (cause instanceof DriverError) return cause;
  const { errno, code, syscall, message } = (cause ?? {}) as NodeJS.ErrnoException;
  const opening = syscall === 'open';
  const number = Math.abs(errno ?? 0);
  if (number === EREMOTEIO || (code === 'ENXIO' && !opening)) {
    return new DriverError('no-answer', `${path}: Remote I/O error: nobody acknowledged`, { cause });
  }
  if (code === 'EBUSY') {
    return new DriverError('address-busy', `${path}: a kernel driver holds the address`, { cause });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new DriverError('no-permission', `${path}: expected to open it for reading and writing, found ${code}`, {
      cause,
    });
  }
  if (code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO') {
    return new DriverError('no-bus', `${path}: expected an I2C bus, found ${code}`, { cause });
  }
  return new DriverError('bus-error', `${path}: ${message || code || String(cause)}`, { cause });
}
