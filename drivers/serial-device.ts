/**
 * The device loop of every serial sensor: opens the line, feeds its protocol, notices silence and garbage, and opens
 * again until the sensor is back. Protocols are pure; time and line are injected.
 */
import { DriverError } from './error.ts';
import { realPause } from './pause.ts';
import type { Clock, Device, Diagnostic, Sink, Stamp } from './sample.ts';
import type { BytePort, OpenBytePort } from './serial.ts';

/** What a protocol makes of received bytes. */
export type ProtocolOutput<Sample> =
  | { readonly kind: 'sample'; readonly sample: Sample }
  /** A valid frame without a measurement (an answer to a command): the device is alive, which is not yet measuring. */
  | { readonly kind: 'alive' }
  /** Bytes to send back at once. */
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  /** A frame that could not be believed, or an error the device reports of itself. */
  | { readonly kind: 'fault'; readonly code: string; readonly message: string; readonly cure: string };

/** One sensor's language; a fresh one is made for each opening of the line. */
export interface SerialProtocol<Sample> {
  /** Commands that bring the device into the configured mode; sent after opening and again when it falls silent. */
  connect(): readonly Uint8Array[];
  /** The command that asks for one reading, sent every period; null when the device speaks by itself. */
  poll(): Uint8Array | null;
  /**
   * Takes bytes in any cut; never throws. `stamp` is the time at which they arrived, and becomes the sample's: these sensors do not
   * tell when in the second or so before they measured.
   */
  receive(bytes: Uint8Array, stamp: Stamp): readonly ProtocolOutput<Sample>[];
  /** Bytes that belonged to no valid frame so far. */
  readonly discardedBytes: number;
}

export interface SerialDeviceOptions {
  /** Name in diagnostics: `plantower`, `sds011`, `sps30`. */
  readonly source: string;
  /** Time between readings in polled modes, and the rhythm of health checks, ms. */
  readonly periodMs: number;
  /** No measurement for so long is a fault, ms; after twice as long the line is opened anew. */
  readonly silenceMs: number;
}

/** Between two attempts to open a line, ms: short enough to be back within 5 s of the device's return. */
const REOPEN_MS = 1_000;
/** How often the loop looks at itself, ms. */
const TICK_MS = 500;
/** Diagnostics are repeated so often with fresh counters, ms. */
const REPEAT_MS = 10_000;

interface Line {
  readonly port: BytePort;
  readonly openedNs: bigint;
  lastSampleNs: bigint;
  lastAliveNs: bigint;
  lastBytesNs: bigint;
  lastPollNs: bigint;
  lastConnectNs: bigint;
  closed: Error | null | undefined;
}

export class SerialDevice<Sample> implements Device {
  private readonly options: SerialDeviceOptions;
  private readonly makeProtocol: () => SerialProtocol<Sample>;
  private readonly open: OpenBytePort;
  private readonly clock: Clock;
  private readonly sink: Sink<Sample>;
  private readonly counts = { samples: 0, faults: 0, opened: 0, discarded_bytes: 0 };
  private shown = '';
  private shownNs = 0n;
  private fault: { code: string; message: string; cure: string } | null = null;
  private faultNs = 0n;

