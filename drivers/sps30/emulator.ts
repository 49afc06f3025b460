/** An SPS30 that speaks SHDLC over any byte port; faults are set from outside. */
import { emulatedAir } from '../emulated-air.ts';
import { SerialEmulator } from '../serial-emulator.ts';
import {
  encodeReading,
  encodeShdlc,
  ShdlcReader,
  SPS30_READ,
  SPS30_RESET,
  SPS30_START,
  SPS30_STOP,
  SPS30_WRONG_STATE,
} from './codec.ts';

export class Sps30Emulator extends SerialEmulator {
  private measuring = false;
  private reader = new ShdlcReader(false);

  protected override powerUp(): void {
    this.measuring = false;
    this.reader = new ShdlcReader(false);
  }

  protected override takeCommand(buffer: Uint8Array): number {
    for (const result of this.reader.push(buffer)) {
      if ('frame' in result) this.execute(result.frame.command);
    }
    return buffer.length;
  }

  private execute(command: number): void {
    if (command === SPS30_READ) {
      this.answer(command, this.measuring ? 0 : SPS30_WRONG_STATE, this.reading());
    } else if (command === SPS30_START || command === SPS30_STOP) {
      const start = command === SPS30_START;
      this.answer(command, this.measuring === start ? SPS30_WRONG_STATE : 0);
      this.measuring = start;
    } else {
      if (command === SPS30_RESET) this.measuring = false;
      this.answer(command, 0);
    }
  }

  private answer(command: number, state: number, data = new Uint8Array(0)): void {
    this.send(encodeShdlc({ command, state, data: state === 0 ? data : new Uint8Array(0) }));
  }

  private reading(): Uint8Array<ArrayBuffer> {
    const air = emulatedAir(this.seconds(), this.seed);
    const [all, above05, above1, above25, above5, above10] = air.largerPerCm3;
    const mass = [air.pm1UgM3, air.pm25UgM3, air.pm4UgM3, air.pm10UgM3];
    const number = [all - above05, all - above1, all - above25, all - above5, all - above10];
    return encodeReading([...mass, ...number, 0.55]) as Uint8Array<ArrayBuffer>;
  }
}
