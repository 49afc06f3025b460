/**
 * The candidate model: runs in a process of its own beside the active one, on the same sound, and is compared with it. It raises no
 * events. When it cannot keep up it is suspended for a while, when it fails again and again it is dropped, each told; the active
 * model, whose process it is not in, never notices.
 */
import type { AudioChunk, Diagnostic } from '../../drivers/sample.ts';
import type { AgreementFigures } from './agreement.ts';
import { Comparison } from './comparison.ts';
import { type ModelChoice, type ModelPair, measureChoice } from './model-choice.ts';
import { DetectorSupervisor, type ModelSetup, type SupervisorOptions } from './supervisor.ts';
import type { ReadyReport, ScoredWindow } from './window-reports.ts';

/** How the candidate is run, and which form of it. */
export interface CandidateOptions extends SupervisorOptions {
  readonly pair: ModelPair;
  /** What was measured before; null: it is measured, if there are two files. */
  readonly choice: ModelChoice | null;
  readonly choiceFile: string;
}

/** Figures of the candidate since the agent started. */
export interface ShadowStatistics {
  readonly state: 'running' | 'suspended' | 'dropped' | 'stopped';
  readonly suspensions: number;
  readonly restarts: number;
  readonly pid: number | null;
  readonly model: { readonly name: string; readonly version: string } | null;
  readonly missedWindows: number;
  readonly agreement: AgreementFigures;
}

const TICK_MS = 1_000;
/** A candidate whose starts fail so often in a row, or that is restarted so often within an hour, is dropped. */
const MAX_FAILED_STARTS = 3;
const MAX_RESTARTS = 8;
const RESTARTS_MS = 3_600_000;
/** So many windows missed within a minute by either model, while the candidate runs, are more than a hiccup. */
const MAX_MISSED_WINDOWS = 20;
const MISSED_MS = 60_000;
/** The first pause of a suspended candidate; each further one is twice as long, up to 16 times. */
const SUSPENDED_MS = 600_000;
const MAX_DOUBLINGS = 4;

/** What the candidate's process may be slower by: it yields to everything that records or raises events. */
export const CANDIDATE_NICENESS = 5;

/** The candidate beside one active model. */
export class Shadow {
  readonly #options: CandidateOptions;
  /** The model as chosen. */
  #setup: ModelSetup;
  readonly #report: (diagnostic: Diagnostic) => void;
  readonly #activeMissed: () => number;
  readonly #comparison = new Comparison();
  #supervisor: DetectorSupervisor | null = null;
  #model: ShadowStatistics['model'] = null;
  #state: ShadowStatistics['state'] = 'stopped';
  #suspensions = 0;
  #suspendedMs = 0;
  /** Of supervisors that are gone. */
  #pastRestarts = 0;
  #pastMissed = 0;
  #lastFailure = '';
  #minute = { ms: 0, missed: 0 };
  #hour = { ms: 0, restarts: 0 };
  #ticker: NodeJS.Timeout | null = null;

  /**
   * `options` as for an active model; `report` is told how the candidate is; `activeMissed` tells the windows that the active model missed
   * so far: they are the candidate's fault first.
   */
  constructor(options: CandidateOptions, report: (diagnostic: Diagnostic) => void, activeMissed: () => number) {
    this.#options = options;
    this.#setup = options.setup;
    this.#report = report;
    this.#activeMissed = activeMissed;
  }

