/** The other end of the I2C preload: answers its requests from an emulated BME680, or refuses with any errno. */
import { createServer, type Server, type Socket } from 'node:net';
import type { Bme680Emulator } from '../../drivers/bme680/emulator.ts';
import { DriverError } from '../../drivers/error.ts';

const REQUEST_BYTES = 36;
const EIO = 5;
const EREMOTEIO = 121;

export class I2cListener {
  /** errno with which opening the device node fails; 0 lets it succeed. */
  openErrno = 0;
  /** errno with which choosing an address other than 0 fails. */
  addressErrno = 0;
  /** Requests answered so far. */
  requests = 0;
  /** Open file descriptors of the device node. */
  connections = 0;
  private readonly emulator: Bme680Emulator;
  private readonly server: Server;

  constructor(emulator: Bme680Emulator) {
    this.emulator = emulator;
    this.server = createServer((socket) => this.accept(socket));
  }

  listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject).listen(path, resolve);
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve());
    });
  }

  private accept(socket: Socket): void {
    this.connections += 1;
    socket.on('error', () => {});
    socket.on('close', () => {
      this.connections -= 1;
    });
    socket.write(Uint8Array.of(this.openErrno));
    if (this.openErrno !== 0) {
      socket.end();
      return;
    }
    let received = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes]);
      // The preload waits for each answer, so there is never more than one request.
      if (received.length < REQUEST_BYTES) return;
      const request = received.subarray(0, REQUEST_BYTES);
      received = received.subarray(REQUEST_BYTES);
      void this.answer(request).then((answer) => socket.write(answer));
    });
  }

  private async answer(request: Buffer): Promise<Uint8Array> {
    this.requests += 1;
    const [operation = 0, address = 0, register = 0, length = 0] = request;
    const answer = new Uint8Array(34);
    try {
      if (operation === 0) {
        answer.set(await this.emulator.read(address, register, length), 2);
        answer[1] = length;
      } else if (operation === 1) {
        await this.emulator.write(address, register, request.subarray(4, 4 + length));
        answer[1] = length;
      } else if (address !== 0) {
        answer[0] = this.addressErrno;
      }
    } catch (error) {
      answer[0] = error instanceof DriverError && error.code === 'no-answer' ? EREMOTEIO : EIO;
    }
    return answer;
  }
}
