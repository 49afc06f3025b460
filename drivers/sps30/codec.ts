/**
 * Sensirion SPS30 over UART: SHDLC frames, commands and what they mean. Source: SPS30 data sheet, section 5 (UART
 * interface; 5.1 frame layer, 5.2 byte stuffing, 5.3 commands). 115200 baud, 8N1; numbers are big-endian.
 */
import type { ParticulateSample, Stamp } from '../sample.ts';
import type { ProtocolOutput, SerialProtocol } from '../serial-device.ts';

export const SPS30_START = 0x00;
export const SPS30_STOP = 0x01;
export const SPS30_READ = 0x03;
export const SPS30_RESET = 0xd3;
/** Execution state "command not allowed in current state": the sensor is idle when asked to read, or already measures. */
export const SPS30_WRONG_STATE = 0x43;

/** Bit of the state that says that an error stands in the device status register (section 5.1): fan, laser or fan speed. */
const STATUS_FLAG = 0x80;
const STATUS_FAULT: ProtocolOutput<never> = {
  kind: 'fault',
  code: 'device-error',
  message: 'the sensor reports an error of its fan or laser, expected none',
  cure: 'Clean the inlet, power the sensor off and on; replace it if it stays.',
};

const FLAG = 0x7e;
const ESCAPE = 0x7d;
/** Bytes that section 5.2 stuffs, and what stands for each after the escape. */
const STUFFED = new Map([
  [0x7e, 0x5e],
  [0x7d, 0x5d],
  [0x11, 0x31],
  [0x13, 0x33],
]);
const UNSTUFFED = new Map([...STUFFED].map(([byte, code]) => [code, byte]));
/** Longest stuffed content: address, command, state, length, 255 data bytes and checksum, each doubled. */
const MAX_STUFFED_BYTES = 2 * (5 + 255);

/** A SHDLC frame between its flags, checked. MOSI has no state (null). */
export interface ShdlcFrame {
  readonly command: number;
  readonly state: number | null;
  readonly data: Uint8Array;
}

/** Stuffs and seals a frame: address 0, command, state (answers only), length, data, inverted sum. */
export function encodeShdlc({ command, state, data }: ShdlcFrame): Uint8Array {
  const content = [0, command, ...(state === null ? [] : [state]), data.length, ...data];
  const stuffed = [...content, checksum(content)].flatMap((byte) => {
    const code = STUFFED.get(byte);
    return code === undefined ? [byte] : [ESCAPE, code];
  });
  return Uint8Array.of(FLAG, ...stuffed, FLAG);
}

/** The command that starts measuring with big-endian floats. Section 5.3.1. */
export function encodeStart(): Uint8Array {
  return encodeShdlc({ command: SPS30_START, state: null, data: Uint8Array.of(0x01, 0x03) });
}

/** The ten floats of a reading, 40 bytes: mass PM1, 2.5, 4, 10; number 0.5, 1, 2.5, 4, 10; typical size. Section 4.3. */
export function encodeReading(values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(40));
  for (let i = 0; i < 10; i++) view.setFloat32(4 * i, values[i] ?? Number.NaN);
  return new Uint8Array(view.buffer);
}

/** The sample in a reading of 40 bytes. Number concentrations count from 0.3 µm to the named size. */
export function decodeReading(data: Uint8Array, stamp: Stamp): ParticulateSample {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const at = (index: number) => view.getFloat32(4 * index);
  return {
    stamp,
    pm1UgM3: at(0),
    pm25UgM3: at(1),
    pm4UgM3: at(2),
    pm10UgM3: at(3),
    countsPerCm3: { '0.3-0.5': at(4), '0.3-1.0': at(5), '0.3-2.5': at(6), '0.3-4.0': at(7), '0.3-10': at(8) },
    typicalSizeUm: at(9),
  };
}

/** What stands between two flags, unstuffed and checked. */
export type ShdlcResult = { readonly frame: ShdlcFrame } | { readonly problem: string };

/** Cuts a stream at its flags; each flag both ends and begins, so a lost one costs no neighbour. Bounded. */
export class ShdlcReader {
  private readonly hasState: boolean;
  private content: number[] = [];
  /** Bytes outside valid frames. */
  discardedBytes = 0;

