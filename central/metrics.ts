/** What central counts about itself, in a registry of its own (Prometheus base units, counters end in `_total`). */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Makes the metrics of one central; several in one process do not meet. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  return {
    registry,
    messages: new Counter({
      name: 'fender_central_messages_total',
      help: 'MQTT messages taken, by kind',
      labelNames: ['kind'],
      registers,
    }),
    records: new Counter({
      name: 'fender_central_records_total',
      help: 'Records and telemetry rows, by what became of them: stored, duplicate, rejected',
      labelNames: ['outcome'],
      registers,
    }),
    corrected: new Counter({
      name: 'fender_central_corrected_records_total',
      help: 'Stored records whose time was put right because their vehicle learnt it',
      registers,
    }),
    commands: new Counter({
      name: 'fender_central_commands_total',
      help: 'Commands to vehicles by what became of them: done, refused, failed, expired',
      labelNames: ['outcome'],
      registers,
    }),
    malformed: new Counter({
      name: 'fender_central_malformed_messages_total',
      help: 'Messages that could not be understood, by kind',
      labelNames: ['kind'],
      registers,
    }),
    refused: new Counter({
      name: 'fender_central_refused_total',
      help: 'Connections, publications, subscriptions and chunks refused, by reason',
      labelNames: ['reason'],
      registers,
    }),
    overflow: new Counter({
      name: 'fender_central_overflow_messages_total',
      help: 'Messages dropped because the queue of their vehicle was full; the vehicle sends them again',
      registers,
    }),
    commitFailures: new Counter({
      name: 'fender_central_commit_failures_total',
      help: 'Transactions that failed; nothing of them was acknowledged',
      registers,
    }),
    commitSeconds: new Histogram({
      name: 'fender_central_commit_seconds',
      help: 'Duration of one transaction',
      buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2],
      registers,
    }),
    queuedMessages: new Gauge({
      name: 'fender_central_queued_messages',
      help: 'Messages waiting to be committed',
      registers,
    }),
    blobBytes: new Counter({
      name: 'fender_central_blob_bytes_total',
      help: 'Bytes of file chunks taken, repeats included',
      registers,
    }),
    blobs: new Counter({
      name: 'fender_central_blobs_total',
      help: 'Files by what became of them: complete, hash-mismatch, too-large, not-offered, storage',
      labelNames: ['outcome'],
      registers,
    }),
    liveClients: new Gauge({ name: 'fender_central_live_clients', help: 'Browsers on /api/live', registers }),
    liveDropped: new Counter({
      name: 'fender_central_live_dropped_total',
      help: 'Live messages not sent because a client did not keep up',
      registers,
    }),
    vehiclesOnline: new Gauge({ name: 'fender_central_vehicles_online', help: 'Vehicles online', registers }),
  };
}

export type Metrics = ReturnType<typeof createMetrics>;
