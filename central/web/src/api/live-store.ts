/**
 * What the live feed has brought since the page was opened: recent samples of each stream and recent impacts, both
 * bounded. Views subscribe; changes are announced at most four times a second.
 */
import type { ImpactEvent, LiveSample } from './types.ts';

export interface LivePoint {
  /** Milliseconds since 1970. */
  readonly t: number;
  readonly values: Readonly<Record<string, number | null>>;
}

/** Per stream: 20 minutes at 1 Hz; older points come from the history. */
const pointLimit = 1_200;
/** Streams of all vehicles together; the longest silent one goes first. */
const streamLimit = 512;
const impactLimit = 200;
const announceMs = 250;

const noPoints: readonly LivePoint[] = [];

export class LiveStore {
  readonly #points = new Map<string, readonly LivePoint[]>();
  readonly #watchers = new Set<() => void>();
  #impacts: readonly ImpactEvent[] = [];
  #announcement: ReturnType<typeof setTimeout> | undefined;

  /** The stream's points, oldest first; the same array until one is added. */
  points(vehicle: string, stream: string): readonly LivePoint[] {
    return this.#points.get(`${vehicle}\n${stream}`) ?? noPoints;
  }

  /** Impacts that arrived while the page was open, newest first. */
  get impacts(): readonly ImpactEvent[] {
    return this.#impacts;
  }

  addSample(sample: LiveSample): void {
    const key = `${sample.vehicle}\n${sample.stream}`;
    const t = Date.parse(sample.captured_at);
    if (!Number.isFinite(t)) return;
    const before = this.#points.get(key) ?? noPoints;
    const last = before.at(-1);
    // After an outage a vehicle catches up with older samples; the history has their place in the row.
    if (last !== undefined && t <= last.t) return;
    this.#points.delete(key);
    this.#points.set(key, [...before.slice(Math.max(0, before.length - pointLimit + 1)), { t, values: sample.values }]);
    const [silent] = this.#points.keys();
    if (this.#points.size > streamLimit && silent !== undefined) this.#points.delete(silent);
    this.#announce();
  }

  addImpact(impact: ImpactEvent): void {
    if (this.#impacts.some(({ id }) => id === impact.id)) return;
    this.#impacts = [impact, ...this.#impacts].slice(0, impactLimit);
    this.#announce();
  }

  /** Throws the samples of a vehicle away: their times were put right. */
  forget(vehicle: string): void {
    for (const key of this.#points.keys()) if (key.startsWith(`${vehicle}\n`)) this.#points.delete(key);
    this.#announce();
  }

  subscribe(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  #announce(): void {
    this.#announcement ??= setTimeout(() => {
      this.#announcement = undefined;
      for (const changed of this.#watchers) changed();
    }, announceMs);
  }
}
