/** What the agent does at fixed times: discipline the clock, publish its quality, tell diagnostics and health, remove old recordings. */
import { join } from 'node:path';
import type { Diagnostic, Stamp } from '../drivers/sample.ts';
import type { ClockStatistics, ClockStep } from './clock.ts';
import type { ClockQuality } from './clock-quality.ts';
import type { AgentConfig } from './config/schema.ts';
import type { Publish } from './graph.ts';
import { HealthNode } from './health/health-node.ts';
import type { HealthReport } from './health/metrics.ts';
import { outboxFigures, recorderFigures } from './health/part-figures.ts';
import { timeReferenceTopic } from './nodes/topics.ts';
import type { AgentParts } from './parts.ts';
import { Retention } from './retention.ts';

const SECOND_MS = 1_000;
const RETENTION_PERIOD_MS = 60_000;
/** A step of the clock stays the news for so long. */
const STEP_NEWS_MS = 10_000;

/** The upkeep of one agent. */
export class Upkeep {
  readonly #config: AgentConfig;
  readonly #parts: AgentParts;
  readonly #health: HealthNode;
  readonly #retention: Retention;
  readonly #publishTime: Publish<Stamp>;
  #lastStepMs = Number.NEGATIVE_INFINITY;
  #retaining: Promise<unknown> = Promise.resolve();
  #isRetaining = false;

  constructor(config: AgentConfig, parts: AgentParts, onHealth: (report: HealthReport) => void) {
    this.#config = config;
    this.#parts = parts;
    this.#publishTime = parts.graph.advertise(timeReferenceTopic);
    const { clock, dataFolder, appendTelemetry, report } = parts;
    this.#retention = retentionOf(config, parts);
    const collect = () => this.#collect();
    this.#health = new HealthNode({ clock, dataFolder, collect, appendTelemetry, report, onReport: onHealth });
  }

  /** Runs until `signal` aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, diagnostics } = this.#parts;
    const periodMs = this.#config.health.period_s * SECOND_MS;
    const timers = [
      setInterval(() => this.#eachSecond(), SECOND_MS),
      setInterval(() => this.#retain(), RETENTION_PERIOD_MS),
    ];
    this.#retain();
    await Promise.all([clock.run(signal, (step) => this.#stepped(step)), this.#health.run(periodMs, signal)]);
    for (const timer of timers) clearInterval(timer);
    diagnostics.publishAll();
    await this.#retaining;
  }

  #eachSecond(): void {
    const { clock, diagnostics, recorder, report } = this.#parts;
    const stamp = clock.now();
    this.#publishTime(stamp, stamp);
    if (performance.now() - this.#lastStepMs > STEP_NEWS_MS) {
      report(clockDiagnostic(clock.quality(), clock.statistics()));
    }
    // Not as seldom as health is reported: ROS's tools take a state that is 5 s old for stale.
    diagnostics.publishAll();
    // A full disk pauses the recording: what can be given up goes now, not at the next round.
    if (recorder.stats().state === 'paused') this.#retain();
  }

  #stepped({ stepNs, stamp }: ClockStep): void {
    const { clock, diagnostics, log, recorder } = this.#parts;
    this.#lastStepMs = performance.now();
    recorder.clockStepped({ stepNs, stamp });
    this.#publishTime(stamp, stamp);
    const stepS = Number(stepNs) / 1e9;
    const message = `the system clock jumped by ${stepS.toFixed(3)} s; later stamps are in the new time`;
    const values = { step_s: stepS, steps: clock.statistics().steps };
    // Each step is news, also one soon after another, which would not be logged as a state that stays.
    log('warn', message, { source: 'clock', code: 'step' });
    diagnostics.report({ source: 'clock', level: 'warn', code: 'step', message, cure: '', values });
  }

  #retain(): void {
    if (this.#isRetaining) return;
    this.#isRetaining = true;
    this.#retaining = this.#retention.retain().finally(() => {
      this.#isRetaining = false;
    });
  }

  #collect() {
    const { graph, diagnostics, detector, impacts, recorder, outbox, clock, session } = this.#parts;
    return {
      topics: graph.statistics(),
      diagnostics: diagnostics.all(),
      detector: detector.statistics(),
      impacts: impacts.statistics(),
      recorder: recorderFigures(recorder.stats()),
      outbox: outboxFigures(outbox.stats()),
      clock: clock.quality(),
      clockStatistics: clock.statistics(),
      syncConnected: session?.status().connected ?? false,
      ros: this.#parts.ros?.statistics() ?? null,
      synchroniser: this.#parts.synchroniser?.figures() ?? null,
    };
  }
}

function retentionOf(config: AgentConfig, { dataFolder, outbox, recorder, report }: AgentParts): Retention {
  return new Retention({
    recordingsFolder: join(dataFolder, 'recordings'),
    isOpen: (recordingId) => recorder.isOpen(recordingId),
    diskShare: config.recorder.disk_share,
    report,
    declare: (recordingId, first, last) => outbox.declareDrop(`recording/${recordingId}`, first, last, 'retention'),
    segmentsRemoved: () => recorder.segmentsRemoved(),
  });
}

function clockDiagnostic(quality: ClockQuality, { steps, leaps, slewingNs }: ClockStatistics): Diagnostic {
  const { synchronised, estimatedErrorNs, source } = quality;
  const values = {
    synchronised: String(synchronised),
    error_s: estimatedErrorNs === null ? 'unknown' : Number(estimatedErrorNs) / 1e9,
    source,
    steps,
    leaps,
    slewing_s: Number(slewingNs) / 1e9,
  };
  const about = { source: 'clock', values };
  if (synchronised) return { ...about, level: 'ok', code: 'ok', message: `synchronised, as ${source} says`, cure: '' };
  return {
    ...about,
    level: 'warn',
    code: 'unsynchronised',
    message: 'expected a synchronised system clock, found one that nobody vouches for',
    cure: 'Give the vehicle a network with time servers; stamps are put right by central when it has one.',
  };
}
