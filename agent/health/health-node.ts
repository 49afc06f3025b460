/** Measures the agent and its machine at a fixed period, and tells it as telemetry, diagnostics and metrics. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Clock, Diagnostic } from '../../drivers/sample.ts';
import type { AppendTelemetry } from '../nodes/telemetry.ts';
import type { ProcessUsage } from './machine.ts';
import { ownUsage, readDisk, readProcess, readTemperature } from './machine.ts';
import type { HealthReport } from './metrics.ts';

/** What the parts of the agent say of themselves; asked at each report. */
export type CollectParts = () => Omit<
  HealthReport,
  | 'main'
  | 'detectorProcess'
  | 'shadowProcess'
  | 'rosProcess'
  | 'cpuRatio'
  | 'disk'
  | 'socTemperatureC'
  | 'eventLoopDelayS'
>;

/** What the node is connected to. */
export interface HealthParts {
  readonly clock: Clock;
  readonly dataFolder: string;
  readonly collect: CollectParts;
  readonly appendTelemetry: AppendTelemetry;
  readonly report: (diagnostic: Diagnostic) => void;
  /** Gets each report: metrics, log. */
  readonly onReport: (report: HealthReport) => void;
}

/** The delay monitor ticks this often; a tick that comes as it should measures this much and no delay. */
const RESOLUTION_MS = 10;

/** Delays are summed up over so long: long enough for a 99th percentile, short enough to show a change. */
const DELAY_WINDOW_NS = 60_000_000_000n;

/** Below these, health is a warning: 5 % and 1 % of the disk, and the temperature at which a Raspberry Pi slows down. */
const DISK_WARN_RATIO = 0.05;
const DISK_ERROR_RATIO = 0.01;
const SOC_WARN_C = 80;

/** The health node. */
export class HealthNode {
  readonly #parts: HealthParts;
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #lastCpuS: number | null = null;
  #lastNs = 0n;
  #delayResetNs = 0n;

  constructor(parts: HealthParts) {
    this.#parts = parts;
  }

  /** Reports each `periodMs` until `signal` aborts. */
  async run(periodMs: number, signal: AbortSignal): Promise<void> {
    this.#delay.enable();
    this.#lastNs = this.#parts.clock.monotonicNs();
    this.#lastCpuS = ownUsage().cpuS;
    this.#delayResetNs = this.#lastNs;
    await new Promise<void>((resolve) => {
      void this.measure();
      const timer = setInterval(() => void this.measure(), periodMs);
      const end = (): void => {
        clearInterval(timer);
        this.#delay.disable();
        resolve();
      };
      if (signal.aborted) end();
      else signal.addEventListener('abort', end, { once: true });
    });
  }

  /** Measures once and tells everybody; never rejects. */
  async measure(): Promise<HealthReport> {
    const { clock, dataFolder, collect, appendTelemetry, onReport } = this.#parts;
    const collected = collect();
    const usageOf = (pid: number | null) => (pid === null ? null : readProcess(pid));
    const [disk, socTemperatureC, detectorProcess, shadowProcess, rosProcess] = await Promise.all([
      readDisk(dataFolder),
      readTemperature(),
      usageOf(collected.detector.pid),
      usageOf(collected.detector.shadow?.pid ?? null),
      usageOf(collected.ros?.pid ?? null),
    ]);
    const main = ownUsage();
    const others = [detectorProcess, shadowProcess, rosProcess];
    const cpuRatio = this.#cpuRatio([main, ...others]);
    const memoryBytes = [main, ...others].reduce((sum, usage) => sum + (usage?.memoryBytes ?? 0), 0);
    const eventLoopDelayS = this.#eventLoopDelay();
    const report = {
      ...collected,
      main,
      detectorProcess,
      shadowProcess,
      rosProcess,
      cpuRatio,
      disk,
      socTemperatureC,
      eventLoopDelayS,
    };
    const values: Record<string, number> = {
      cpu_ratio: cpuRatio,
      memory_bytes: memoryBytes,
      outbox_depth: collected.outbox.depthRows,
    };
    if (disk !== null) values.disk_free_bytes = disk.freeBytes;
    if (socTemperatureC !== null) values.soc_temperature_c = socTemperatureC;
    appendTelemetry('health/process', clock.now(), values);
    this.#parts.report(judge(report, memoryBytes));
    onReport(report);
    return report;
  }

  #cpuRatio(processes: readonly (ProcessUsage | null)[]): number {
    const nowNs = this.#parts.clock.monotonicNs();
    const cpuS = processes.reduce((sum, usage) => sum + (usage?.cpuS ?? 0), 0);
    const elapsedS = Number(nowNs - this.#lastNs) / 1e9;
    // A process that was restarted counts from zero again; that period says nothing.
    const usedS = Math.max(0, cpuS - (this.#lastCpuS ?? cpuS));
    this.#lastCpuS = cpuS;
    this.#lastNs = nowNs;
    return elapsedS > 0 ? usedS / elapsedS : 0;
  }

  #eventLoopDelay(): HealthReport['eventLoopDelayS'] {
    const seconds = (ns: number): number => (Number.isFinite(ns) ? Math.max(0, ns / 1e9 - RESOLUTION_MS / 1e3) : 0);
    const { mean, max } = this.#delay;
    const delay = { mean: seconds(mean), p99: seconds(this.#delay.percentile(99)), max: seconds(max) };
    const nowNs = this.#parts.clock.monotonicNs();
    if (nowNs - this.#delayResetNs > DELAY_WINDOW_NS) {
      this.#delay.reset();
      this.#delayResetNs = nowNs;
    }
    return delay;
  }
}

/** The machine's own diagnostic: room on the disk, temperature. */
function judge({ disk, socTemperatureC, cpuRatio }: HealthReport, memoryBytes: number): Diagnostic {
  const values: Record<string, number> = {
    cpu_ratio: round(cpuRatio),
    memory_bytes: memoryBytes,
  };
  if (disk !== null) values.disk_free_bytes = disk.freeBytes;
  if (socTemperatureC !== null) values.soc_temperature_c = socTemperatureC;
  const about = { source: 'machine', values };
  const freeRatio = disk === null ? 1 : disk.freeBytes / disk.totalBytes;
  if (freeRatio < DISK_WARN_RATIO) {
    const level = freeRatio < DISK_ERROR_RATIO ? 'error' : 'warn';
    const message = `expected ${DISK_WARN_RATIO * 100} % of the disk free, found ${(freeRatio * 100).toFixed(1)} %`;
    return { ...about, level, code: 'disk-short', message, cure: 'Free room, or lower recorder.disk_share.' };
  }
  if (socTemperatureC !== null && socTemperatureC >= SOC_WARN_C) {
    const message = `expected the SoC below ${SOC_WARN_C} °C, found ${socTemperatureC.toFixed(1)} °C`;
    return { ...about, level: 'warn', code: 'hot', message, cure: 'Shade the casing or improve its airflow.' };
  }
  return { ...about, level: 'ok', code: 'ok', message: 'disk and temperature are as they should be', cure: '' };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
