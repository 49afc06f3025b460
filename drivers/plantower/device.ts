/** The Plantower sensor in the vehicle: its protocol on the common serial loop. */
import type { Clock, Device, ParticulateSample, Sink } from '../sample.ts';
import type { OpenBytePort } from '../serial.ts';
import { SerialDevice } from '../serial-device.ts';
import { type PlantowerMode, PlantowerProtocol } from './codec.ts';

export interface PlantowerOptions {
  readonly mode: PlantowerMode;
  /** Time between readings in passive mode, ms; active mode sends at the sensor's own 200–2300 ms. */
  readonly periodMs: number;
}

/** Slowest active rhythm of the data manual: 2.3 s between frames while the air is steady. */
const ACTIVE_SLOWEST_MS = 2_300;

export function createPlantower(
  options: PlantowerOptions,
  parts: { open: OpenBytePort; clock: Clock },
  sink: Sink<ParticulateSample>,
): Device {
  const expectedMs = options.mode === 'active' ? ACTIVE_SLOWEST_MS : options.periodMs;
  return new SerialDevice(
    { source: 'plantower', periodMs: options.periodMs, silenceMs: expectedMs + 700 },
    () => new PlantowerProtocol(options.mode),
    parts,
    sink,
  );
}
