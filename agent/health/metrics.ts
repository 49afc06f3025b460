/** Serves the agent's figures to Prometheus, on localhost by default. */
import type { AddressInfo } from 'node:net';
import type { Diagnostic } from '../../drivers/sample.ts';
import type { ClockStatistics } from '../clock.ts';
import type { ClockQuality } from '../clock-quality.ts';
import { addDetectorFigures } from '../detector/detector-figures.ts';
import type { DetectorStatistics } from '../detector/detector-node.ts';
import type { TopicStatistics } from '../graph.ts';
import type { ImpactStatistics } from '../impacts/impact-node.ts';
import type { TopicLoss } from '../recording/loss-ledger.ts';
import type { PackerStats } from '../recording/recorder-node.ts';
import { addRosFigures } from '../ros/ros-figures.ts';
import type { RosStatistics } from '../ros/supervisor.ts';
import type { SynchroniserFigures } from '../synchroniser/synchroniser-figures.ts';
import { Exposition } from './exposition.ts';
import type { DiskSpace, ProcessUsage } from './machine.ts';

/** Everything that is measured, in base units. */
export interface HealthReport {
  readonly main: ProcessUsage;
  readonly detectorProcess: ProcessUsage | null;
  /** The candidate's; null without one. */
  readonly shadowProcess: ProcessUsage | null;
  /** Null when the agent is not in ROS 2, or the process is not there just now. */
  readonly rosProcess: ProcessUsage | null;
  /** CPU of all processes together since the last report, in shares of one core. */
  readonly cpuRatio: number;
  readonly disk: DiskSpace | null;
  /** °C. */
  readonly socTemperatureC: number | null;
  /** Event-loop delay of the main process over the last minute at most, in seconds. */
  readonly eventLoopDelayS: { readonly mean: number; readonly p99: number; readonly max: number };
  readonly topics: readonly TopicStatistics[];
  readonly diagnostics: readonly Diagnostic[];
  readonly detector: DetectorStatistics;
  readonly impacts: ImpactStatistics;
  readonly recorder: RecorderFigures;
  readonly outbox: OutboxFigures;
  readonly clock: ClockQuality;
  readonly clockStatistics: ClockStatistics;
  readonly syncConnected: boolean;
  /** Null when the agent is not in ROS 2. */
  readonly ros: RosStatistics | null;
  readonly synchroniser: SynchroniserFigures | null;
}

