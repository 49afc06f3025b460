/**
 * The connection to /api/live: opens it, watches it for signs of life, opens it again with backoff, and hands its
 * events to listeners. What came while it was down is not replayed; listeners ask the API again on `reopened`.
 */
import { createEventStreamDecoder, type ServerEvent } from './event-stream.ts';

export type LiveState = 'connecting' | 'open' | 'lost';

export interface LiveListener {
  event(event: ServerEvent): void;
  /** Called after a lost connection works again: everything shown may be out of date. */
  reopened(): void;
}

/** The service sends a comment each 15 s; after twice that and a bit, the connection is taken for dead. */
const silenceLimitMs = 35_000;
const firstRetryMs = 500;
const longestRetryMs = 10_000;

type OpenStream = (signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>;

async function openLive(signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  const response = await fetch('/api/live', { signal, headers: { accept: 'text/event-stream' }, cache: 'no-store' });
  if (!response.ok || response.body === null) throw new Error(`expected a stream, found HTTP ${response.status}`);
  return response.body;
}

export class LiveFeed {
  #state: LiveState = 'connecting';
  readonly #listeners = new Set<LiveListener>();
  readonly #watchers = new Set<() => void>();
  readonly #open: OpenStream;

  constructor(open: OpenStream = openLive) {
    this.#open = open;
  }

  get state(): LiveState {
    return this.#state;
  }

  /** Adds a listener of events; the returned function removes it. */
  listen(listener: LiveListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls back after each change of `state`; the returned function ends that. */
  watchState(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  /** Keeps the feed open until `signal` aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    let retryMs = firstRetryMs;
    let wasOpen = false;
    while (!signal.aborted) {
      const attempt = new AbortController();
      const abort = () => attempt.abort();
      signal.addEventListener('abort', abort, { once: true });
      try {
        await this.#readOnce(attempt, () => {
          retryMs = firstRetryMs;
          this.#become('open');
          if (wasOpen) for (const listener of this.#listeners) listener.reopened();
          wasOpen = true;
        });
      } catch {
        // Any failure has the same cure: say so in the header, wait, open again.
      } finally {
        signal.removeEventListener('abort', abort);
        attempt.abort();
      }
      if (signal.aborted) break;
      this.#become('lost');
      await pause(retryMs * (0.75 + Math.random() / 2), signal);
      retryMs = Math.min(longestRetryMs, retryMs * 2);
    }
  }

  async #readOnce(attempt: AbortController, opened: () => void): Promise<void> {
    let silence = setTimeout(() => attempt.abort(), silenceLimitMs);
    try {
      const stream = await this.#open(attempt.signal);
      opened();
      const decode = createEventStreamDecoder();
      const reader = stream.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(silence);
        silence = setTimeout(() => attempt.abort(), silenceLimitMs);
        for (const event of decode(value)) for (const listener of this.#listeners) listener.event(event);
      }
    } finally {
      clearTimeout(silence);
    }
  }

  #become(state: LiveState): void {
    if (this.#state === state) return;
    this.#state = state;
    for (const changed of this.#watchers) changed();
  }
}

/** Waits; ends early when the signal aborts or the browser says that the network is back. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      globalThis.removeEventListener?.('online', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    globalThis.addEventListener?.('online', done, { once: true });
  });
}
