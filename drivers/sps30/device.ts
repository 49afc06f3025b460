/** The SPS30 in the vehicle: its protocol on the common serial loop. */
import type { Clock, Device, ParticulateSample, Sink } from '../sample.ts';
import type { OpenBytePort } from '../serial.ts';
import { SerialDevice } from '../serial-device.ts';
import { Sps30Protocol } from './codec.ts';

export interface Sps30Options {
  /** Time between readings, ms; the sensor has a new one each second. */
  readonly periodMs: number;
}

export function createSps30(
  options: Sps30Options,
  parts: { open: OpenBytePort; clock: Clock },
  sink: Sink<ParticulateSample>,
): Device {
  return new SerialDevice(
    { source: 'sps30', periodMs: options.periodMs, silenceMs: options.periodMs + 1_000 },
    () => new Sps30Protocol(),
    parts,
    sink,
  );
}
