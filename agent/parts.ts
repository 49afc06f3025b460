/** Builds the parts of the agent from its configuration and connects them; nothing runs yet. */
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Diagnostic } from '../drivers/sample.ts';
import { Outbox } from '../sync/outbox.ts';
import { SyncSession, type SyncSessionOptions } from '../sync/session.ts';
import type { AirNode } from './air/air-node.ts';
import { configuredAir } from './air/configured-air.ts';
import { SystemClock } from './clock.ts';
import type { AgentConfig } from './config/schema.ts';
import type { CheckedModel } from './detector/checked-model.ts';
import { DetectorNode } from './detector/detector-node.ts';
import { detectorOptions } from './detector/detector-options.ts';
import { Graph } from './graph.ts';
import { ImpactJournal } from './impacts/impact-journal.ts';
import { ImpactNode } from './impacts/impact-node.ts';
import { PressureWatch } from './impacts/pressure-watch.ts';
import type { Log } from './log.ts';
import { DiagnosticsNode } from './nodes/diagnostics.ts';
import { sensorNodes } from './nodes/registry.ts';
import type { SensorNode } from './nodes/sensor-node.ts';
import type { AppendTelemetry } from './nodes/telemetry.ts';
import { pressureTopic } from './nodes/topics.ts';
import { outboxSinks } from './outbox-sinks.ts';
import { RecorderNode, type RecorderNodeOptions, type RecordingControl } from './recording/recorder-node.ts';
import { recorderOptions } from './recording/recorder-options.ts';
import { recordingCommands } from './recording-commands.ts';
import type { AgentBridgeParts } from './ros/agent-bridge.ts';
import type { RosBridge } from './ros/ros-bridge.ts';
import { SynchroniserNode, type SynchroniserParts } from './synchroniser/synchroniser-node.ts';
import { synchroniserOptions } from './synchroniser/synchroniser-options.ts';

/** What the agent is given besides its configuration. */
export interface AgentContext {
  readonly log: Log;
  /** The program's version, as central shows it. */
  readonly version: string;
  /** Where relative model paths start. */
  readonly programFolder: string;
  /** The configured model as it was checked before; null when nobody looked, or it cannot be used. */
  readonly checkedModel: CheckedModel | null;
}

/** Tells how a part of the agent is; never throws. */
export type Report = (diagnostic: Diagnostic) => void;

/** Everything the agent is made of. */
export interface AgentParts {
  readonly dataFolder: string;
  readonly log: Log;
  readonly clock: SystemClock;
  readonly graph: Graph;
  readonly outbox: Outbox;
  readonly recorder: RecorderNode;
  readonly diagnostics: DiagnosticsNode;
  readonly detector: DetectorNode;
  readonly impacts: ImpactNode;
  /** Null when the air is not to be judged, or there is no sensor for it. */
  readonly air: AirNode | null;
  /** Null when it is switched off, or has not two topics to put together. */
  readonly synchroniser: SynchroniserNode | null;
  readonly sensors: readonly SensorNode[];
  /** Null when the configuration switches sync off. */
  readonly session: SyncSession | null;
  /** Null when the configuration does not ask for ROS 2. */
  readonly ros: RosBridge | null;
  readonly appendTelemetry: AppendTelemetry;
  readonly report: Report;
}

