/** The page's side of the worker: asks, hears, and keeps what React shows. */
import type { BagFault } from '../reading/bag-error.ts';
import type {
  BagEvent,
  BagInfo,
  BagLine,
  SeriesKey,
  SeriesStatistics,
  ViewAnswer,
  ViewQuery,
} from '../reading/bag-model.ts';
import type { BagFile } from '../reading/byte-source.ts';
import type { SoundSpan } from '../reading/playback.ts';
import type { FromWorker, ToWorker } from '../reading/protocol.ts';

/** What is known of the bag so far. */
export interface BagState {
  readonly opening: { readonly file: string; readonly done: number; readonly total: number } | null;
  readonly info: BagInfo | null;
  /** Why it could not be opened. */
  readonly failure: BagFault | null;
  readonly events: readonly BagEvent[];
  readonly faults: readonly BagFault[];
  readonly readBytes: number;
}

const nothingYet: BagState = { opening: null, info: null, failure: null, events: [], faults: [], readBytes: 0 };

/** One bag, from `open` to `close`. */
export class BagClient {
  state = nothingYet;
  /** Told each answer to `view` and `strip`. */
  onView: (answer: ViewAnswer) => void = () => undefined;
  onStrip: (answer: ViewAnswer) => void = () => undefined;
  readonly #worker: Worker;
  readonly #watchers = new Set<() => void>();
  readonly #waiting = new Map<number, (message: FromWorker) => void>();
  #lastId = 0;

  constructor() {
    this.#worker = new Worker(new URL('../reading/bag-worker.ts', import.meta.url), { type: 'module', name: 'bag' });
    this.#worker.addEventListener('message', (event: MessageEvent<FromWorker>) => this.#hear(event.data));
    this.#worker.addEventListener('error', (event) => {
      const message = `the reader stopped: ${event.message || 'its code could not be loaded'}`;
      this.#set({ failure: { file: '', offset: null, message, cure: 'Load the page again.' } });
    });
  }

  open(name: string, files: readonly BagFile[]): void {
    this.#post({ kind: 'open', name, files });
  }

  view(query: ViewQuery): void {
    this.#post({ kind: 'view', query });
  }

  strip(query: ViewQuery): void {
    this.#post({ kind: 'strip', query });
  }

  askEvents(): void {
    this.#post({ kind: 'events' });
  }

  /** Never answered when a newer question comes first. */
  async statistics(keys: readonly SeriesKey[], fromS: number, toS: number): Promise<readonly SeriesStatistics[]> {
    const answer = await this.#ask((id) => ({ kind: 'statistics', id, keys, fromS, toS }));
    return answer.kind === 'statistics' ? answer.statistics : [];
  }

  async sound(key: SeriesKey, fromS: number, toS: number): Promise<SoundSpan | null> {
    const answer = await this.#ask((id) => ({ kind: 'sound', id, key, fromS, toS }));
    return answer.kind === 'sound' ? answer.sound : null;
  }

  async lines(fromS: number, toS: number): Promise<readonly BagLine[]> {
    const answer = await this.#ask((id) => ({ kind: 'lines', id, fromS, toS }));
    return answer.kind === 'lines' ? answer.lines : [];
  }

  subscribe = (changed: () => void): (() => void) => {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  };

  close(): void {
    this.#worker.terminate();
    this.#waiting.clear();
    this.#watchers.clear();
  }

  #ask(question: (id: number) => ToWorker): Promise<FromWorker> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      // Questions that newer ones have overtaken are never answered.
      for (const old of this.#waiting.keys()) if (old < id - 50) this.#waiting.delete(old);
      this.#post(question(id));
    });
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #hear(message: FromWorker): void {
    if ('id' in message) {
      this.#waiting.get(message.id)?.(message);
      this.#waiting.delete(message.id);
    } else if (message.kind === 'view' || message.kind === 'strip') {
      if (message.kind === 'view') this.onView(message.answer);
      else this.onStrip(message.answer);
    } else if (message.kind === 'opening') {
      this.#set({ opening: { file: message.file, done: message.done, total: message.total } });
    } else if (message.kind === 'opened') {
      this.#set({ info: message.info, faults: message.info.faults, opening: null });
    } else if (message.kind === 'failed') {
      if (message.opening) this.#set({ failure: message.fault, opening: null });
      else this.#set({ faults: [...this.state.faults, message.fault].slice(0, 50) });
    } else if (message.kind === 'faults') {
      this.#set({ faults: message.faults });
    } else if (message.kind === 'events') {
      this.#set({ events: message.events });
    } else if (message.kind === 'reading' && message.bytes !== this.state.readBytes) {
      this.#set({ readBytes: message.bytes });
    }
  }

  #set(change: Partial<BagState>): void {
    this.state = { ...this.state, ...change };
    for (const changed of this.#watchers) changed();
  }
}