  start(): void {
    if (this.#ticker !== null) return;
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#run();
  }

  /** The same sound as the active model gets. */
  push(chunk: AudioChunk): void {
    this.#supervisor?.push(chunk);
  }

  /** The active model's hop, windows and events. */
  activeReady({ hop_s }: Pick<ReadyReport, 'hop_s'>): void {
    this.#comparison.setHop('active', hop_s);
  }

  activeWindows(windows: readonly ScoredWindow[]): void {
    if (this.#state === 'running' && this.#model !== null) this.#comparison.windows('active', windows);
  }

  activeEvent(onsetNs: bigint): void {
    if (this.#state === 'running' && this.#model !== null) this.#comparison.event('active', onsetNs);
  }

  statistics(): ShadowStatistics {
    const now = this.#supervisor?.statistics();
    return {
      state: this.#state,
      suspensions: this.#suspensions,
      restarts: this.#pastRestarts + (now?.restarts ?? 0),
      pid: now?.pid ?? null,
      model: this.#model,
      missedWindows: this.#pastMissed + (now?.missedWindows ?? 0),
      agreement: this.#comparison.total(),
    };
  }

  /** What was found since it was asked last. */
  takeRecent(): AgreementFigures {
    return this.#comparison.takeRecent();
  }

  /** Finds out which form of the candidate is faster on this machine and takes it from now on, unless aborted. Never rejects. */
  async choose(signal: AbortSignal): Promise<void> {
    const { pair, choice, choiceFile, execArgv, setup } = this.#options;
    if (pair.fp32Path === null || choice !== null || this.#state !== 'running') return;
    try {
      const { maxModelBytes } = setup;
      const options = { execArgv, maxModelBytes, signal };
      const { modelPath, checkedModel } = await measureChoice(pair, choiceFile, options);
      if (modelPath === pair.modelPath) return;
      this.#setup = { ...this.#setup, modelPath, checkedModel };
      await this.#supervisor?.swap({ modelPath, checkedModel });
    } catch (error) {
      if (signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      const cure = 'Run fender model verify on both files of the candidate, or name one file only.';
      this.#tell('warn', 'unmeasured', `int8 and fp32 of the candidate were not compared: ${message}`, cure);
    }
  }

  /** Compares what is left, within `timeoutMs`, and ends the process. */
  async stop(timeoutMs: number): Promise<void> {
    if (this.#ticker !== null) clearInterval(this.#ticker);
    this.#ticker = null;
    await this.#supervisor?.stop(timeoutMs);
    if (this.#state !== 'dropped') this.#state = 'stopped';
  }

  #run(): void {
    this.#state = 'running';
    this.#minute = { ms: 0, missed: this.#missed() };
    this.#comparison.restart();
    const supervisor = new DetectorSupervisor(
      { ...this.#options, setup: this.#setup },
      {
        impact: ({ stamp }) => this.#comparison.event('candidate', stamp.monotonicNs),
        windows: (windows) => this.#comparison.windows('candidate', windows),
        ready: ({ model, hop_s }) => {
          this.#model = model;
          this.#comparison.setHop('candidate', hop_s);
        },
        diagnostic: (diagnostic) => this.#hear(diagnostic),
      },
    );
    this.#supervisor = supervisor;
    supervisor.start();
  }

  #hear({ level, code, message }: Diagnostic): void {
    if (this.#state !== 'running') return;
    if (code === 'ok') this.#tell('ok', 'ok', message.replace(/^the model/, 'the candidate'), '');
    else if (code !== 'queue-full') this.#tell(level === 'error' ? 'warn' : level, code, message, '');
    if (code === 'restarted') this.#lastFailure = message;
  }

  #tick(): void {
    if (this.#state === 'suspended') {
      this.#suspendedMs -= TICK_MS;
      if (this.#suspendedMs <= 0) this.#run();
    }
    const supervisor = this.#supervisor;
    if (this.#state !== 'running' || supervisor === null) return;
    const { restarts, failedStarts } = supervisor.statistics();
    this.#hour.ms += TICK_MS;
    if (this.#hour.ms >= RESTARTS_MS) this.#hour = { ms: 0, restarts };
    if (failedStarts >= MAX_FAILED_STARTS || restarts - this.#hour.restarts >= MAX_RESTARTS) {
      const message = `the candidate failed ${restarts} times and is not tried again until the next start: ${this.#lastFailure}`;
      this.#end('dropped');
      this.#tell('error', 'dropped', message, 'Run fender model verify on detector.candidate.');
      return;
    }
    this.#minute.ms += TICK_MS;
    const missed = this.#missed() - this.#minute.missed;
    if (missed >= MAX_MISSED_WINDOWS) this.#suspend(missed);
    else if (this.#minute.ms >= MISSED_MS) this.#minute = { ms: 0, missed: this.#missed() };
  }

  #suspend(missed: number): void {
    this.#suspendedMs = SUSPENDED_MS * 2 ** Math.min(this.#suspensions, MAX_DOUBLINGS);
    this.#suspensions += 1;
    this.#end('suspended');
    const message = `the models cannot both keep up, ${missed} windows were missed: the candidate is suspended for ${this.#suspendedMs / 60_000} min`;
    this.#tell(
      'warn',
      'suspended',
      message,
      'Choose a cheaper candidate; fender model bench tells what a window costs.',
    );
  }

  #end(state: 'suspended' | 'dropped'): void {
    const supervisor = this.#supervisor as DetectorSupervisor;
    const { restarts, missedWindows } = supervisor.statistics();
    this.#pastRestarts += restarts;
    this.#pastMissed += missedWindows;
    this.#hour = { ms: 0, restarts: 0 };
    this.#supervisor = null;
    this.#model = null;
    this.#state = state;
    void supervisor.stop(0);
  }

  #missed(): number {
    return this.#pastMissed + this.#activeMissed() + (this.#supervisor?.statistics().missedWindows ?? 0);
  }

  #tell(level: Diagnostic['level'], code: string, message: string, cure: string): void {
    const { suspensions, restarts, missedWindows, agreement } = this.statistics();
    const values = {
      suspensions,
      restarts,
      missed_windows: missedWindows,
      windows: agreement.windows,
      ...(agreement.windows > 0 && { agreement_ratio: round(agreement.agreement) }),
    };
    this.#report({ source: 'shadow', level, code, message, cure, values });
  }
}

function round(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}