/** What of the recorder is shown. */
export interface RecorderFigures {
  readonly state: 'recording' | 'paused' | 'stopped' | 'closed';
  /** The recording that runs; null when none does. */
  readonly recordingId: string | null;
  readonly recordings: number;
  readonly segments: number;
  readonly snapshots: number;
  readonly writtenMessages: number;
  readonly lostMessages: number;
  /** By topic and reason. */
  readonly lost: Readonly<Record<string, Readonly<TopicLoss>>>;
  readonly writtenBytes: number;
  readonly queuedBytes: number;
  readonly ringBytes: number;
  /** Null when sound is recorded as it comes. */
  readonly packer: PackerStats | null;
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

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
const LEVELS = { ok: 0, warn: 1, error: 2, stale: 3 } as const;

/** The report as a Prometheus scrape; every name begins with `fender_`. */
export function metricsText(report: HealthReport): string {
  const out = new Exposition('fender_');
  addMachine(out, report);
  for (const topic of report.topics) addTopic(out, topic);
  for (const { source, level } of report.diagnostics) {
    out.gauge('diagnostic_level', '0 ok, 1 warn, 2 error, 3 stale.', LEVELS[level], { source });
  }
  addDetector(out, report.detector, report.impacts);
  addStorage(out, report.recorder, report.outbox);
  addClock(out, report);
  addSoundClock(out, report.diagnostics);
  out.gauge('sync_connected', 'Whether the broker is connected.', report.syncConnected ? 1 : 0);
  if (report.ros !== null) addRosFigures(out, report.ros);
  if (report.synchroniser !== null) addSynchroniser(out, report.synchroniser);
  return out.text();
}

function addSynchroniser(out: Exposition, figures: SynchroniserFigures): void {
  out.counter('synchroniser_sets_total', 'Sets of messages that belong together.', figures.sets);
  out.counter('synchroniser_missed_sets_total', 'Sets that could not be completed.', figures.missedSets);
  out.gauge('synchroniser_completeness_ratio', 'Sets of those that were due.', figures.completeness);
  const skew = 'Time from the earliest to the latest message of a set.';
  out.gauge('synchroniser_skew_seconds', skew, figures.skewMedianNs / 1e9, { quantile: '0.5' });
  out.gauge('synchroniser_skew_seconds', skew, figures.skewP99Ns / 1e9, { quantile: '0.99' });
  for (const { topic, messages, unmatched, pending, reordered, duplicates, refused } of figures.topics) {
    out.counter('synchroniser_messages_total', 'Messages taken.', messages, { topic });
    out.counter('synchroniser_unmatched_messages_total', 'Messages that are in no set.', unmatched, { topic });
    out.gauge('synchroniser_pending_messages', 'Messages whose set is open.', pending, { topic });
    for (const [kind, count] of Object.entries({ reordered, duplicate: duplicates, refused })) {
      out.counter('synchroniser_odd_stamps_total', 'Messages with stamps out of order.', count, { topic, kind });
    }
  }
}

function addMachine(out: Exposition, report: HealthReport): void {
  out.gauge('process_memory_bytes', 'Resident memory.', report.main.memoryBytes, { process: 'main' });
  out.counter('process_cpu_seconds_total', 'CPU time.', report.main.cpuS, { process: 'main' });
  const others = { detector: report.detectorProcess, shadow: report.shadowProcess, ros: report.rosProcess };
  for (const [process, usage] of Object.entries(others)) {
    if (usage === null) continue;
    out.gauge('process_memory_bytes', 'Resident memory.', usage.memoryBytes, { process });
    out.counter('process_cpu_seconds_total', 'CPU time.', usage.cpuS, { process });
  }
  for (const [statistic, value] of Object.entries(report.eventLoopDelayS)) {
    out.gauge('event_loop_delay_seconds', 'Event-loop delay of the main process.', value, { statistic });
  }
  out.gauge('disk_free_bytes', 'Room left on the disk of data_dir.', report.disk?.freeBytes ?? Number.NaN);
  out.gauge('disk_size_bytes', 'Size of the disk of data_dir.', report.disk?.totalBytes ?? Number.NaN);
  out.gauge('soc_temperature_celsius', 'Temperature of the SoC.', report.socTemperatureC ?? Number.NaN);
}

function addClock(out: Exposition, report: HealthReport): void {
  const { synchronised, estimatedErrorNs } = report.clock;
  out.gauge('clock_synchronised', 'Whether the system clock is synchronised.', synchronised ? 1 : 0);
  const errorS = estimatedErrorNs === null ? Number.NaN : Number(estimatedErrorNs) / 1e9;
  out.gauge('clock_estimated_error_seconds', 'Estimated error of the system clock.', errorS);
  const { steps, leaps, lastStepNs, slewingNs } = report.clockStatistics;
  out.counter('clock_steps_total', 'Steps of the system clock.', steps);
  out.counter('clock_leaps_total', 'Jumps of the system clock that were too small for a step.', leaps);
  out.gauge('clock_last_step_seconds', 'The last step of the system clock.', Number(lastStepNs) / 1e9);
  out.gauge(
    'clock_slewing_seconds',
    'How far stamps still are from a system clock that jumped.',
    Number(slewingNs) / 1e9,
  );
}

/** How well sound is stamped: what the array's device loop says of its crystal and of what it lost. */
function addSoundClock(out: Exposition, diagnostics: HealthReport['diagnostics']): void {
  const values = diagnostics.find(({ source }) => source === 'uma8')?.values;
  if (values === undefined) return;
  const number = (name: string): number => (typeof values[name] === 'number' ? values[name] : Number.NaN);
  out.gauge(
    'sound_drift_ratio',
    'How much slower than nominal the crystal of the array is.',
    number('drift_ppm') / 1e6,
  );
  out.gauge('sound_drift_doubt_ratio', 'How far that may be off.', number('drift_doubt_ppm') / 1e6);
  out.gauge('sound_lost_frames', 'Frames of sound that never came, as far as known.', number('lost_frames'));
}

function addTopic(out: Exposition, { topic, published, subscriberErrors, encodeErrors }: TopicStatistics): void {
  out.counter('topic_messages_total', 'Messages published.', published, { topic });
  out.counter('topic_subscriber_errors_total', 'Subscribers that threw.', subscriberErrors, { topic });
  out.counter('topic_encode_errors_total', 'Values that could not be encoded.', encodeErrors, { topic });
}

function addDetector(out: Exposition, detector: DetectorStatistics, impacts: ImpactStatistics): void {
  addDetectorFigures(out, detector);
  out.counter('impacts_total', 'Impacts detected.', impacts.events);
  out.counter('clips_total', 'Clips made.', impacts.clips);
  out.counter('clips_lost_total', 'Clips that could not be made.', impacts.lostClips);
  out.gauge('clips_owed', 'Impacts whose clip is still to be made.', impacts.owedClips);
}

function addPacker(out: Exposition, { compressed, plain }: PackerStats): void {
  const help = 'Chunks of sound recorded, as FLAC or for want of it as PCM.';
  out.counter('recorder_sound_chunks_total', help, compressed, { form: 'flac', reason: '' });
  for (const [reason, count] of Object.entries(plain)) {
    out.counter('recorder_sound_chunks_total', help, count, { form: 'pcm', reason });
  }
}

function addStorage(out: Exposition, recorder: RecorderFigures, outbox: OutboxFigures): void {
  for (const state of ['recording', 'paused', 'stopped']) {
    out.gauge('recorder_state', 'Which state the recording is in.', recorder.state === state ? 1 : 0, { state });
  }
  if (recorder.recordingId !== null) {
    out.gauge('recorder_recording_info', 'The recording that runs.', 1, { recording: recorder.recordingId });
  }
  out.counter('recorder_recordings_total', 'Recordings begun.', recorder.recordings);
  out.counter('recorder_segments_total', 'Segments begun.', recorder.segments);
  out.counter('recorder_snapshots_total', 'Snapshots taken.', recorder.snapshots);
  out.gauge('recorder_ring_bytes', 'Bytes of the last seconds in memory.', recorder.ringBytes);
  if (recorder.packer !== null) addPacker(out, recorder.packer);
  for (const [topic, loss] of Object.entries(recorder.lost)) {
    for (const [reason, count] of Object.entries(loss)) {
      out.counter('recorder_lost_topic_messages_total', 'Messages lost, by topic and reason.', count, {
        topic,
        reason,
      });
    }
  }
  out.counter('recorder_messages_total', 'Messages recorded.', recorder.writtenMessages);
  out.counter('recorder_lost_messages_total', 'Messages that could not be recorded.', recorder.lostMessages);
  out.counter('recorder_bytes_total', 'Bytes recorded.', recorder.writtenBytes);
  out.gauge('recorder_queue_bytes', 'Bytes waiting to be written.', recorder.queuedBytes);
  out.gauge('outbox_rows', 'Records that central does not have.', outbox.depthRows);
  out.gauge('outbox_pending_rows', 'Records waiting for their commit.', outbox.pendingRows);
  out.gauge('outbox_used_bytes', 'Size of the outbox.', outbox.usedBytes);
  out.counter('outbox_dropped_rows_total', 'Records given up, each declared.', outbox.droppedRows);
  out.gauge('outbox_files', 'Files waiting for upload.', outbox.blobCount);
  out.gauge('outbox_file_bytes', 'Bytes of the files waiting for upload.', outbox.blobBytes);
}

/** Importing node:http reads everything it exports, which loads a WebSocket client: 5 MB that this process has no use for. */
const { createServer } = process.getBuiltinModule('node:http');

/** A running /metrics endpoint. */
export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves GET /metrics, the text of the latest report (null: 503), and GET /healthz. Rejects when the address is taken. */
export async function serveMetrics(
  listen: { readonly host: string; readonly port: number },
  latest: () => HealthReport | null,
): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    if (request.method === 'GET' && request.url === '/metrics') {
      const report = latest();
      if (report === null) response.writeHead(503).end();
      else response.writeHead(200, { 'content-type': METRICS_TYPE }).end(metricsText(report));
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
