/**
 * Decides when the worker is asked for the view again: at once when the zoom changed or the margin read around the view is used
 * up, else when the view has come to rest.
 */
import type { SeriesKey, ViewQuery } from '../reading/bag-model.ts';
import type { BagClient } from './bag-client.ts';
import type { Stage } from './stage.ts';

const leastMs = 60;
const restMs = 160;

export class ViewAsker {
  series: readonly SeriesKey[] = [];
  spectrum: ViewQuery['spectrum'] = null;
  width = 1000;
  readonly #client: BagClient;
  readonly #stage: Stage;
  #asked: { readonly fromS: number; readonly toS: number } | null = null;
  #askedMs = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #dueMs = 0;

  constructor(client: BagClient, stage: Stage) {
    this.#client = client;
    this.#stage = stage;
  }

  /** The span has changed. */
  spanChanged(): void {
    const { fromS, toS, spanS, durationS } = this.#stage;
    const asked = this.#asked;
    const isZoomed = asked === null || Math.abs(Math.log2(spanS / (asked.toS - asked.fromS))) > 0.3;
    const marginS = spanS * 0.15;
    const left = Math.max(0, (asked?.fromS ?? 0) - spanS / 2);
    const right = Math.min(durationS, (asked?.toS ?? 0) + spanS / 2);
    const isUsedUp = (fromS - marginS < left && left > 0) || (toS + marginS > right && right < durationS);
    this.#schedule(isZoomed || isUsedUp ? Math.max(0, this.#askedMs + leastMs - performance.now()) : restMs);
  }

  /** What is shown has changed. */
  ask(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const { fromS, toS } = this.#stage;
    this.#asked = { fromS, toS };
    this.#askedMs = performance.now();
    this.#client.view({ fromS, toS, width: this.width, series: this.series, spectrum: this.spectrum });
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #schedule(delayMs: number): void {
    const dueMs = performance.now() + delayMs;
    if (this.#timer !== null) {
      // What is due soon stays due; rest is counted anew.
      if (delayMs < restMs && this.#dueMs <= dueMs) return;
      clearTimeout(this.#timer);
    }
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => this.ask(), delayMs);
  }
}