const SECOND_MS = 1_000;
/** Opens the storage and makes all parts. Rejects when the storage cannot be used. */
export async function buildParts(config: AgentConfig, context: AgentContext): Promise<AgentParts> {
  const { log } = context;
  const dataFolder = resolve(config.data_dir);
  const clock = new SystemClock({
    checkPeriodMs: SECOND_MS,
    qualityPeriodMs: config.clock.quality_period_s * SECOND_MS,
    stepThresholdMs: config.clock.step_threshold_ms,
  });
  const graph = new Graph((where, error) => log('error', 'a subscriber failed', { where, error }));
  const early: Diagnostic[] = [];
  let report: Report = (diagnostic) => early.push(diagnostic);
  const synchroniser = makeSynchroniser(config, { graph, clock, report: (diagnostic) => report(diagnostic) });
  const { outbox, recorder } = await openStorage(config, dataFolder, clock, {
    report: (diagnostic) => report(diagnostic),
    takeSnapshot: (snapshot) => impacts.takeSnapshot(snapshot),
    segmentMetadata: () => (synchroniser ? { 'fender.synchroniser': synchroniser.takeSegmentMetadata() } : {}),
  });
  const sinks = outboxSinks(outbox, log);
  const diagnostics = new DiagnosticsNode({
    vehicle: config.vehicle.id,
    graph,
    clock,
    record: sinks.recordDiagnostic,
  });
  report = loggedReport(diagnostics, log);
  // Without the decoded value beside it: the recorder keeps messages for seconds, and needs only their bytes.
  graph.subscribeAll('recorder', ({ topic, type, sequence, stamp, data, foreign }) =>
    recorder.write({ topic, type, sequence, stamp, data, ...(foreign && { foreign }) }),
  );
  for (const diagnostic of early) report(diagnostic);
  const pressure = new PressureWatch();
  if (config.sensors.bme680.device !== 'none') {
    graph.subscribe(pressureTopic, 'impacts', ({ value }) => pressure.add(value));
  }
  const impacts = new ImpactNode(
    {
      graph,
      clock,
      journal: new ImpactJournal(join(dataFolder, 'clips')),
      store: sinks.impacts,
      cutClip: (range, metadata) => recorder.cutClip(range, metadata),
      report,
      ...(config.sensors.bme680.device !== 'none' && { pressureChange: (onset) => pressure.changeAt(onset) }),
    },
    { preRollNs: secondsToNs(config.detector.pre_roll_s), postRollNs: secondsToNs(config.detector.post_roll_s) },
  );
  const detector = new DetectorNode(await detectorOptions(config, dataFolder, context), {
    clock,
    appendTelemetry: sinks.appendTelemetry,
    impact: (impact) => impacts.take(impact),
    found: (finding) => impacts.takeFinding(finding, null),
    update: (eventId, update) => impacts.update(clock.now(), eventId, update),
    report: (diagnostic) => {
      report(diagnostic);
      // A detector that listens has told which model it listens with.
      if (diagnostic.source === 'detector' && diagnostic.level === 'ok') session?.announce();
    },
  });
  const air = await configuredAir(config, dataFolder, {
    graph,
    clock,
    found: (finding, rolls) => impacts.takeFinding(finding, rolls),
    update: (stamp, eventId, update) => impacts.update(stamp, eventId, update),
    report,
  });
  const session = config.sync.enabled
    ? new SyncSession(sessionOptions(config, { outbox, clock, detector, recorder, report, version: context.version }))
    : null;
  const { appendTelemetry } = sinks;
  // A copy, as parameters of ROS nodes may change it.
  const sensorSettings = structuredClone(config.sensors);
  const sensors = sensorNodes(sensorSettings, { graph, clock, appendTelemetry, report });
  const ros = await openRos(config, { graph, clock, report, sensorSettings, sensors }, synchroniser, recorder);
  return {
    dataFolder,
    log,
    clock,
    graph,
    outbox,
    recorder,
    diagnostics,
    detector,
    impacts,
    air,
    synchroniser,
    sensors,
    session,
    ros,
    appendTelemetry,
    report,
  };
}

function makeSynchroniser(config: AgentConfig, parts: SynchroniserParts): SynchroniserNode | null {
  const options = synchroniserOptions(config);
  return options === null ? null : new SynchroniserNode(parts, options);
}

