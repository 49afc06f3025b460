/**
 * One sensor in the graph: opens its device, runs its loop, and starts it again should it ever end or throw, so that a sensor
 * can harm nothing but itself.
 */
import type { Device, Diagnostic } from '../../drivers/sample.ts';

/** Makes the device; may reject, for instance when a native addon is missing. */
export type OpenDevice = () => Promise<Device>;

const RESTART_PAUSE_MS = 2_000;

/** A sensor by name, with a loop that ends only with its signal. */
export class SensorNode {
  readonly name: string;
  readonly #open: OpenDevice;
  readonly #report: (diagnostic: Diagnostic) => void;
  #opened = new AbortController();

  constructor(name: string, open: OpenDevice, report: (diagnostic: Diagnostic) => void) {
    this.name = name;
    this.#open = open;
    this.#report = report;
  }

  /** Runs until `signal` aborts and the device is released; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#opened = new AbortController();
      const ending = AbortSignal.any([signal, this.#opened.signal]);
      try {
        const device = await this.#open();
        await device.run(ending);
        if (!ending.aborted) this.#fail('its loop ended without being asked to');
      } catch (error) {
        this.#fail(error instanceof Error ? error.message : String(error));
      }
      await pause(RESTART_PAUSE_MS, ending);
    }
  }

  /** Releases the device and opens it again at once, with settings that changed. */
  reopen(): void {
    this.#opened.abort();
  }

  #fail(message: string): void {
    const cure = 'Run fender doctor; the sensor is tried again every few seconds.';
    this.#report({ source: this.name, level: 'error', code: 'failed', message, cure, values: {} });
  }
}

/** Waits, or returns at once when `signal` aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
