/** A Plantower sensor that speaks the device's own bytes over any byte port; faults are set from outside. */
import { type Air, emulatedAir } from '../emulated-air.ts';
import { SerialEmulator } from '../serial-emulator.ts';
import { encodeAnswer, encodeCommand, encodeMeasurement } from './codec.ts';

const COMMAND_BYTES = 7;

export class PlantowerEmulator extends SerialEmulator {
  private passive = false;
  private asleep = false;
  private readonly airAt: (seconds: number) => Air;

  /** `airAt`: the air so long after it was made; the common emulated air when omitted. */
  constructor(options: { seed?: number; airAt?: (seconds: number) => Air } = {}) {
    super(options);
    this.airAt = options.airAt ?? ((seconds) => emulatedAir(seconds, this.seed));
  }

  protected override powerUp(): void {
    this.passive = false;
    this.asleep = false;
    this.every(1_000, () => {
      if (!this.passive && !this.asleep) this.send(this.measurement());
    });
  }

  protected override takeCommand(buffer: Uint8Array): number {
    if (buffer[0] !== 0x42) return 1;
    if (buffer.length < COMMAND_BYTES) return 0;
    const [, second, command = 0, , data = 0] = buffer;
    const expected = encodeCommand(command, data);
    if (second !== 0x4d || expected[5] !== buffer[5] || expected[6] !== buffer[6]) return 1;
    this.execute(command, data);
    return COMMAND_BYTES;
  }

  private execute(command: number, data: number): void {
    if (command === 0xe2) {
      if (!this.asleep) this.send(this.measurement());
      return;
    }
    if (command === 0xe1) this.passive = data === 0;
    if (command === 0xe4) this.asleep = data === 0;
    this.send(encodeAnswer(command, data));
  }

  /** The frame of this moment. */
  private measurement(): Uint8Array {
    return encodeMeasurement(registers(this.airAt(this.seconds())));
  }
}

function registers(air: Air): Parameters<typeof encodeMeasurement>[0] {
  const ug = [air.pm1UgM3, air.pm25UgM3, air.pm10UgM3].map(Math.round) as [number, number, number];
  const counts = air.largerPerCm3.map((perCm3) => Math.round(perCm3 * 100));
  return {
    standardUgM3: ug,
    atmosphericUgM3: ug,
    counts: counts as unknown as [number, number, number, number, number, number],
    version: 0x97,
    errorCode: 0,
  };
}
