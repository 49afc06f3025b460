/**
 * What all serial emulators share: power, the line, a clockwork, and faults below the driver (unplugged, silent,
 * garbage, half frames, wrong checksums).
 */
import { DriverError } from './error.ts';
import { type BytePort, bytePipe, type OpenBytePort } from './serial.ts';

/** What is wrong with the line: each applies to every frame until it is set back to `none`. */
export type LineFault = 'none' | 'silent' | 'garbage' | 'half-frames' | 'wrong-checksum';

/** Commands longer than this are not in any of the protocols. */
const MAX_COMMAND_BYTES = 600;

export abstract class SerialEmulator {
  fault: LineFault = 'none';
  protected readonly seed: number;
  private readonly startedAt = performance.now();
  private port: BytePort | null = null;
  private plugged = true;
  private received: Uint8Array = new Uint8Array(0);
  private timers: NodeJS.Timeout[] = [];

  constructor(options: { seed?: number } = {}) {
    this.seed = options.seed ?? 1;
  }

  /** Opens an in-memory line to this device, as `openSerialPort` opens a tty. */
  readonly open: OpenBytePort = async () => {
    if (!this.plugged) throw new DriverError('unplugged', 'the emulated sensor is unplugged');
    const [device, host] = bytePipe();
    this.attach(device);
    return host;
  };

  /** Speaks over `port` (one end of a pseudo-terminal pair, for instance) from now on, as after power-up. */
  attach(port: BytePort): void {
    this.detach();
    this.port = port;
    this.received = new Uint8Array(0);
    port.onData((bytes) => this.takeBytes(bytes));
    port.onClose(() => this.detach());
    this.powerUp();
  }

  /** Pulls the plug: the line ends and cannot be opened until `plugIn`. */
  async unplug(): Promise<void> {
    this.plugged = false;
    const port = this.port;
    this.detach();
    await port?.close();
  }

  plugIn(): void {
    this.plugged = true;
  }

  /** Sets power-up state and timers. */
  protected abstract powerUp(): void;

  /** Looks at the start of what the host sent; returns bytes used, 0 to wait for more. */
  protected abstract takeCommand(buffer: Uint8Array): number;

  /** Seconds since this emulator was made. */
  protected seconds(): number {
    return (performance.now() - this.startedAt) / 1000;
  }

  protected every(ms: number, act: () => void): void {
    this.timers.push(setInterval(act, ms).unref());
  }

  protected send(frame: Uint8Array): void {
    const bytes = this.spoil(frame);
    if (bytes.length > 0) this.port?.write(bytes).catch(() => {});
  }

  private detach(): void {
    for (const timer of this.timers) clearInterval(timer);
    this.timers = [];
    this.port = null;
  }

  private takeBytes(bytes: Uint8Array): void {
    this.received = Uint8Array.of(...this.received, ...bytes).slice(-MAX_COMMAND_BYTES);
    while (this.received.length > 0) {
      const used = this.takeCommand(this.received);
      if (used === 0) return;
      this.received = this.received.slice(used);
    }
  }

  private spoil(frame: Uint8Array): Uint8Array {
    switch (this.fault) {
      case 'silent':
        return new Uint8Array(0);
      case 'garbage':
        return frame.map((byte, index) => (byte * 167 + index * 31 + 13) & 0xff);
      case 'half-frames':
        return frame.slice(0, frame.length >> 1);
      case 'wrong-checksum':
        return frame.map((byte, index) => (index === frame.length - 3 ? byte ^ 0x01 : byte));
      case 'none':
        return frame;
    }
  }
}
