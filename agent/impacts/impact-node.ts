/**
 * What happens to an impact, and to every other event: it is committed to the outbox at once and published; when its post-roll is recorded,
 * its clip is cut and handed to the outbox too. Clips owed from before the start are cut from the recorded segments. What becomes known of
 * an event later, such as a change of the air pressure or that smoke is gone, is an update of it.
 */
import { randomUUID } from 'node:crypto';
import type { Clock, Diagnostic, Stamp } from '../../drivers/sample.ts';
import type { Impact } from '../detector/supervisor.ts';
import type { Graph, Publish } from '../graph.ts';
import type { AirLevel, EventReading, ImpactSample } from '../messages/messages.ts';
import { impactTopic } from '../nodes/topics.ts';
import { anchoredNs, type ClipRange } from '../recording/clip.ts';
import type { TakeSnapshot } from '../recording/snapshot.ts';
import type { ImpactJournal, OwedClip } from './impact-journal.ts';
import { durationNs, kindOf, stampOf, toOwed, toSample } from './owed-clip.ts';

/** A clip on disk. */
export interface ClipFile {
  readonly path: string;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly bytes: number;
}

/** Cuts everything recorded in the range into a file of its own, which keeps `metadata`. */
export type CutClip = (range: ClipRange, metadata: Readonly<Record<string, string>>) => Promise<ClipFile>;

/** What became known of an event after it was committed; what is absent is as it was. */
export interface EventUpdate {
  readonly durationS?: number;
  readonly ongoing?: boolean;
  /** Pa. */
  readonly pressureChangePa?: number;
  readonly level?: AirLevel;
  readonly detail?: string;
  readonly readings?: readonly EventReading[];
}

/** Where events and clips go; each resolves when it is on disk. */
export interface ImpactStore {
  appendEvent(eventId: string, impact: ImpactSample, durationS: number): Promise<unknown>;
  /** Of the updates of an event the latest counts. */
  appendUpdate(stamp: Stamp, eventId: string, update: EventUpdate): Promise<unknown>;
  appendClip(stamp: Stamp, eventId: string, clip: ClipFile, startNs: bigint, endNs: bigint): Promise<unknown>;
  /** Says for ever that the event's clip could not be made. */
  dropClip(eventId: string): Promise<unknown>;
}

/** What the node is connected to. */
export interface ImpactParts {
  readonly graph: Graph;
  readonly clock: Clock;
  readonly journal: ImpactJournal;
  readonly store: ImpactStore;
  readonly cutClip: CutClip;
  readonly report: (diagnostic: Diagnostic) => void;
  /** By how many Pa the air pressure changed at this moment, as far as it is measured by now; null when nothing stands out. */
  readonly pressureChange?: (onset: Stamp) => number | null;
}

/** An event that is no impact, and that nobody asked for. */
export interface Finding {
  readonly kind: 'air' | 'drift';
  readonly stamp: Stamp;
  readonly label: string;
  readonly detail: string;
  readonly readings: readonly EventReading[];
  readonly level?: AirLevel;
  readonly ongoing?: boolean;
  /** The model that the event is about; none for the air. */
  readonly model?: { readonly name: string; readonly version: string };
}

/** How much a clip holds around its impact, in nanoseconds. */
export interface ClipOptions {
  readonly preRollNs: bigint;
  readonly postRollNs: bigint;
}

/** Sound is on its way through the recorder for this long at most; the post-roll is whole after it. */
const SETTLE_NS = 400_000_000n;
/** More impacts than this waiting for their clips is a flood; their events are kept, their clips are not made. */
const MAX_OWED = 256;
/** An impact's evidence in the slow sensors is looked for until so long after its onset: two readings of a sensor read each second. */
const EVIDENCE_NS = 2_300_000_000n;
const MAX_TRIES = 3;
const RETRY_MS = 2_000;

/** Figures since the agent started. */
export interface ImpactStatistics {
  readonly events: number;
  readonly clips: number;
  readonly owedClips: number;
  readonly lostClips: number;
}

/** The impact node; call `run` once, `take` for each impact. */
export class ImpactNode {
  readonly #parts: ImpactParts;
  readonly #options: ClipOptions;
  readonly #publish: Publish<ImpactSample>;
  readonly #owed: OwedClip[] = [];
  readonly #committing = new Set<Promise<void>>();
  #wake: () => void = () => {};
  #events = 0;
  #clips = 0;
  #lost = 0;

  constructor(parts: ImpactParts, options: ClipOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#publish = parts.graph.advertise(impactTopic);
  }

  /** Takes an impact; never throws. */
  take(impact: Impact): void {
    const change = this.#parts.pressureChange?.(impact.stamp) ?? null;
    const sample = { ...impact, ...(change !== null && { pressureChangePa: change }) };
    this.#keep(this.#commit({ kind: 'impact', ...sample, eventId: randomUUID() }));
  }

