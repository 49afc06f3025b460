/** Picks from the statistics of the parts what health shows and what the watchdog watches. */
import type { OutboxStats } from '../../sync/outbox.ts';
import type { AgentParts } from '../parts.ts';
import type { RecorderNodeStats } from '../recording/recorder-node.ts';
import type { OutboxFigures, RecorderFigures } from './metrics.ts';
import type { Progress } from './watchdog.ts';

export function recorderFigures(stats: RecorderNodeStats): RecorderFigures {
  return {
    state: stats.state,
    recordingId: stats.recordingId,
    recordings: stats.recordings,
    segments: stats.segments,
    snapshots: stats.snapshots,
    writtenMessages: stats.messages,
    lostMessages: stats.lostMessages,
    lost: stats.lost,
    writtenBytes: stats.writtenBytes,
    queuedBytes: stats.queueBytes,
    ringBytes: stats.ringBytes,
    packer: stats.packer,
  };
}

export function outboxFigures(stats: OutboxStats): OutboxFigures {
  return {
    depthRows: stats.streams.reduce((sum, { depth }) => sum + depth, 0),
    pendingRows: stats.pendingRows,
    usedBytes: stats.usedBytes,
    droppedRows: stats.streams.reduce((sum, { dropped }) => sum + dropped, 0),
    blobCount: stats.blobs.count,
    blobBytes: stats.blobs.bytes,
  };
}

/** A sensor may be quiet for as long as its slowest period; the watchdog's own period is of the same size. */
const SENSOR_LIMIT_MS = 30_000;
const DISK_LIMIT_MS = 30_000;
const SYNC_LIMIT_MS = 120_000;

/** What the watchdog watches; see watchdog.ts for what counts as progress. */
export function progressOf(
  parts: Pick<AgentParts, 'sensors' | 'graph' | 'diagnostics' | 'recorder' | 'outbox' | 'session'>,
): Progress[] {
  const { sensors, graph, diagnostics, recorder, outbox, session } = parts;
  const inTrouble = (source: string): boolean =>
    diagnostics.all().some((diagnostic) => diagnostic.source === source && diagnostic.level !== 'ok');
  const samples = sensors.map(({ name }) => ({
    name: `samples/${name}`,
    count: () => publishedBy(name, graph.statistics()),
    excused: () => inTrouble(name),
    limitMs: SENSOR_LIMIT_MS,
  }));
  const disk = [
    {
      name: 'disk/recorder',
      count: () => Number(recorder.stats().lastSyncMonotonicNs ?? 0n),
      excused: () => recorder.stats().state !== 'recording',
      limitMs: DISK_LIMIT_MS,
    },
    {
      name: 'disk/outbox',
      count: () => outbox.stats().commits,
      excused: () => outbox.stats().fault !== null,
      limitMs: DISK_LIMIT_MS,
    },
  ];
  if (session === null) return [...samples, ...disk];
  const sync = {
    name: 'sync',
    count: () => {
      const { sentBatches, resends, acknowledgedRows, connections } = session.status();
      return sentBatches + resends + acknowledgedRows + connections;
    },
    excused: () => session.status().trouble !== null,
    limitMs: SYNC_LIMIT_MS,
  };
  return [...samples, ...disk, sync];
}

function publishedBy(
  sensor: string,
  topics: readonly { readonly topic: string; readonly published: number }[],
): number {
  return topics
    .filter(({ topic }) => topic.startsWith(`/${sensor}/`))
    .reduce((sum, { published }) => sum + published, 0);
}
