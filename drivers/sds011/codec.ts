/**
 * Nova SDS011: frames, commands and what they mean. Source: Laser Dust Sensor Control Protocol V1.3. 9600 baud, 8N1;
 * data words are little-endian, tenths of a µg/m³.
 */
import { type FrameFormat, FrameScanner } from '../frame-scanner.ts';
import type { ParticulateSample, Stamp } from '../sample.ts';
import type { ProtocolOutput, SerialProtocol } from '../serial-device.ts';

/** `active`: the sensor reports each second by itself; `query`: it answers each poll. */
export type Sds011Mode = 'active' | 'query';

const HEAD = 0xaa;
const TAIL = 0xab;
const DATA = 0xc0;
const ANSWER = 0xc5;
const FRAME_BYTES = 10;
/** Length of a host command. */
export const SDS011_COMMAND_BYTES = 19;

const FORMAT: FrameFormat = {
  header: Uint8Array.of(HEAD),
  lengthKnownAfter: 2,
  length: (bytes, offset) => (bytes[offset + 1] === DATA || bytes[offset + 1] === ANSWER ? FRAME_BYTES : null),
  valid: (frame) => frame[9] === TAIL && frame[8] === checksum(frame.subarray(2, 8)),
};

/** A report of 10 bytes: PM2.5 and PM10 in µg/m³ (0 to 999.9), and the sensor's id. */
export function encodeReport(pm25UgM3: number, pm10UgM3: number, deviceId: number): Uint8Array {
  const [fine, coarse] = [Math.round(pm25UgM3 * 10), Math.round(pm10UgM3 * 10)];
  return sealed(DATA, [fine & 0xff, fine >> 8, coarse & 0xff, coarse >> 8, deviceId >> 8, deviceId & 0xff]);
}

/** The answer to a command, 10 bytes: `body` is its four bytes after the command number is put first. */
export function encodeAnswer(command: number, body: readonly [number, number, number], deviceId: number): Uint8Array {
  return sealed(ANSWER, [command, ...body, deviceId >> 8, deviceId & 0xff]);
}

/** A host command of 19 bytes to any sensor (id 0xFFFF): 2 reporting mode, 4 query, 6 sleep and work, 8 working period. */
export function encodeCommand(command: number, set: 0 | 1, value: number): Uint8Array {
  const data = [command, set, value, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
  return Uint8Array.of(HEAD, 0xb4, ...data, checksum(data), TAIL);
}

/** The sample in a valid report. */
export function decodeReport(frame: Uint8Array, stamp: Stamp): ParticulateSample {
  const tenths = (offset: number) => ((frame[offset] ?? 0) | ((frame[offset + 1] ?? 0) << 8)) / 10;
  return {
    stamp,
    pm1UgM3: Number.NaN,
    pm25UgM3: tenths(2),
    pm4UgM3: Number.NaN,
    pm10UgM3: tenths(4),
    countsPerCm3: {},
  };
}

/** Speaks with the sensor: wakes it, sets continuous work and the reporting mode, then listens or polls. */
export class Sds011Protocol implements SerialProtocol<ParticulateSample> {
  private readonly mode: Sds011Mode;
  private readonly scanner = new FrameScanner(FORMAT);

  constructor(mode: Sds011Mode) {
    this.mode = mode;
  }

  get discardedBytes(): number {
    return this.scanner.discardedBytes;
  }

  connect(): readonly Uint8Array[] {
    return [encodeCommand(6, 1, 1), encodeCommand(8, 1, 0), encodeCommand(2, 1, this.mode === 'query' ? 1 : 0)];
  }

  poll(): Uint8Array | null {
    return this.mode === 'query' ? encodeCommand(4, 0, 0) : null;
  }

  receive(bytes: Uint8Array, stamp: Stamp): readonly ProtocolOutput<ParticulateSample>[] {
    const { frames, rejected } = this.scanner.push(bytes);
    return [
      ...rejected.filter((frame) => frame[9] === TAIL).map(checksumFault),
      ...frames.map(
        (frame): ProtocolOutput<ParticulateSample> =>
          frame[1] === DATA ? { kind: 'sample', sample: decodeReport(frame, stamp) } : { kind: 'alive' },
      ),
    ];
  }
}

function checksumFault(frame: Uint8Array): ProtocolOutput<ParticulateSample> {
  const message = `frame checksum: expected ${checksum(frame.subarray(2, 8))}, found ${frame[8]}; the frame is left out`;
  return {
    kind: 'fault',
    code: 'checksum',
    message,
    cure: 'Shorten or shield the cable, and check the common ground.',
  };
}

function sealed(kind: number, body: readonly number[]): Uint8Array {
  return Uint8Array.of(HEAD, kind, ...body, checksum(body), TAIL);
}

function checksum(bytes: Iterable<number>): number {
  let total = 0;
  for (const byte of bytes) total = (total + byte) & 0xff;
  return total;
}
