/**
 * The state of everything that can be well or not: keeps the latest diagnostic of each source, publishes all of them on
 * `/diagnostics`, and records each change for central, at most one a source and second.
 */
import type { Clock, Diagnostic, Stamp } from '../../drivers/sample.ts';
import type { Graph, Publish } from '../graph.ts';
import { type DiagnosticSet, diagnosticsTopic } from './topics.ts';

/** Records a diagnostic for central; must not throw. */
export type RecordDiagnostic = (stamp: Stamp, diagnostic: Diagnostic) => void;

/** A source that flaps faster than this is recorded with its latest state only. */
const RECORD_PERIOD_NS = 1_000_000_000n;

interface SourceState {
  latest: Diagnostic;
  recorded: Diagnostic | null;
  recordedAtNs: bigint | null;
}

/** All sources' latest diagnostics. */
export class DiagnosticsNode {
  readonly #vehicle: string;
  readonly #clock: Clock;
  readonly #record: RecordDiagnostic;
  readonly #publish: Publish<DiagnosticSet>;
  readonly #sources = new Map<string, SourceState>();

  constructor(parts: { vehicle: string; graph: Graph; clock: Clock; record: RecordDiagnostic }) {
    this.#vehicle = parts.vehicle;
    this.#clock = parts.clock;
    this.#record = parts.record;
    this.#publish = parts.graph.advertise(diagnosticsTopic);
  }

  /** Takes the news of a source; a change of its level or code is published and recorded. */
  report(diagnostic: Diagnostic): void {
    const known = this.#sources.get(diagnostic.source);
    const state = known ?? { latest: diagnostic, recorded: null, recordedAtNs: null };
    state.latest = diagnostic;
    if (known === undefined) this.#sources.set(diagnostic.source, state);
    this.#recordChange(state, this.#clock.now());
  }

  /** The latest diagnostic of each source. */
  all(): Diagnostic[] {
    return [...this.#sources.values()].map((state) => state.latest);
  }

  /** Publishes all sources and records what had to wait; called each second. */
  publishAll(): void {
    const stamp = this.#clock.now();
    for (const state of this.#sources.values()) this.#recordChange(state, stamp);
    const diagnostics = this.all();
    if (diagnostics.length > 0) this.#tell(stamp, diagnostics);
  }

  #recordChange(state: SourceState, stamp: Stamp): void {
    const { latest, recorded, recordedAtNs } = state;
    if (recorded !== null && recorded.level === latest.level && recorded.code === latest.code) return;
    if (recordedAtNs !== null && stamp.monotonicNs - recordedAtNs < RECORD_PERIOD_NS) return;
    state.recorded = latest;
    state.recordedAtNs = stamp.monotonicNs;
    this.#record(stamp, latest);
    this.#tell(stamp, [latest]);
  }

  #tell(stamp: Stamp, diagnostics: readonly Diagnostic[]): void {
    this.#publish(stamp, { stamp, vehicle: this.#vehicle, diagnostics });
  }
}
