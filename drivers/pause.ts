/** Waiting that ends early when there is no more reason to wait. */

/** Resolves after `ms`, or at once when `signal` aborts; never rejects. */
export type Pause = (ms: number, signal: AbortSignal) => Promise<void>;

/** Waits in real time. */
export const realPause: Pause = (ms, signal) => {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(0, ms));
    signal.addEventListener('abort', done, { once: true });
  });
};