  /** Takes what was found; never throws. `rolls` is what its clip holds; null: it gets none. Returns the event's id. */
  takeFinding(finding: Finding, rolls: ClipOptions | null): string {
    const { model = { name: '', version: '' }, ...said } = finding;
    const eventId = randomUUID();
    const sample: ImpactSample = { ...said, eventId, endNs: said.stamp.capturedAtNs, score: 1, scores: {}, model };
    if (rolls === null) this.#keep(this.#commitWithoutClip(sample));
    else this.#keep(this.#commit(sample, { pre_roll_ns: rolls.preRollNs, post_roll_ns: rolls.postRollNs }));
    return eventId;
  }

  /** Adds to an event what became known at `stamp`; never throws. */
  update(stamp: Stamp, eventId: string, update: EventUpdate): void {
    // Behind the event itself, or a full disk could keep the one and take the other.
    const before = [...this.#committing];
    this.#keep(Promise.all(before).then(() => this.#parts.store.appendUpdate(stamp, eventId, update)));
  }

  /** Makes an event labelled `snapshot` and owes its clip; rejects when the disk does not take the event, or too many clips are owed. */
  readonly takeSnapshot: TakeSnapshot = async ({ stamp, reason, preRollNs, postRollNs }) => {
    if (this.#owed.length >= MAX_OWED)
      throw new Error(`expected at most ${MAX_OWED} events waiting for their clips, found more`);
    const model = { name: '', version: '' };
    const impact = { stamp, endNs: stamp.capturedAtNs, label: 'snapshot', score: 1, scores: {}, model };
    const kind = 'snapshot' as const;
    const eventId = randomUUID();
    const work = this.#commit(
      { ...impact, kind, eventId },
      { pre_roll_ns: preRollNs, post_roll_ns: postRollNs, reason },
    );
    const settled = work.catch(() => {});
    this.#committing.add(settled);
    await work.finally(() => this.#committing.delete(settled));
    return eventId;
  };

  statistics(): ImpactStatistics {
    return { events: this.#events, clips: this.#clips, owedClips: this.#owed.length, lostClips: this.#lost };
  }

  /** Resolves when every impact taken so far is in the outbox. */
  async settled(): Promise<void> {
    await Promise.all(this.#committing);
  }

  /** Cuts clips as they become due, first those owed from before, until `signal` aborts; what is then owed stays journalled. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    await this.#resume().catch((error: unknown) => this.#fail('journal', error));
    while (!signal.aborted) {
      const next = this.#owed[0];
      const waitMs = next === undefined ? null : this.#waitMs(next);
      if (next !== undefined && waitMs !== null && waitMs <= 0) {
        await this.#cut(next, signal);
        const index = this.#owed.indexOf(next);
        if (index >= 0) this.#owed.splice(index, 1);
      } else {
        await this.#sleep(waitMs, signal);
      }
    }
  }

  /** Lets the work go on; `settled` waits for it. */
  #keep(work: Promise<unknown>): void {
    const kept = work.then(
      () => {},
      (error: unknown) => this.#fail('event', error),
    );
    this.#committing.add(kept);
    void kept.finally(() => this.#committing.delete(kept));
  }

  async #commitWithoutClip(sample: ImpactSample): Promise<void> {
    this.#events += 1;
    this.#publish(sample.stamp, sample);
    await this.#parts.store.appendEvent(sample.eventId, sample, 0);
  }

  async #commit(sample: ImpactSample, snapshot: Partial<OwedClip> = {}): Promise<void> {
    const { journal } = this.#parts;
    const owed = { ...toOwed(sample), ...snapshot };
    this.#events += 1;
    this.#publish(sample.stamp, sample);
    // The journal comes first, or a crash in between would leave an event that never gets its clip.
    await journal.put(owed).catch((error: unknown) => this.#fail('journal', error));
    await this.#appendEvent(owed);
    if (this.#owed.length >= MAX_OWED) {
      await this.#giveUp(owed.event_id);
      const message = `expected at most ${MAX_OWED} impacts waiting for their clips, found more`;
      this.#tell('warn', 'clips-lost', message, 'Raise detector.thresholds: the detector hears too many impacts.');
      return;
    }
    this.#owed.push({ ...owed, committed: true });
    this.#sortOwed();
    this.#wake();
    await journal.put({ ...owed, committed: true }).catch((error: unknown) => this.#fail('journal', error));
  }

  async #appendEvent(owed: OwedClip): Promise<void> {
    const durationS = Number(durationNs(owed)) / 1e9;
    await this.#parts.store.appendEvent(owed.event_id, toSample(owed), durationS);
  }

  /** Takes up what an earlier run of the agent owed. */
  async #resume(): Promise<void> {
    for (const owed of await this.#parts.journal.all()) {
      if (this.#owed.some((each) => each.event_id === owed.event_id)) continue;
      try {
        // Central keeps one event an id, so committing it once too often does no harm.
        if (!owed.committed) await this.#appendEvent(owed);
        this.#owed.push(owed);
      } catch (error) {
        // It stays journalled, and keeps none of the others from their clips.
        this.#fail('event', error);
      }
    }
    this.#sortOwed();
  }

  /** What is due first comes first: an impact does not wait for the long post-roll of a snapshot before it. */
  #sortOwed(): void {
    const { bootId } = this.#parts.clock.now();
    this.#owed.sort((a, b) => Number(this.#dueNs(a, bootId) - this.#dueNs(b, bootId)));
  }

  /** How long until the clip can be cut, in ms. */
  #waitMs(owed: OwedClip): number {
    const now = this.#parts.clock.now();
    return Number((this.#dueNs(owed, now.bootId) - now.monotonicNs) / 1_000_000n);
  }

  /** When the clip can be cut and all evidence is in, by the monotonic clock; what is of another boot is long past. */
  #dueNs(owed: OwedClip, bootId: string): bigint {
    if (owed.boot_id !== bootId) return 0n;
    const clipNs = this.#rangeOf(owed).endMonotonicNs + SETTLE_NS;
    const evidenceNs = this.#seeksPressure(owed) ? owed.monotonic_ns + EVIDENCE_NS : 0n;
    return clipNs > evidenceNs ? clipNs : evidenceNs;
  }

  #seeksPressure(owed: OwedClip): boolean {
    return this.#parts.pressureChange !== undefined && kindOf(owed) === 'impact';
  }

  /** Says what the readings after the onset add to what was known when the event was committed. */
  #addEvidence(owed: OwedClip): void {
    const change = this.#seeksPressure(owed) ? (this.#parts.pressureChange?.(stampOf(owed)) ?? null) : null;
    if (change === null || change === owed.pressure_change_pa) return;
    this.update(this.#parts.clock.now(), owed.event_id, { pressureChangePa: change });
  }

  async #cut(owed: OwedClip, signal: AbortSignal): Promise<void> {
    const { store, cutClip } = this.#parts;
    const range = this.#rangeOf(owed);
    const startNs = anchoredNs(range, range.startMonotonicNs);
    const endNs = anchoredNs(range, range.endMonotonicNs);
    this.#addEvidence(owed);
    const metadata = { event_id: owed.event_id, label: owed.label, ...(owed.reason && { reason: owed.reason }) };
    for (let attempt = 1; attempt <= MAX_TRIES; attempt += 1) {
      try {
        const clip = await cutClip(range, metadata);
        await store.appendClip(stampOf(owed), owed.event_id, clip, startNs, endNs);
        this.#clips += 1;
        await this.#strike(owed.event_id);
        return;
      } catch (error) {
        this.#fail('clip', error);
        if (attempt < MAX_TRIES) await this.#sleep(RETRY_MS, signal);
        if (signal.aborted) return;
      }
    }
    await this.#giveUp(owed.event_id);
  }

