/**
 * Everything that listens: the active model in its process, the candidate beside it, the choice between int8 and fp32, and the watch
 * for drift. Says each report period, and at the end, what was found.
 */
import type { AudioChunk, Clock, Diagnostic } from '../../drivers/sample.ts';
import type { EventUpdate, Finding } from '../impacts/impact-node.ts';
import type { AppendTelemetry } from '../nodes/telemetry.ts';
import { type DriftOptions, type DriftVerdict, DriftWatch } from './drift-watch.ts';
import { type ModelChoice, type ModelPair, measureChoice } from './model-choice.ts';
import { describeDrift, driftReadings, driftRow, featureRows, shadowRow } from './report-rows.ts';
import { type CandidateOptions, Shadow, type ShadowStatistics } from './shadow.ts';
import {
  DetectorSupervisor,
  type Impact,
  type ModelSetup,
  type SupervisorOptions,
  type SupervisorStatistics,
} from './supervisor.ts';
import type { ReadyReport } from './window-reports.ts';

/** What the node is connected to. */
export interface DetectorParts {
  readonly clock: Clock;
  readonly appendTelemetry: AppendTelemetry;
  readonly report: (diagnostic: Diagnostic) => void;
  readonly impact: (impact: Impact) => void;
  /** Makes an event of a finding, and adds to it later. */
  readonly found: (finding: Finding) => string;
  readonly update: (eventId: string, update: EventUpdate) => void;
}

/** How it listens. */
export interface DetectorNodeOptions {
  /** The active model's; its setup names the model as chosen. */
  readonly active: SupervisorOptions;
  /** Null without a candidate. */
  readonly candidate: CandidateOptions | null;
  readonly pair: ModelPair;
  /** What was measured before; null: it is measured once the detector listens, if there are two files. */
  readonly choice: ModelChoice | null;
  /** Where what is measured is kept. */
  readonly choiceFile: string;
  readonly drift: DriftOptions;
  readonly reportPeriodMs: number;
  /** Measuring waits so long after the first sound, ms. */
  readonly measureAfterMs: number;
}

/** Which form of the model listens. */
export interface ChoiceStatistics {
  readonly precision: 'fp32' | 'int8' | null;
  /** ms of a window; null when only one file is there, or nothing is measured yet. */
  readonly measured: { readonly int8Ms: number; readonly fp32Ms: number } | null;
}

/** Figures since the agent started. */
export interface DetectorStatistics extends SupervisorStatistics {
  readonly choice: ChoiceStatistics;
  readonly shadow: ShadowStatistics | null;
  /** Of the latest whole period; null before its end. */
  readonly drift: DriftVerdict | null;
}

/** The detector of one agent. */
export class DetectorNode {
  readonly #options: DetectorNodeOptions;
  readonly #parts: DetectorParts;
  readonly #supervisor: DetectorSupervisor;
  readonly #shadow: Shadow | null;
  readonly #drift: DriftWatch;
  #measured: ChoiceStatistics['measured'];
  #precision: ChoiceStatistics['precision'] = null;
  #model: ReadyReport['model'] | null = null;
  #verdict: DriftVerdict | null = null;
  #driftEvent: { readonly id: string; readonly beganNs: bigint; readonly detail: string } | null = null;
  #reporting: NodeJS.Timeout | null = null;
  #measuring: NodeJS.Timeout | null = null;
  readonly #stopping = new AbortController();

