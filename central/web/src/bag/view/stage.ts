/**
 * Owns what is in view: the span, the cursor, and the newest answer for it. Everything drawn is drawn together, once a frame at
 * most; React hears of changes ten times a second, which is enough for texts.
 */
import type { Cells, SeriesKey, SpectrumPicture, ViewAnswer } from '../reading/bag-model.ts';

/** Shorter than this nothing is to be seen: some samples of sound. */
const shortestS = 5e-4;
const slowMs = 100;

export interface Span {
  readonly fromS: number;
  readonly toS: number;
}

export class Stage {
  readonly durationS: number;
  fromS = 0;
  toS: number;
  cursorS = 0;
  /** Where the pointer is; null when it is elsewhere. */
  hoverS: number | null = null;
  /** What is being marked by dragging. */
  marked: Span | null = null;
  spectrum: SpectrumPicture | null = null;
  progress = 0;
  answered: Span = { fromS: 0, toS: 0 };
  /** Rises with every change of the span. */
  spanVersion = 0;
  /** Rises ten times a second while something changes. */
  slowVersion = 0;
  readonly #cells = new Map<string, Cells>();
  readonly #painters = new Set<() => void>();
  readonly #slow = new Set<() => void>();
  readonly #onSpan: () => void;
  #frame = 0;
  #isSeen = false;
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** @param onSpan told when another span is to be asked for. */
  constructor(durationS: number, onSpan: () => void) {
    this.durationS = durationS;
    this.toS = durationS;
    this.#onSpan = onSpan;
  }

  get spanS(): number {
    return this.toS - this.fromS;
  }

  /** Where values are read: under the pointer, else at the cursor. */
  get readS(): number {
    return this.hoverS ?? this.cursorS;
  }

  cells({ topic, field }: SeriesKey): Cells | undefined {
    return this.#cells.get(`${topic} ${field}`);
  }

  /** Shows a span, kept within the bag. */
  show(fromS: number, toS: number): void {
    const spanS = Math.min(this.durationS, Math.max(shortestS, toS - fromS));
    const from = Math.max(0, Math.min(this.durationS - spanS, fromS));
    if (from === this.fromS && from + spanS === this.toS) return;
    this.fromS = from;
    this.toS = from + spanS;
    this.spanVersion += 1;
    this.#onSpan();
    this.changed();
  }

  /** Zooms by `factor` (below 1: in) and keeps `aroundS` where it is. */
  zoom(factor: number, aroundS = this.fromS + this.spanS / 2): void {
    const spanS = Math.min(this.durationS, Math.max(shortestS, this.spanS * factor));
    const share = (aroundS - this.fromS) / this.spanS;
    this.show(aroundS - share * spanS, aroundS + (1 - share) * spanS);
  }

  /** Moves the view by a share of its span. */
  pan(share: number): void {
    const spanS = this.spanS;
    const from = Math.max(0, Math.min(this.durationS - spanS, this.fromS + share * spanS));
    this.show(from, from + spanS);
  }

  /** @param follow moves the view when the cursor leaves it. */
  moveCursor(timeS: number, follow: boolean): void {
    this.cursorS = Math.max(0, Math.min(this.durationS, timeS));
    if (follow && (this.cursorS < this.fromS || this.cursorS > this.toS)) {
      const from = this.cursorS - 0.1 * this.spanS;
      this.show(from, from + this.spanS);
    }
    this.changed();
  }

  take(answer: ViewAnswer): void {
    this.#cells.clear();
    answer.series.forEach(({ topic, field }, at) => {
      const cells = answer.cells[at];
      if (cells) this.#cells.set(`${topic} ${field}`, cells);
    });
    this.answered = answer;
    this.progress = answer.progress;
    // One without a picture yet leaves the old one standing.
    if (answer.spectrum === null || answer.spectrum.picture !== null) {
      this.spectrum?.picture?.close();
      this.spectrum = answer.spectrum;
    }
    this.changed();
  }

  /** Draws once in the next frame, and tells React soon. */
  changed(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      for (const paint of this.#painters) paint();
      // For whoever measures: from here on there is something to see.
      if (this.#cells.size > 0 && !this.#isSeen) performance.mark('bag-first-picture');
      this.#isSeen ||= this.#cells.size > 0;
    });
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.slowVersion += 1;
      for (const watcher of this.#slow) watcher();
    }, slowMs);
  }

  /** @param paint draws from this stage; called in an animation frame. */
  addPainter(paint: () => void): () => void {
    this.#painters.add(paint);
    this.changed();
    return () => this.#painters.delete(paint);
  }

  subscribeSlowly = (watcher: () => void): (() => void) => {
    this.#slow.add(watcher);
    return () => this.#slow.delete(watcher);
  };

  close(): void {
    cancelAnimationFrame(this.#frame);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.spectrum?.picture?.close();
    this.spectrum = null;
  }
}