  async #giveUp(eventId: string): Promise<void> {
    this.#lost += 1;
    await this.#parts.store.dropClip(eventId).catch((error: unknown) => this.#fail('clip', error));
    await this.#strike(eventId);
  }

  #rangeOf(owed: OwedClip): ClipRange {
    const { pre_roll_ns: preRollNs = this.#options.preRollNs, post_roll_ns: postRollNs = this.#options.postRollNs } =
      owed;
    return {
      bootId: owed.boot_id,
      startMonotonicNs: owed.monotonic_ns - preRollNs,
      endMonotonicNs: owed.monotonic_ns + durationNs(owed) + postRollNs,
      anchor: stampOf(owed),
    };
  }

  /** Strikes the impact out of the journal; what a refusing disk leaves there is done once more at the next start, which is harmless. */
  async #strike(eventId: string): Promise<void> {
    await this.#parts.journal.remove(eventId).catch((error: unknown) => this.#fail('journal', error));
  }

  #sleep(ms: number | null, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const timer = ms === null ? null : setTimeout(() => this.#wake(), ms);
      this.#wake = () => {
        if (timer !== null) clearTimeout(timer);
        this.#wake = () => {};
        resolve();
      };
    });
  }

  #fail(what: string, error: unknown): void {
    const message = `${what}: ${error instanceof Error ? error.message : String(error)}`;
    this.#tell('error', `${what}-failed`, message, 'Check the disk of data_dir.');
  }

  #tell(level: Diagnostic['level'], code: string, message: string, cure: string): void {
    this.#parts.report({ source: 'impacts', level, code, message, cure, values: { ...this.statistics() } });
  }
}
