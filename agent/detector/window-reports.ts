/**
 * What a detector process tells of the windows it scored, and the checking of everything it says: a process that runs somebody's model
 * is not believed further than its reports make sense.
 */
import type { DetectorReport } from './protocol.ts';

/** One scored window; `end_ns` is when it ends, nanoseconds in the time base of the sound, as decimal text. */
export interface ScoredWindow {
  readonly end_ns: string;
  /** How sure the model is of any impact, 0 to 1: its own scores. */
  readonly sureness: number;
  /** The sureness beside the ambience in shares of the threshold that applies: from 1 the window is over it. */
  readonly share: number;
  /** Time of the model's run, ms. */
  readonly run_ms: number;
}

/** Counts in bins: `edges` ascend, one more than `counts`. */
export interface CountedFeature {
  /** As in models/features.ts, or `score:<label>`. */
  readonly feature: string;
  readonly edges: readonly number[];
  readonly counts: readonly number[];
}

/** Distances from which a feature has drifted; see models/drift.ts for units. */
export type DriftThresholds = Readonly<
  Partial<Record<'hellinger' | 'kullback_leibler' | 'average_pairwise', number | undefined>>
>;

/** What a model says of the sound it knows. */
export interface DriftReference {
  readonly histograms: readonly CountedFeature[];
  readonly thresholds?: DriftThresholds | undefined;
}

/** Up: the model is loaded and has scored a window of silence; sound may come. */
export interface ReadyReport {
  readonly kind: 'ready';
  readonly model: { readonly name: string; readonly version: string };
  readonly precision?: 'fp32' | 'int8' | undefined;
  /** Length of a window and distance of neighbouring ones, in seconds. */
  readonly window_s: number;
  readonly hop_s: number;
  /** Length of sound that the ambience is made of, in seconds; absent where scores count on their own. */
  readonly ambience_s?: number | undefined;
  readonly drift_reference: DriftReference;
}

/** Up: what was counted since the summary before. */
export interface SummaryReport {
  readonly kind: 'summary';
  readonly windows: number;
  readonly histograms: readonly CountedFeature[];
}

/** The most bins and histograms that a summary or reference may have: as many as models/description.ts allows. */
const MAX_BINS = 256;
const MAX_HISTOGRAMS = 128;
const MAX_WINDOWS_A_REPORT = 64;
const SIDES = ['front', 'left', 'rear', 'right'];

/** The report in one line, or null when it is none, or not as it should be. */
export function parseReport(line: string): DetectorReport | null {
  let report: unknown;
  try {
    report = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof report !== 'object' || report === null || !('kind' in report)) return null;
  const isSound = typeof report.kind === 'string' ? CHECKS[report.kind] : undefined;
  return isSound?.(report as Said) ? (report as DetectorReport) : null;
}

type Said = Readonly<Record<string, unknown>>;

const CHECKS: Readonly<Record<string, (said: Said) => boolean>> = {
  ready: ({ model, precision, window_s, hop_s, ambience_s, drift_reference }) =>
    isRecord(model) &&
    isText(model.name) &&
    isText(model.version) &&
    (precision === undefined || precision === 'fp32' || precision === 'int8') &&
    isPositive(window_s) &&
    isPositive(hop_s) &&
    (ambience_s === undefined || isPositive(ambience_s)) &&
    isRecord(drift_reference) &&
    isHistograms(drift_reference.histograms) &&
    isThresholds(drift_reference.thresholds),
  progress: ({ done, windows }) =>
    isCount(done) &&
    (windows === undefined ||
      (Array.isArray(windows) && windows.length <= MAX_WINDOWS_A_REPORT && windows.every(isWindow))),
  impact: ({ onset_ns, end_ns, label, score, scores, direction }) =>
    isTime(onset_ns) &&
    isTime(end_ns) &&
    isText(label) &&
    isNumber(score) &&
    isRecord(scores) &&
    Object.values(scores).every(isNumber) &&
    (direction === undefined || isDirection(direction)),
  summary: ({ windows, histograms }) => isCount(windows) && isHistograms(histograms),
  flushed: () => true,
  failed: ({ message }) => typeof message === 'string',
};

function isDirection(direction: unknown): boolean {
  if (!isRecord(direction)) return false;
  const { azimuthDeg, side, confidence } = direction;
  return (
    isNumber(azimuthDeg) &&
    Math.abs(Number(azimuthDeg)) <= 180 &&
    isShare(confidence) &&
    SIDES.some((each) => each === side)
  );
}

function isWindow(window: unknown): boolean {
  return (
    isRecord(window) &&
    isTime(window.end_ns) &&
    isShare(window.sureness) &&
    isNumber(window.share) &&
    isNumber(window.run_ms)
  );
}

function isHistograms(all: unknown): boolean {
  return Array.isArray(all) && all.length <= MAX_HISTOGRAMS && all.every(isHistogram);
}

function isHistogram(histogram: unknown): boolean {
  if (!isRecord(histogram)) return false;
  const { feature, edges, counts } = histogram;
  if (!isText(feature) || !Array.isArray(edges) || !Array.isArray(counts)) return false;
  if (counts.length > MAX_BINS || edges.length !== counts.length + 1 || !counts.every(isCount)) return false;
  return edges.every((edge, i) => isNumber(edge) && (i === 0 || edge > Number(edges[i - 1])));
}

function isThresholds(thresholds: unknown): boolean {
  return thresholds === undefined || (isRecord(thresholds) && Object.values(thresholds).every(isNumber));
}

function isRecord(value: unknown): value is Said {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value.length > 0 && value.length <= 200;
}

function isTime(value: unknown): boolean {
  return typeof value === 'string' && /^-?\d{1,19}$/.test(value);
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value);
}

function isPositive(value: unknown): boolean {
  return isNumber(value) && Number(value) > 0;
}

/** Sums of float32 shares may be a little more than 1. */
function isShare(value: unknown): boolean {
  return isNumber(value) && Number(value) >= 0 && Number(value) <= 1.001;
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
