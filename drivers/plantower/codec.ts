/**
 * Plantower PMS5003 and PMS7003: frames, commands and what they mean. Source: PMS5003 series data manual V2.3 and
 * PMS7003 data manual V2.5, appendices I (serial protocol) and II (host protocol). 9600 baud, 8N1, big-endian.
 */

import { type FrameFormat, FrameScanner } from '../frame-scanner.ts';
import type { ParticulateSample, Stamp } from '../sample.ts';
import type { ProtocolOutput, SerialProtocol } from '../serial-device.ts';

export type PlantowerMode = 'active' | 'passive';

/** Frame length field of a measurement: thirteen 16-bit words and the checksum. */
const MEASUREMENT_LENGTH = 28;
/** Frame length field of an answer to a command. */
const ANSWER_LENGTH = 4;

const FORMAT: FrameFormat = {
  header: Uint8Array.of(0x42, 0x4d),
  lengthKnownAfter: 4,
  length(bytes, offset) {
    const length = ((bytes[offset + 2] ?? 0) << 8) | (bytes[offset + 3] ?? 0);
    return length === MEASUREMENT_LENGTH || length === ANSWER_LENGTH ? length + 4 : null;
  },
  valid: (frame) => word(frame, frame.length - 2) === sum(frame.subarray(0, frame.length - 2)),
};

/** A measurement frame of 32 bytes from its values; what the emulator sends. Appendix I, table. */
export function encodeMeasurement(values: {
  readonly standardUgM3: readonly [number, number, number];
  readonly atmosphericUgM3: readonly [number, number, number];
  /** Particles per 0.1 L larger than 0.3, 0.5, 1.0, 2.5, 5.0 and 10 µm. */
  readonly counts: readonly [number, number, number, number, number, number];
  readonly version: number;
  readonly errorCode: number;
}): Uint8Array {
  const words = [...values.standardUgM3, ...values.atmosphericUgM3, ...values.counts];
  words.push((values.version << 8) | values.errorCode);
  return seal(Uint8Array.of(0x42, 0x4d, 0, MEASUREMENT_LENGTH, ...words.flatMap((w) => [(w >> 8) & 0xff, w & 0xff])));
}

/** The sample in a valid 32-byte frame. Atmospheric values are the reading; counts become particles per cm³. */
export function decodeMeasurement(frame: Uint8Array, stamp: Stamp): ParticulateSample {
  const at = (index: number) => word(frame, 4 + 2 * index);
  const perCm3 = (index: number) => at(index) / 100;
  return {
    stamp,
    pm1UgM3: at(3),
    pm25UgM3: at(4),
    pm4UgM3: Number.NaN,
    pm10UgM3: at(5),
    standardUgM3: { pm1: at(0), pm25: at(1), pm10: at(2) },
    countsPerCm3: {
      '>0.3': perCm3(6),
      '>0.5': perCm3(7),
      '>1.0': perCm3(8),
      '>2.5': perCm3(9),
      '>5.0': perCm3(10),
      '>10': perCm3(11),
    },
  };
}

/** The host's command of 7 bytes: 0xE1 mode (data 0 passive, 1 active), 0xE2 read, 0xE4 sleep or wake. Appendix II. */
export function encodeCommand(command: number, data: number): Uint8Array {
  return seal(Uint8Array.of(0x42, 0x4d, command, (data >> 8) & 0xff, data & 0xff));
}

/** The device's answer to a command, 8 bytes. */
export function encodeAnswer(command: number, data: number): Uint8Array {
  return seal(Uint8Array.of(0x42, 0x4d, 0, ANSWER_LENGTH, command, data));
}

/** Speaks with the sensor in the given mode; active sends by itself, passive answers each poll. */
export class PlantowerProtocol implements SerialProtocol<ParticulateSample> {
  private readonly mode: PlantowerMode;
  private readonly scanner = new FrameScanner(FORMAT);

  constructor(mode: PlantowerMode) {
    this.mode = mode;
  }

  get discardedBytes(): number {
    return this.scanner.discardedBytes;
  }

  connect(): readonly Uint8Array[] {
    return [encodeCommand(0xe4, 1), encodeCommand(0xe1, this.mode === 'active' ? 1 : 0)];
  }

  poll(): Uint8Array | null {
    return this.mode === 'passive' ? encodeCommand(0xe2, 0) : null;
  }

  receive(bytes: Uint8Array, stamp: Stamp): readonly ProtocolOutput<ParticulateSample>[] {
    const { frames, rejected } = this.scanner.push(bytes);
    const faults = rejected.map(checksumFault);
    return [...faults, ...frames.flatMap((frame) => outputs(frame, stamp))];
  }
}

function outputs(frame: Uint8Array, stamp: Stamp): ProtocolOutput<ParticulateSample>[] {
  if (frame.length !== MEASUREMENT_LENGTH + 4) return [{ kind: 'alive' }];
  const sample: ProtocolOutput<ParticulateSample> = { kind: 'sample', sample: decodeMeasurement(frame, stamp) };
  const errorCode = frame[29] ?? 0;
  if (errorCode === 0) return [sample];
  const message = `the sensor reports error code 0x${errorCode.toString(16).padStart(2, '0')}, expected 0`;
  return [
    sample,
    {
      kind: 'fault',
      code: 'device-error',
      message,
      cure: 'Clean the inlet and the fan; replace the sensor if it stays.',
    },
  ];
}

function checksumFault(frame: Uint8Array): ProtocolOutput<ParticulateSample> {
  const expected = sum(frame.subarray(0, frame.length - 2));
  const message = `frame checksum: expected ${expected}, found ${word(frame, frame.length - 2)}; the frame is left out`;
  return {
    kind: 'fault',
    code: 'checksum',
    message,
    cure: 'Shorten or shield the cable, and check the common ground.',
  };
}

function seal(frame: Uint8Array): Uint8Array {
  const check = sum(frame);
  return Uint8Array.of(...frame, (check >> 8) & 0xff, check & 0xff);
}

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => (total + byte) & 0xffff, 0);
}

function word(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}