  constructor(options: DetectorNodeOptions, parts: DetectorParts) {
    this.#options = options;
    this.#parts = parts;
    this.#measured = options.choice?.measured ?? null;
    this.#drift = new DriftWatch(options.drift);
    const activeMissed = () => this.#supervisor.statistics().missedWindows;
    this.#shadow = options.candidate === null ? null : new Shadow(options.candidate, parts.report, activeMissed);
    this.#supervisor = new DetectorSupervisor(options.active, {
      diagnostic: parts.report,
      impact: (impact) => {
        this.#shadow?.activeEvent(impact.stamp.monotonicNs);
        parts.impact(impact);
      },
      ready: (about) => this.#ready(about),
      windows: (windows) => this.#shadow?.activeWindows(windows),
      summary: (summary) => this.#drift.add(summary),
    });
  }

  /** Begins to listen; the processes start with the first sound. */
  start(): void {
    if (this.#reporting !== null || this.#stopping.signal.aborted) return;
    this.#supervisor.start();
    this.#shadow?.start();
    this.#reporting = setInterval(() => this.#report(), this.#options.reportPeriodMs);
    this.#measuring = setTimeout(() => void this.#measure(), this.#options.measureAfterMs);
  }

  /** Takes sound; never waits. The chunk must not change afterwards. */
  push(chunk: AudioChunk): void {
    this.#supervisor.push(chunk);
    this.#shadow?.push(chunk);
  }

  statistics(): DetectorStatistics {
    return {
      ...this.#supervisor.statistics(),
      choice: { precision: this.#precision, measured: this.#measured },
      shadow: this.#shadow?.statistics() ?? null,
      drift: this.#verdict,
    };
  }

  /** Listens with another model from now on, without losing a window; see DetectorSupervisor.swap. */
  swap(model: Partial<ModelSetup>): Promise<void> {
    return this.#supervisor.swap(model);
  }

  /** Decides on the sound there is, within `timeoutMs`, reports what was found, and ends the processes. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stopping.abort();
    for (const timer of [this.#reporting, this.#measuring]) if (timer !== null) clearTimeout(timer);
    await Promise.all([this.#supervisor.stop(timeoutMs), this.#shadow?.stop(timeoutMs)]);
    if (this.#reporting !== null) this.#report();
    this.#reporting = null;
    // The next start judges anew; nobody else would end the event.
    this.#endEpisode('the agent ended');
  }

  #ready({ model, precision, hop_s, drift_reference }: Omit<ReadyReport, 'kind'>): void {
    this.#precision = precision ?? null;
    this.#shadow?.activeReady({ hop_s });
    this.#model = model;
    if (this.#drift.setReference(drift_reference)) this.#endEpisode('another model listens');
  }

  /** Finds out which forms are faster and takes them; the configured ones listen meanwhile. */
  async #measure(): Promise<void> {
    const { pair, choice } = this.#options;
    const { signal } = this.#stopping;
    if (choice !== null) this.#tellChoice('ok', 'measured', chosenText(choice), '');
    else if (pair.fp32Path !== null) await this.#choose(pair, signal);
    if (!signal.aborted) await this.#shadow?.choose(signal);
  }

  async #choose(pair: ModelPair, signal: AbortSignal): Promise<void> {
    const { choiceFile, active } = this.#options;
    const { execArgv, setup } = active;
    try {
      const choice = await measureChoice(pair, choiceFile, { execArgv, maxModelBytes: setup.maxModelBytes, signal });
      if (signal.aborted) return;
      this.#measured = choice.measured;
      const { modelPath, checkedModel } = choice;
      if (modelPath !== pair.modelPath) await this.swap({ modelPath, checkedModel });
      this.#tellChoice('ok', 'measured', chosenText(choice), '');
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const cure = 'Run fender model verify on both files of the model, or name one file only.';
      if (!signal.aborted) this.#tellChoice('warn', 'unmeasured', `int8 and fp32 were not compared: ${message}`, cure);
    }
  }

  #tellChoice(level: Diagnostic['level'], code: string, message: string, cure: string): void {
    const { int8Ms, fp32Ms } = this.#measured ?? {};
    const values = {
      ...(int8Ms !== undefined && { int8_ms: int8Ms }),
      ...(fp32Ms !== undefined && { fp32_ms: fp32Ms }),
    };
    this.#parts.report({ source: 'model-choice', level, code, message, cure, values });
  }

  /** Sends what was found since the last time. */
  #report(): void {
    const { clock, appendTelemetry } = this.#parts;
    const stamp = clock.now();
    if (this.#shadow !== null) {
      const recent = this.#shadow.takeRecent();
      if (recent.windows > 0) appendTelemetry('detector/shadow', stamp, shadowRow(recent));
    }
    const verdict = this.#drift.judge();
    if (verdict.windows === 0) return;
    this.#verdict = verdict;
    appendTelemetry('detector/drift', stamp, driftRow(verdict));
    for (const [stream, values] of featureRows(verdict)) appendTelemetry(stream, stamp, values);
    this.#judge(verdict);
  }

  #judge(verdict: DriftVerdict): void {
    const { clock, found, report } = this.#parts;
    const readings = driftReadings(verdict);
    const detail = describeDrift(verdict);
    const values = {
      windows: verdict.windows,
      ...Object.fromEntries(readings.map(({ name, value }) => [name, value])),
    };
    if (verdict.change === 'began') {
      const model = this.#model ?? { name: '', version: '' };
      const stamp = clock.now();
      const finding = { kind: 'drift', stamp, label: 'model_drift', detail, readings } as const;
      this.#driftEvent = { id: found({ ...finding, ongoing: true, model }), beganNs: stamp.monotonicNs, detail };
    } else if (verdict.change === 'ended') {
      this.#endEpisode('the sound is again as the model knows it');
    }
    const cure = verdict.drifting
      ? 'Listen to what changed (microphones, car, road); train a model with such sound.'
      : '';
    const level = verdict.drifting ? 'warn' : 'ok';
    report({ source: 'drift', level, code: verdict.drifting ? 'drift' : 'ok', message: detail, cure, values });
  }

  #endEpisode(why: string): void {
    if (this.#driftEvent === null) return;
    const { id, beganNs, detail } = this.#driftEvent;
    const durationS = Number(this.#parts.clock.now().monotonicNs - beganNs) / 1e9;
    this.#parts.update(id, { ongoing: false, durationS, detail: `${detail}; over: ${why}` });
    this.#driftEvent = null;
  }
}

/** Which form listens, and why, in words. */
export function chosenText({ modelPath, measured }: ModelChoice): string {
  const file = modelPath.slice(modelPath.lastIndexOf('/') + 1);
  if (measured === null) return `${file} listens`;
  return `${file} listens: a window takes ${measured.int8Ms.toFixed(1)} ms in int8, ${measured.fp32Ms.toFixed(1)} ms in fp32 here`;
}