  constructor(
    options: SerialDeviceOptions,
    makeProtocol: () => SerialProtocol<Sample>,
    parts: { open: OpenBytePort; clock: Clock },
    sink: Sink<Sample>,
  ) {
    this.options = options;
    this.makeProtocol = makeProtocol;
    this.open = parts.open;
    this.clock = parts.clock;
    this.sink = sink;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const port = await this.tryOpen();
      if (port) {
        await this.converse(port, signal);
        await port.close().catch(() => {});
      }
      if (!signal.aborted) await realPause(REOPEN_MS, signal);
    }
  }

  private async tryOpen(): Promise<BytePort | null> {
    try {
      const port = await this.open();
      this.counts.opened += 1;
      return port;
    } catch (error) {
      const code = error instanceof DriverError ? error.code : 'unplugged';
      const message = error instanceof Error ? error.message : String(error);
      this.show('error', code, message, 'Check the cable, the device name in the configuration and the permissions.');
      return null;
    }
  }

  /** Talks over one open line until it ends, falls silent for good, or the signal aborts. */
  private async converse(port: BytePort, signal: AbortSignal): Promise<void> {
    const now = this.clock.monotonicNs();
    const never = { lastAliveNs: 0n, lastBytesNs: 0n, lastPollNs: 0n, lastConnectNs: 0n };
    const line: Line = { port, openedNs: now, lastSampleNs: now, ...never, closed: undefined };
    const protocol = this.makeProtocol();
    const discardedBefore = this.counts.discarded_bytes;
    const ended = Promise.withResolvers<void>();
    port.onClose((error) => {
      line.closed = error;
      ended.resolve();
    });
    port.onData((bytes) => {
      line.lastBytesNs = this.clock.monotonicNs();
      this.take(protocol.receive(bytes, this.clock.now()), line);
      this.counts.discarded_bytes = discardedBefore + protocol.discardedBytes;
    });
    this.connect(line, protocol);
    while (!signal.aborted && line.closed === undefined) {
      if (!this.tick(line, protocol)) return;
      await Promise.race([realPause(Math.min(TICK_MS, this.options.periodMs), signal), ended.promise]);
    }
    if (line.closed !== undefined && !signal.aborted) {
      const reason = line.closed?.message ?? 'the line closed';
      this.show(
        'error',
        'unplugged',
        `the line ended: ${reason}`,
        'Plug the sensor in again; it is tried every second.',
      );
    }
  }

  private take(outputs: readonly ProtocolOutput<Sample>[], line: Line): void {
    for (const output of outputs) {
      if (output.kind === 'fault') {
        this.counts.faults += 1;
        this.fault = output;
        this.faultNs = this.clock.monotonicNs();
        continue;
      }
      line.lastAliveNs = this.clock.monotonicNs();
      if (output.kind === 'send') this.send(line, [output.bytes]);
      if (output.kind !== 'sample') continue;
      line.lastSampleNs = line.lastAliveNs;
      this.counts.samples += 1;
      this.sink.sample(output.sample);
    }
  }

  /** Polls, judges the line's health and cures it; false when the line must be opened anew. */
  private tick(line: Line, protocol: SerialProtocol<Sample>): boolean {
    const now = this.clock.monotonicNs();
    const silentMs = Number(now - line.lastSampleNs) / 1e6;
    if (silentMs > 2 * this.options.silenceMs) return false;
    if (silentMs > this.options.silenceMs) {
      this.showSilence(line, silentMs);
      this.connect(line, protocol);
    } else if (this.fault && Number(now - this.faultNs) / 1e6 < 2 * this.options.silenceMs) {
      this.show('warn', this.fault.code, this.fault.message, this.fault.cure);
    } else if (line.lastSampleNs > line.openedNs) {
      this.fault = null;
      this.show('ok', 'ok', `${this.options.source} is measuring`, '');
    }
    const poll = protocol.poll();
    if (poll && Number(now - line.lastPollNs) / 1e6 >= this.options.periodMs * 0.9) {
      line.lastPollNs = now;
      this.send(line, [poll]);
    }
    return true;
  }

  /** Once in each time of silence: some sensors keep these settings in flash, which wears out. */
  private connect(line: Line, protocol: SerialProtocol<Sample>): void {
    const now = this.clock.monotonicNs();
    if (line.lastConnectNs > 0n && Number(now - line.lastConnectNs) / 1e6 < this.options.silenceMs) return;
    line.lastConnectNs = now;
    this.send(line, protocol.connect());
  }

  private showSilence(line: Line, silentMs: number): void {
    const { source, silenceMs, periodMs } = this.options;
    const seconds = (silentMs / 1000).toFixed(1);
    const lately = (ns: bigint) => ns > 0n && Number(this.clock.monotonicNs() - ns) / 1e6 < silenceMs;
    if (lately(line.lastAliveNs)) {
      const message = `the sensor answers, but expected a measurement every ${periodMs} ms, found none for ${seconds} s`;
      this.show('stale', 'no-measurement', message, 'Power the sensor off and on; replace it if it stays.');
    } else if (lately(line.lastBytesNs)) {
      const message = `bytes arrive but none made a valid ${source} frame for ${seconds} s`;
      const cure = 'Check that the configured model and its baud rate are those of the sensor.';
      this.show('error', 'garbage', message, cure);
    } else {
      const message = `no byte from the sensor for ${seconds} s; expected one frame every ${periodMs} ms`;
      const cure = 'Check power and the TX wire; the sensor is asked again and the line reopened.';
      this.show('stale', 'silent', message, cure);
    }
  }

  /** Never waited for: a line that takes no bytes must not hold up the loop that notices it. The port keeps their order. */
  private send(line: Line, frames: readonly Uint8Array[]): void {
    // A line that ends tells so by onClose, and one that swallows commands shows as silence.
    for (const bytes of frames) line.port.write(bytes).catch(() => {});
  }

  /** Tells the sink when the state changes, and now and then while it does not. */
  private show(level: Diagnostic['level'], code: string, message: string, cure: string): void {
    const key = `${level} ${code}`;
    const now = this.clock.monotonicNs();
    if (key === this.shown && Number(now - this.shownNs) / 1e6 < REPEAT_MS) return;
    this.shown = key;
    this.shownNs = now;
    this.sink.diagnostic({ source: this.options.source, level, code, message, cure, values: { ...this.counts } });
  }
}
