/** The real serial line: a `BytePort` over the `serialport` library, with errors that say the cure. */
import { SerialPort } from 'serialport';
import { DriverError } from './error.ts';
import type { BytePort, OpenBytePort } from './serial.ts';

export interface SerialPortOptions {
  /** Device node, for instance `/dev/ttyAMA0` or `/dev/serial/by-id/…`. */
  readonly path: string;
  /** Bits per second: 9600 (Plantower, SDS011) or 115200 (SPS30); always 8 data bits, no parity, one stop bit. */
  readonly baudRate: number;
}

/** Opens `path` exclusively (the driver takes the kernel's lock); each call opens anew. */
export function openSerialPort({ path, baudRate }: SerialPortOptions): OpenBytePort {
  return () =>
    new Promise<BytePort>((resolve, reject) => {
      const port: SerialPort = new SerialPort({ path, baudRate, autoOpen: false });
      port.open((error) => (error ? reject(openError(path, error)) : resolve(wrap(port))));
    });
}

function wrap(port: SerialPort): BytePort {
  let failure: Error | null = null;
  port.on('error', (error) => {
    failure = error;
    if (port.isOpen) port.close(() => {});
  });
  return {
    onData: (listener) => port.on('data', listener),
    onClose: (listener) => port.once('close', (error: Error | null) => listener(failure ?? error ?? null)),
    write: (bytes) =>
      new Promise((resolve, reject) => {
        // The library would keep it for an opening that never comes.
        if (!port.isOpen) reject(new Error('the line is closed'));
        else port.write(bytes, (error) => (error ? reject(error) : resolve()));
      }),
    close: () => new Promise((resolve) => (port.isOpen ? port.close(() => resolve()) : resolve())),
  };
}

function openError(path: string, error: Error): DriverError {
  const text = error.message;
  if (/no such file|ENOENT|ENODEV|ENXIO|No such device/i.test(text)) {
    return new DriverError(
      'unplugged',
      `${path} does not exist: plug the sensor in, or name its device in the configuration`,
      {
        cause: error,
      },
    );
  }
  if (/permission|EACCES|EPERM/i.test(text)) {
    return new DriverError('no-permission', `${path} may not be opened: add this user to the group dialout`, {
      cause: error,
    });
  }
  if (/lock|busy|EBUSY|temporarily/i.test(text)) {
    return new DriverError('busy', `${path} is used by another program: stop it (fuser ${path} names it)`, {
      cause: error,
    });
  }
  return new DriverError('open-failed', `${path} could not be opened: ${text}`, { cause: error });
}
