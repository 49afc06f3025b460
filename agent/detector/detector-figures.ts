/** The detector's figures for Prometheus: the active model, the candidate, drift. */
import type { Exposition } from '../health/exposition.ts';
import type { SideFigures } from './agreement.ts';
import type { DetectorStatistics } from './detector-node.ts';
import type { DriftVerdict } from './drift-watch.ts';
import type { ShadowStatistics } from './shadow.ts';

/** Adds them to a scrape. */
export function addDetectorFigures(out: Exposition, detector: DetectorStatistics): void {
  out.gauge('detector_running', 'Whether the detector listens.', detector.state === 'running' ? 1 : 0);
  out.counter('detector_restarts_total', 'Restarts of the detector process.', detector.restarts);
  for (const [reason, count] of Object.entries(detector.restartsBy)) {
    out.counter('detector_restarts_by_reason_total', 'Restarts of the detector process, by reason.', count, { reason });
  }
  out.counter('detector_swaps_total', 'Models put in the place of others.', detector.swaps);
  out.counter('detector_windows_total', 'Windows scored.', detector.scoredWindows);
  out.counter('detector_missed_windows_total', 'Windows of the sound that no model scored.', detector.missedWindows);
  out.counter('detector_chunks_total', 'Sound chunks heard.', detector.processedChunks);
  out.counter('detector_missed_chunks_total', 'Sound chunks the detector never heard.', detector.missedChunks);
  out.gauge('detector_queue_chunks', 'Sound chunks waiting for the detector.', detector.queuedChunks);
  const { model, choice } = detector;
  if (model !== null) {
    const labels = { model: model.name, version: model.version, precision: choice.precision ?? 'unknown' };
    out.gauge('detector_model_info', 'The model that listens.', 1, labels);
  }
  if (choice.measured !== null) {
    const help = 'Time of one window, measured on this machine.';
    out.gauge('detector_measured_window_seconds', help, choice.measured.int8Ms / 1e3, { precision: 'int8' });
    out.gauge('detector_measured_window_seconds', help, choice.measured.fp32Ms / 1e3, { precision: 'fp32' });
  }
  if (detector.shadow !== null) addShadow(out, detector.shadow);
  if (detector.drift !== null) addDrift(out, detector.drift);
}

function addShadow(out: Exposition, { agreement, ...shadow }: ShadowStatistics): void {
  for (const state of ['running', 'suspended', 'dropped']) {
    out.gauge('shadow_state', 'How the candidate is.', shadow.state === state ? 1 : 0, { state });
  }
  out.counter('shadow_restarts_total', "Restarts of the candidate's process.", shadow.restarts);
  out.counter('shadow_suspensions_total', 'Times the candidate could not keep up.', shadow.suspensions);
  out.counter('shadow_missed_windows_total', 'Windows that the candidate did not score.', shadow.missedWindows);
  out.counter('shadow_windows_total', 'Windows that both models scored.', agreement.windows);
  out.gauge('shadow_agreement_ratio', 'Share of windows judged alike.', agreement.agreement);
  out.gauge('shadow_kappa', "Cohen's kappa of over and under the threshold.", agreement.kappa);
  out.gauge('shadow_correlation', 'Correlation of how sure the models are of an impact.', agreement.correlation);
  out.gauge('shadow_difference', 'Mean absolute difference of how sure they are.', agreement.difference);
  const events = 'Impacts, by who found them; only those of the active model are events.';
  out.counter('shadow_events_total', events, agreement.eventsBoth, { found_by: 'both' });
  addSide(out, 'active', agreement.active);
  addSide(out, 'candidate', agreement.candidate);
}

function addSide(out: Exposition, model: string, { counts, p50Ms, p95Ms, eventsAlone }: SideFigures): void {
  const events = 'Impacts, by who found them; only those of the active model are events.';
  out.counter('shadow_events_total', events, eventsAlone, { found_by: model });
  const time = 'Time of one window.';
  out.gauge('shadow_window_seconds', time, p50Ms / 1e3, { model, quantile: '0.5' });
  out.gauge('shadow_window_seconds', time, p95Ms / 1e3, { model, quantile: '0.95' });
  for (const [bin, count] of counts.entries()) {
    const to = ((bin + 1) / counts.length).toFixed(2);
    out.counter('shadow_scores_total', 'Windows by how sure the model is, up to.', count, { model, up_to: to });
  }
}

function addDrift(out: Exposition, { windows, judged, drifting, features }: DriftVerdict): void {
  out.gauge('drift_windows', 'Windows of the latest period.', windows);
  out.gauge('drift_judged', 'Whether they were enough to be judged.', judged ? 1 : 0);
  out.gauge('drift_drifting', 'Whether the sound has drifted from what the model knows.', drifting ? 1 : 0);
  for (const { feature, distances } of features) {
    for (const [distance, value] of Object.entries(distances ?? {})) {
      out.gauge('drift_distance', "Distance from the model's reference.", value, { feature, distance });
    }
  }
}