  /** `hasState`: answers of the sensor (true) or commands of the host (false). */
  constructor(hasState: boolean) {
    this.hasState = hasState;
  }

  push(bytes: Uint8Array): readonly ShdlcResult[] {
    const results: ShdlcResult[] = [];
    for (const byte of bytes) {
      if (byte !== FLAG) {
        if (this.content.length < MAX_STUFFED_BYTES + 1) this.content.push(byte);
        else this.discardedBytes += 1;
        continue;
      }
      if (this.content.length === 0) continue;
      const result = this.parse(this.content);
      if ('problem' in result) this.discardedBytes += this.content.length;
      results.push(result);
      this.content = [];
    }
    return results;
  }

  private parse(stuffed: readonly number[]): ShdlcResult {
    if (stuffed.length > MAX_STUFFED_BYTES) return { problem: `no flag within ${MAX_STUFFED_BYTES} bytes` };
    const content = unstuff(stuffed);
    const head = this.hasState ? 4 : 3;
    if (!content || content.length < head + 1)
      return { problem: `expected at least ${head + 1} bytes, found ${content?.length ?? 0}` };
    const expected = checksum(content.slice(0, -1));
    const found = content.at(-1);
    if (found !== expected) return { problem: `checksum: expected ${expected}, found ${found}` };
    const data = content.slice(head, -1);
    if (content[head - 1] !== data.length)
      return { problem: `data length: expected ${content[head - 1]}, found ${data.length}` };
    return {
      frame: { command: content[1] ?? 0, state: this.hasState ? (content[2] ?? 0) : null, data: Uint8Array.from(data) },
    };
  }
}

/** Keeps the sensor measuring and asks for each reading. */
export class Sps30Protocol implements SerialProtocol<ParticulateSample> {
  private readonly reader = new ShdlcReader(true);

  get discardedBytes(): number {
    return this.reader.discardedBytes;
  }

  connect(): readonly Uint8Array[] {
    return [encodeStart()];
  }

  poll(): Uint8Array {
    return encodeShdlc({ command: SPS30_READ, state: null, data: new Uint8Array(0) });
  }

  receive(bytes: Uint8Array, stamp: Stamp): readonly ProtocolOutput<ParticulateSample>[] {
    return this.reader.push(bytes).flatMap((result): ProtocolOutput<ParticulateSample>[] => {
      if ('problem' in result) {
        const message = `SHDLC frame left out: ${result.problem}`;
        return [{ kind: 'fault', code: 'checksum', message, cure: 'Shorten or shield the cable.' }];
      }
      const output = interpret(result.frame, stamp);
      return ((result.frame.state ?? 0) & STATUS_FLAG) === 0 ? [output] : [output, STATUS_FAULT];
    });
  }
}

function interpret({ command, state, data }: ShdlcFrame, stamp: Stamp): ProtocolOutput<ParticulateSample> {
  const code = (state ?? 0) & 0x7f;
  if (command === SPS30_READ && code === SPS30_WRONG_STATE) return { kind: 'send', bytes: encodeStart() };
  if (command === SPS30_START && code === SPS30_WRONG_STATE) return { kind: 'alive' };
  if (code !== 0) {
    const message = `the sensor refused command 0x${command.toString(16)}: execution error 0x${code.toString(16)}`;
    return {
      kind: 'fault',
      code: 'device-error',
      message,
      cure: 'Power the sensor off and on; replace it if it stays.',
    };
  }
  if (command === SPS30_READ && data.length === 40) return { kind: 'sample', sample: decodeReading(data, stamp) };
  return { kind: 'alive' };
}

function unstuff(stuffed: readonly number[]): number[] | null {
  const content: number[] = [];
  for (let i = 0; i < stuffed.length; i++) {
    const byte = stuffed[i] ?? 0;
    if (byte !== ESCAPE) {
      content.push(byte);
      continue;
    }
    i += 1;
    const original = UNSTUFFED.get(stuffed[i] ?? -1);
    if (original === undefined) return null;
    content.push(original);
  }
  return content;
}

function checksum(content: readonly number[]): number {
  return ~content.reduce((total, byte) => total + byte, 0) & 0xff;
}
