/** An SDS011 that speaks the device's own bytes over any byte port; faults are set from outside. */
import { emulatedAir } from '../emulated-air.ts';
import { SerialEmulator } from '../serial-emulator.ts';
import { encodeAnswer, encodeCommand, encodeReport, SDS011_COMMAND_BYTES } from './codec.ts';

const DEVICE_ID = 0xa160;

export class Sds011Emulator extends SerialEmulator {
  private query = false;
  private asleep = false;

  protected override powerUp(): void {
    this.query = false;
    this.asleep = false;
    this.every(1_000, () => {
      if (!this.query && !this.asleep) this.send(this.report());
    });
  }

  protected override takeCommand(buffer: Uint8Array): number {
    if (buffer[0] !== 0xaa) return 1;
    if (buffer.length < SDS011_COMMAND_BYTES) return 0;
    const [, , command = 0, set = 0, value = 0] = buffer;
    const expected = encodeCommand(command, set === 1 ? 1 : 0, value);
    if (!expected.every((byte, index) => byte === buffer[index])) return 1;
    this.execute(command, set, value);
    return SDS011_COMMAND_BYTES;
  }

  private execute(command: number, set: number, value: number): void {
    if (command === 4) {
      if (!this.asleep) this.send(this.report());
      return;
    }
    if (command === 2 && set === 1) this.query = value === 1;
    if (command === 6 && set === 1) this.asleep = value === 0;
    this.send(encodeAnswer(command, [set, value, 0], DEVICE_ID));
  }

  /** The frame of this moment. */
  private report(): Uint8Array {
    const air = emulatedAir(this.seconds(), this.seed);
    return encodeReport(air.pm25UgM3, air.pm10UgM3, DEVICE_ID);
  }
}
