/**
 * What the drivers produce: samples with the time of their first measurement, and diagnostics. Every other room
 * that handles measurements speaks these types.
 */

/** The time of a measurement, as the vehicle knew it, with what is needed to put it right later. */
export interface Stamp {
  /** UTC nanoseconds since 1970 of the first sample; wrong when the clock was not synchronised. */
  readonly capturedAtNs: bigint;
  /** CLOCK_MONOTONIC nanoseconds of the same moment; comparable within one `bootId` only. */
  readonly monotonicNs: bigint;
  /** Kernel boot id (/proc/sys/kernel/random/boot_id), a UUID. */
  readonly bootId: string;
  /** Whether the system clock was known to be right when the stamp was made. */
  readonly synchronised: boolean;
  /** Estimated error of `capturedAtNs` in nanoseconds; null when unknown. */
  readonly estimatedErrorNs: bigint | null;
}

/** The injected clock: stamps now, or the moment a given monotonic reading was taken. */
export interface Clock {
  now(): Stamp;
  /** CLOCK_MONOTONIC in nanoseconds. */
  monotonicNs(): bigint;
  /** The stamp of a past (or near future) monotonic reading of this boot. */
  at(monotonicNs: bigint): Stamp;
}

/** One reading of a particulate matter sensor. Concentrations in µg/m³; NaN where the device does not measure it. */
export interface ParticulateSample {
  readonly stamp: Stamp;
  readonly pm1UgM3: number;
  readonly pm25UgM3: number;
  readonly pm4UgM3: number;
  readonly pm10UgM3: number;
  /** Particles per cm³ by size in µm, as far as the device counts: `>0.3` (all larger, Plantower), `0.3-1.0` (a span, SPS30). */
  readonly countsPerCm3: Readonly<Record<string, number>>;
  /** Standard-particle (CF = 1) concentrations in µg/m³ where the device tells them apart, as Plantower does. */
  readonly standardUgM3?: { readonly pm1: number; readonly pm25: number; readonly pm10: number };
  /** Typical particle size in µm, where the device tells it (SPS30). */
  readonly typicalSizeUm?: number;
}

/** One forced-mode reading of a BME680, compensated as in its data sheet. */
export interface EnvironmentSample {
  readonly stamp: Stamp;
  readonly temperatureC: number;
  readonly pressurePa: number;
  /** Relative humidity, 0 to 1. */
  readonly humidity: number;
  readonly gasResistanceOhm: number;
  readonly gasValid: boolean;
  readonly heaterStable: boolean;
}

/** A run of sound: `frames` × `channels` interleaved 16-bit samples; `stamp` is the time of the first frame. */
export interface AudioChunk {
  readonly stamp: Stamp;
  /** Frames captured since the stream (re)started, before this chunk. */
  readonly firstFrame: bigint;
  readonly sampleRateHz: number;
  readonly channels: number;
  readonly frames: number;
  /** Int16 little endian, [frames × channels]; owned by the receiver. */
  readonly pcm: Int16Array<ArrayBuffer>;
}

/** How a device is, in the levels of diagnostic_msgs/msg/DiagnosticStatus. */
export interface Diagnostic {
  /** Which device: `plantower`, `bme680`, `uma8` … */
  readonly source: string;
  readonly level: 'ok' | 'warn' | 'error' | 'stale';
  /** Stable, kebab-case: `unplugged`, `silent`, `checksum`, `wrong-chip-id`, `short-rate` … `ok` when all is well. */
  readonly code: string;
  /** What happened, with expected and found. */
  readonly message: string;
  /** What a person can do about it, in one sentence; empty when nothing is needed. */
  readonly cure: string;
  /** Counters and readings worth seeing: frames, errors, restarts, bytes per second. */
  readonly values: Readonly<Record<string, number | string>>;
}

/** Where a device puts what it has: called synchronously, in order; must not throw. */
export interface Sink<Sample> {
  sample(sample: Sample): void;
  diagnostic(diagnostic: Diagnostic): void;
}

/** A device loop: reads until `signal` aborts, then releases its port and resolves. Faults of the world never reject. */
export interface Device {
  run(signal: AbortSignal): Promise<void>;
}
