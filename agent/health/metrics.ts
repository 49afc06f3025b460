/** Serves the agent's figures to Prometheus, on localhost by default. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, Gauge, Registry } from 'prom-client';
import type { Diagnostic } from '../../drivers/sample.ts';
import type { ClockQuality } from '../clock-quality.ts';
import type { DetectorStatistics } from '../detector/supervisor.ts';
import type { TopicStatistics } from '../graph.ts';
import type { ImpactStatistics } from '../impacts/impact-node.ts';
import type { DiskSpace, ProcessUsage } from './machine.ts';

/** Everything that is measured, in base units. */
export interface HealthReport {
  readonly main: ProcessUsage;
  readonly detectorProcess: ProcessUsage | null;
  /** CPU of all processes together since the last report, in shares of one core. */
  readonly cpuRatio: number;
  readonly disk: DiskSpace | null;
  /** °C. */
  readonly socTemperatureC: number | null;
  /** Event-loop delay of the main process since the last report, in seconds. */
  readonly eventLoopDelayS: { readonly mean: number; readonly p99: number; readonly max: number };
  readonly topics: readonly TopicStatistics[];
  readonly diagnostics: readonly Diagnostic[];
  readonly detector: DetectorStatistics;
  readonly impacts: ImpactStatistics;
  readonly recorder: RecorderFigures;
  readonly outbox: OutboxFigures;
  readonly clock: ClockQuality;
  readonly clockSteps: number;
  readonly syncConnected: boolean;
}

/** What of the recorder is shown. */
export interface RecorderFigures {
  readonly writtenMessages: number;
  readonly lostMessages: number;
  readonly writtenBytes: number;
  readonly queuedBytes: number;
}

/** What of the outbox is shown. */
export interface OutboxFigures {
  readonly depthRows: number;
  readonly pendingRows: number;
  readonly usedBytes: number;
  readonly droppedRows: number;
  readonly blobCount: number;
  readonly blobBytes: number;
}

const LEVELS = { ok: 0, warn: 1, error: 2, stale: 3 } as const;

/** Keeps the figures of the latest report as Prometheus metrics. */
export class HealthMetrics {
  readonly #registry = new Registry();
  readonly #metrics = new Map<string, Gauge | Counter>();

  /** Takes a report in. */
  update(report: HealthReport): void {
    this.#gauge('process_memory_bytes', 'Resident memory.', report.main.memoryBytes, { process: 'main' });
    this.#counter('process_cpu_seconds_total', 'CPU time.', report.main.cpuS, { process: 'main' });
    if (report.detectorProcess !== null) {
      const detector = { process: 'detector' };
      this.#gauge('process_memory_bytes', '', report.detectorProcess.memoryBytes, detector);
      this.#counter('process_cpu_seconds_total', '', report.detectorProcess.cpuS, detector);
    }
    for (const [statistic, value] of Object.entries(report.eventLoopDelayS)) {
      this.#gauge('event_loop_delay_seconds', 'Event-loop delay of the main process.', value, { statistic });
    }
    this.#gauge('disk_free_bytes', 'Room left on the disk of data_dir.', report.disk?.freeBytes ?? Number.NaN);
    this.#gauge('disk_size_bytes', 'Size of the disk of data_dir.', report.disk?.totalBytes ?? Number.NaN);
    this.#gauge('soc_temperature_celsius', 'Temperature of the SoC.', report.socTemperatureC ?? Number.NaN);
    for (const topic of report.topics) this.#topic(topic);
    for (const { source, level } of report.diagnostics) {
      this.#gauge('diagnostic_level', '0 ok, 1 warn, 2 error, 3 stale.', LEVELS[level], { source });
    }
    this.#detector(report.detector, report.impacts);
    this.#storage(report.recorder, report.outbox);
    const { synchronised, estimatedErrorNs } = report.clock;
    this.#gauge('clock_synchronised', 'Whether the system clock is synchronised.', synchronised ? 1 : 0);
    const errorS = estimatedErrorNs === null ? Number.NaN : Number(estimatedErrorNs) / 1e9;
    this.#gauge('clock_estimated_error_seconds', 'Estimated error of the system clock.', errorS);
    this.#counter('clock_steps_total', 'Steps of the system clock.', report.clockSteps);
    this.#gauge('sync_connected', 'Whether the broker is connected.', report.syncConnected ? 1 : 0);
  }

