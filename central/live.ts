/** Hands what was just committed to whoever watches: the room's one in-process fan-out, bounded by its listeners. */
import type { Command, Event, LiveClip, LiveClock, LiveSample, LiveUpdate, LiveVehicle } from './api/schemas.ts';

/** One message of GET /api/live; `vehicle` is whose it is, `data` what is sent. */
export type LiveMessage =
  | { readonly event: 'sample'; readonly vehicle: string; readonly data: LiveSample }
  | { readonly event: 'impact'; readonly vehicle: string; readonly data: Event }
  | { readonly event: 'update'; readonly vehicle: string; readonly data: LiveUpdate }
  | { readonly event: 'clip'; readonly vehicle: string; readonly data: LiveClip }
  | { readonly event: 'vehicle'; readonly vehicle: string; readonly data: LiveVehicle }
  | { readonly event: 'clock'; readonly vehicle: string; readonly data: LiveClock }
  | { readonly event: 'command'; readonly vehicle: string; readonly data: Command };

/** Called synchronously; must not throw and must not wait. */
export type LiveListener = (message: LiveMessage) => void;

export class LiveHub {
  readonly #listeners = new Set<LiveListener>();

  /** Starts listening; the returned function stops it. */
  listen(listener: LiveListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  publish(message: LiveMessage): void {
    for (const listener of this.#listeners) listener(message);
  }
}
