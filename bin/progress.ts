/** A progress bar on stderr for long work: only where a terminal is there, so that pipes and logs stay clean. */
import { Presets, SingleBar } from 'cli-progress';

export interface Progress {
  /** `done` of `total`, in any unit; `note` is shown behind the bar. */
  update(done: number, total: number, note?: string): void;
  close(): void;
}

/** `7 s`, `3 min 20 s`; the library says `INF` and `NULL` for what it does not know. */
function timeText(seconds: number): string {
  if (!Number.isFinite(seconds)) return '? s';
  const minutes = Math.floor(seconds / 60);
  return minutes === 0 ? `${Math.round(seconds)} s` : `${minutes} min ${Math.round(seconds - 60 * minutes)} s`;
}

/** `label` stands before the bar. */
export function startProgress(label: string): Progress {
  if (!process.stderr.isTTY) return { update() {}, close() {} };
  const format = `${label} {bar} {percentage} % | {eta_formatted} left {note}`;
  const formatTime = (seconds: unknown): string => timeText(Number(seconds));
  const bar = new SingleBar(
    { format, formatTime, stream: process.stderr, hideCursor: true, clearOnComplete: true },
    Presets.shades_classic,
  );
  let started = false;
  return {
    update(done, total, note = '') {
      if (!started) bar.start(total, done, { note });
      started = true;
      bar.setTotal(total);
      bar.update(done, { note });
    },
    close() {
      if (started) bar.stop();
    },
  };
}
