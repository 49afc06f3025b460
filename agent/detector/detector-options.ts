/** Reads from the configuration how the agent listens. */
import { join, resolve } from 'node:path';
import type { AgentConfig } from '../config/schema.ts';
import type { ArrayMount } from '../direction/array-mount.ts';
import type { CheckedModel } from './checked-model.ts';
import type { DetectorNodeOptions } from './detector-node.ts';
import { findPair, type ModelPair, recallChoice } from './model-choice.ts';
import { CANDIDATE_NICENESS, type CandidateOptions } from './shadow.ts';
import type { SupervisorOptions } from './supervisor.ts';

const SECOND_MS = 1_000;
const MEGABYTE = 1e6;
/** What is counted is told each minute, or five times a report. */
const SUMMARY_S = 60;
const SUMMARIES_A_REPORT = 5;
/** By then the agent has started, and measures a machine at its usual work. */
const MEASURE_AFTER_MS = 20_000;
/**
 * The detector's garbage is small and short-lived: a small heap is enough and keeps its process lean. --optimize-for-size as in the
 * lean process, whose compile cache it shares.
 */
const DETECTOR_FLAGS: readonly string[] = [
  '--max-semi-space-size=1',
  '--max-old-space-size=64',
  '--optimize-for-size',
  '--v8-pool-size=1',
];

/** What the agent knows besides its configuration. */
export interface DetectorContext {
  /** Where relative model paths start. */
  readonly programFolder: string;
  /** The configured model as it was checked before; null when nobody looked, or it cannot be used. */
  readonly checkedModel: CheckedModel | null;
}

/** The options of the detector; reads what was measured before from `dataFolder`. */
export async function detectorOptions(
  { detector, sensors }: AgentConfig,
  dataFolder: string,
  { programFolder, checkedModel }: DetectorContext,
): Promise<DetectorNodeOptions> {
  const pathOf = (path: string): string => (path === '' ? '' : resolve(programFolder, path));
  const pair = await findPair(pathOf(detector.model), pathOf(detector.model_fp32));
  const choiceFile = join(dataFolder, 'model-speed.json');
  const choice = await recallChoice(pair, choiceFile);
  const isConfigured = choice === null || choice.modelPath === pair.modelPath;
  const model = isConfigured ? { modelPath: pair.modelPath, checkedModel } : choice;
  const common = commonOptions(detector);
  const { thresholds } = detector;
  return {
    active: {
      ...common,
      source: 'detector',
      niceness: 0,
      setup: {
        modelPath: model.modelPath,
        checkedModel: model.checkedModel,
        maxModelBytes: detector.max_model_bytes,
        thresholds,
        summaryPeriodS: common.summaryPeriodS,
        mount: mountOf(sensors.uma8),
      },
    },
    candidate: await candidateOptions(detector, dataFolder, pathOf),
    pair,
    choice,
    choiceFile,
    drift: { thresholds: detector.drift_threshold, minWindows: detector.drift_min_windows },
    reportPeriodMs: detector.report_period_s * SECOND_MS,
    measureAfterMs: MEASURE_AFTER_MS,
  };
}

function mountOf({ mount_yaw_deg, mount_pitch_deg, mount_facing }: AgentConfig['sensors']['uma8']): ArrayMount {
  return { yawDeg: mount_yaw_deg, pitchDeg: mount_pitch_deg, facing: mount_facing };
}

async function candidateOptions(
  detector: AgentConfig['detector'],
  dataFolder: string,
  pathOf: (path: string) => string,
): Promise<CandidateOptions | null> {
  if (detector.candidate === '') return null;
  const pair: ModelPair = await findPair(pathOf(detector.candidate), pathOf(detector.candidate_fp32));
  const choiceFile = join(dataFolder, 'candidate-speed.json');
  const choice = await recallChoice(pair, choiceFile);
  const { modelPath, checkedModel } = choice ?? { modelPath: pair.modelPath, checkedModel: null };
  const common = commonOptions(detector);
  const { summaryPeriodS } = common;
  return {
    ...common,
    source: 'shadow',
    niceness: CANDIDATE_NICENESS,
    setup: {
      modelPath,
      checkedModel,
      maxModelBytes: detector.max_model_bytes,
      thresholds: {},
      summaryPeriodS,
      mount: null,
    },
    pair,
    choice,
    choiceFile,
  };
}

function commonOptions(
  detector: AgentConfig['detector'],
): Omit<SupervisorOptions, 'source' | 'niceness' | 'setup'> & { readonly summaryPeriodS: number } {
  return {
    queueChunks: detector.queue_chunks,
    hangTimeoutMs: detector.hang_timeout_s * SECOND_MS,
    startTimeoutMs: detector.start_timeout_s * SECOND_MS,
    maxMemoryBytes: detector.max_memory_mb * MEGABYTE,
    summaryPeriodS: Math.min(SUMMARY_S, detector.report_period_s / SUMMARIES_A_REPORT),
    entry: new URL('./detector-process.ts', import.meta.url),
    execArgv: DETECTOR_FLAGS,
  };
}