  /** The metrics in Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #topic({ topic, published, subscriberErrors, encodeErrors }: TopicStatistics): void {
    this.#counter('topic_messages_total', 'Messages published.', published, { topic });
    this.#counter('topic_subscriber_errors_total', 'Subscribers that threw.', subscriberErrors, { topic });
    this.#counter('topic_encode_errors_total', 'Values that could not be encoded.', encodeErrors, { topic });
  }

  #detector(detector: DetectorStatistics, impacts: ImpactStatistics): void {
    this.#gauge('detector_running', 'Whether the detector listens.', detector.state === 'running' ? 1 : 0);
    this.#counter('detector_restarts_total', 'Restarts of the detector process.', detector.restarts);
    this.#counter('detector_chunks_total', 'Sound chunks heard.', detector.processedChunks);
    this.#counter('detector_missed_chunks_total', 'Sound chunks the detector never heard.', detector.missedChunks);
    this.#gauge('detector_queue_chunks', 'Sound chunks waiting for the detector.', detector.queuedChunks);
    this.#counter('impacts_total', 'Impacts detected.', impacts.events);
    this.#counter('clips_total', 'Clips made.', impacts.clips);
    this.#counter('clips_lost_total', 'Clips that could not be made.', impacts.lostClips);
    this.#gauge('clips_owed', 'Impacts whose clip is still to be made.', impacts.owedClips);
  }

  #storage(recorder: RecorderFigures, outbox: OutboxFigures): void {
    this.#counter('recorder_messages_total', 'Messages recorded.', recorder.writtenMessages);
    this.#counter('recorder_lost_messages_total', 'Messages that could not be recorded.', recorder.lostMessages);
    this.#counter('recorder_bytes_total', 'Bytes recorded.', recorder.writtenBytes);
    this.#gauge('recorder_queue_bytes', 'Bytes waiting to be written.', recorder.queuedBytes);
    this.#gauge('outbox_rows', 'Records that central does not have.', outbox.depthRows);
    this.#gauge('outbox_pending_rows', 'Records waiting for their commit.', outbox.pendingRows);
    this.#gauge('outbox_used_bytes', 'Size of the outbox.', outbox.usedBytes);
    this.#counter('outbox_dropped_rows_total', 'Records given up, each declared.', outbox.droppedRows);
    this.#gauge('outbox_files', 'Files waiting for upload.', outbox.blobCount);
    this.#gauge('outbox_file_bytes', 'Bytes of the files waiting for upload.', outbox.blobBytes);
  }

  #gauge(name: string, help: string, value: number, labels: Record<string, string> = {}): void {
    const metric = this.#metric(name, () => new Gauge(this.#definition(name, help, labels)));
    (metric as Gauge).set(labels, value);
  }

  /** The figures are counted elsewhere, so a counter is brought up to its figure. */
  #counter(name: string, help: string, value: number, labels: Record<string, string> = {}): void {
    const metric = this.#metric(name, () => new Counter(this.#definition(name, help, labels))) as Counter;
    metric.remove(labels);
    metric.inc(labels, value);
  }

  #definition(name: string, help: string, labels: Record<string, string>) {
    return { name: `fender_${name}`, help, labelNames: Object.keys(labels), registers: [this.#registry] };
  }

  #metric(name: string, make: () => Gauge | Counter): Gauge | Counter {
    const known = this.#metrics.get(name);
    if (known !== undefined) return known;
    const made = make();
    this.#metrics.set(name, made);
    return made;
  }
}

/** A running /metrics endpoint. */
export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves GET /metrics and GET /healthz. Rejects when the address is taken. */
export async function serveMetrics(
  listen: { readonly host: string; readonly port: number },
  metrics: HealthMetrics,
): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    if (request.method === 'GET' && request.url === '/metrics') {
      metrics.text().then(
        (text) => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text),
        () => response.writeHead(500).end(),
      );
    } else if (request.method === 'GET' && request.url === '/healthz') {
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port, listen.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