/** The bridge to ROS 2, loaded only where it is configured. */
async function openRos(
  config: AgentConfig,
  parts: Omit<AgentBridgeParts, 'control' | 'nodes'>,
  synchroniser: SynchroniserNode | null,
  control: RecordingControl,
): Promise<RosBridge | null> {
  if (config.graph.kind !== 'ros2') return null;
  const { agentBridge } = await import('./ros/agent-bridge.ts');
  const { synchroniserDescription } = await import('./synchroniser/ros-description.ts');
  const nodes = synchroniser === null ? [] : [synchroniserDescription(synchroniser)];
  return agentBridge(config, { ...parts, control: rosControl(control), nodes });
}

/** The recorder as its ROS services see it: each answers with a sentence. */
function rosControl(control: RecordingControl): AgentBridgeParts['control'] {
  return {
    start: async () => `${await control.start()} is recorded`,
    stop: async () => {
      const recordingId = await control.stop();
      return recordingId === null ? 'nothing was recorded' : `${recordingId} is whole and closed`;
    },
    snapshot: async () => `event ${(await control.snapshot({ reason: 'ROS 2 service' })).eventId}`,
  };
}

/** What the storage asks the other parts for. */
interface StorageParts extends Pick<RecorderNodeOptions, 'takeSnapshot' | 'segmentMetadata'> {
  readonly report: Report;
}

async function openStorage(
  config: AgentConfig,
  dataFolder: string,
  clock: SystemClock,
  { report, ...given }: StorageParts,
) {
  const outbox = await Outbox.open(join(dataFolder, 'outbox.sqlite'), {
    clock,
    maxBytes: config.outbox.max_bytes,
    maxBlobBytes: config.outbox.max_file_bytes,
    groupCommitMs: config.outbox.group_commit_ms,
    onNotice: (notice) => report({ source: 'outbox', values: {}, ...notice }),
  });
  try {
    const options = { ...(await recorderOptions(config, dataFolder, report)), ...given };
    return { outbox, recorder: await RecorderNode.open(join(dataFolder, 'recordings'), options, clock) };
  } catch (error) {
    await outbox.close();
    throw error;
  }
}

/** Keeps the diagnostic, and logs it when it changed. */
function loggedReport(diagnostics: DiagnosticsNode, log: Log): Report {
  const last = new Map<string, string>();
  return (diagnostic) => {
    const { source, level, code, message, cure } = diagnostic;
    if (last.get(source) !== `${level} ${code}`) {
      last.set(source, `${level} ${code}`);
      const logLevel = level === 'ok' ? 'info' : level === 'warn' ? 'warn' : 'error';
      log(logLevel, message, { source, code, ...(cure === '' ? {} : { cure }) });
    }
    diagnostics.report(diagnostic);
  };
}

interface SessionParts {
  readonly outbox: Outbox;
  readonly clock: SystemClock;
  readonly detector: DetectorNode;
  readonly recorder: RecorderNode;
  readonly report: Report;
  readonly version: string;
}

function sessionOptions({ sync, vehicle }: AgentConfig, parts: SessionParts): SyncSessionOptions {
  const { outbox, clock, detector, recorder, report, version } = parts;
  const { ca, cert, key } = sync.tls;
  return {
    outbox,
    url: sync.url,
    vehicle: vehicle.id,
    clock,
    tls: { ...(ca && { caPath: ca }), ...(cert && { certPath: cert }), ...(key && { keyPath: key }) },
    state: () => {
      const model = detector.statistics().model;
      const { bootId } = clock.now();
      return { bootId, agentVersion: version, modelName: model?.name ?? '', modelVersion: model?.version ?? '' };
    },
    onNotice: (notice) => report({ source: 'sync', values: {}, ...notice }),
    // Central has the clip, whole and checked; the recording still holds its sound.
    onBlobStored: (blob) => void rm(blob.path, { force: true }).catch(() => {}),
    onCommand: recordingCommands(recorder),
  };
}

function secondsToNs(seconds: number): bigint {
  return BigInt(Math.round(seconds * 1e9));
}
