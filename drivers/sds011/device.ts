/** The SDS011 in the vehicle: its protocol on the common serial loop. */
import type { Clock, Device, ParticulateSample, Sink } from '../sample.ts';
import type { OpenBytePort } from '../serial.ts';
import { SerialDevice } from '../serial-device.ts';
import { type Sds011Mode, Sds011Protocol } from './codec.ts';

export interface Sds011Options {
  readonly mode: Sds011Mode;
  /** Time between readings in query mode, ms; active mode reports each second. */
  readonly periodMs: number;
}

export function createSds011(
  options: Sds011Options,
  parts: { open: OpenBytePort; clock: Clock },
  sink: Sink<ParticulateSample>,
): Device {
  const expectedMs = options.mode === 'active' ? 1_000 : options.periodMs;
  return new SerialDevice(
    { source: 'sds011', periodMs: options.periodMs, silenceMs: expectedMs + 1_000 },
    () => new Sds011Protocol(options.mode),
    parts,
    sink,
  );
}
