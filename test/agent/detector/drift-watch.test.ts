import { describe, expect, it } from 'vitest';
import { DriftWatch, USUAL_THRESHOLDS } from '../../../agent/detector/drift-watch.ts';
import { describeDrift, driftReadings, driftRow, featureRows } from '../../../agent/detector/report-rows.ts';
import type { DriftReference } from '../../../agent/detector/window-reports.ts';
import { driftDistances } from '../../../models/drift.ts';

const edges = [0, 1, 2, 3, 4];
const usual = [400, 300, 200, 100];
const reference: DriftReference = {
  histograms: [
    { feature: 'rms_dbfs', edges, counts: usual },
    { feature: 'score:body_impact', edges, counts: usual },
  ],
  thresholds: { hellinger: 0.3 },
};

function watchWith(thresholds: Record<string, number> = {}): DriftWatch {
  const watch = new DriftWatch({ thresholds, minWindows: 500 });
  watch.setReference(reference);
  return watch;
}

/** An hour in which the level is distributed like this, told in ten summaries. */
function hour(watch: DriftWatch, counts: readonly number[]) {
  for (let i = 0; i < 10; i += 1) {
    const windows = counts.reduce((sum, count) => sum + count, 0) / 10;
    const tenth = counts.map((count) => count / 10);
    watch.add({
      windows,
      histograms: [
        { feature: 'rms_dbfs', edges, counts: tenth },
        { feature: 'score:body_impact', edges, counts: usual.map((count) => (count * windows) / 1000) },
        { feature: 'treble_db', edges: [0, 1], counts: [windows] },
      ],
    });
  }
  return watch.judge();
}

describe('the watch for drift', () => {
  it('tells the three distances of an hour from the reference, and none where there is no reference', () => {
    const moved = [100, 200, 300, 400];
    const { windows, judged, features } = hour(watchWith(), moved);
    expect({ windows, judged }).toEqual({ windows: 1_000, judged: true });
    expect(features.find(({ feature }) => feature === 'rms_dbfs')?.distances).toEqual(
      driftDistances(moved, usual, edges),
    );
    expect(features.find(({ feature }) => feature === 'score:body_impact')?.distances?.hellinger).toBeCloseTo(0, 6);
    expect(features.find(({ feature }) => feature === 'treble_db')?.distances).toBeNull();
  });

  it('begins once, stays while it is near the threshold, ends well below it, and can begin again', () => {
    const watch = watchWith();
    const far = [0, 0, 0, 1_000];
    const near = [150, 210, 290, 350];
    const changes = [usual, far, far, near, usual, usual, far].map((counts) => {
      const { change, drifting } = hour(watch, counts);
      return `${change} ${drifting}`;
    });
    const { hellinger } = driftDistances(near, usual, edges);
    expect(hellinger).toBeLessThan(0.3);
    expect(hellinger).toBeGreaterThan(0.24);
    expect(changes).toEqual([
      'null false',
      'began true',
      'null true',
      'null true',
      'ended false',
      'null false',
      'began true',
    ]);
  });

  it('judges a model without thresholds by the usual ones', () => {
    const watch = new DriftWatch({ thresholds: {}, minWindows: 500 });
    watch.setReference({ histograms: reference.histograms });
    expect(hour(watch, [100, 200, 300, 400])).toMatchObject({ judged: true, change: null, over: [] });
    const { average_pairwise } = USUAL_THRESHOLDS;
    expect(hour(watch, [0, 0, 0, 1_000])).toMatchObject({
      change: 'began',
      over: [{ feature: 'rms_dbfs', distance: 'average_pairwise', threshold: average_pairwise }],
    });
  });

  it('does not judge an hour of too little sound, nor a model without a reference', () => {
    expect(hour(watchWith(), [0, 0, 0, 490])).toMatchObject({ judged: false, change: null, over: [] });
    const silent = new DriftWatch({ thresholds: {}, minWindows: 500 });
    silent.setReference({ histograms: [{ feature: 'rms_dbfs', edges, counts: [0, 0, 0, 0] }] });
    expect(hour(silent, [0, 0, 0, 1_000])).toMatchObject({ judged: false, change: null });
  });

  it('takes thresholds of the configuration for those of the model, one by one', () => {
    expect(hour(watchWith({ hellinger: 0.99 }), [0, 0, 0, 1_000]).drifting).toBe(false);
    expect(hour(watchWith({ hellinger: 0.99, average_pairwise: 0.1 }), [0, 0, 0, 1_000])).toMatchObject({
      change: 'began',
      over: [{ feature: 'rms_dbfs', distance: 'average_pairwise', threshold: 0.1 }],
    });
  });

  it('goes on with the same model in a new process, and forgets what another one heard, or the other form of it', () => {
    const watch = watchWith();
    hour(watch, [0, 0, 0, 1_000]);
    watch.add({ windows: 1_000, histograms: [{ feature: 'rms_dbfs', edges, counts: [0, 0, 0, 1_000] }] });
    expect(watch.setReference(structuredClone(reference))).toBe(false);
    const other = { ...reference, histograms: reference.histograms.map((each) => ({ ...each, counts: [1, 2, 3, 4] })) };
    expect(watch.setReference(other)).toBe(true);
    expect(watch.judge()).toMatchObject({ windows: 0, drifting: false });
    watch.add({ windows: 1_000, histograms: [{ feature: 'rms_dbfs', edges, counts: [100, 200, 300, 400] }] });
    expect(watch.judge().features[0]?.distances?.hellinger).toBeCloseTo(0, 6);
  });

  it('becomes rows of telemetry and a sentence', () => {
    const verdict = hour(watchWith(), [0, 0, 0, 1_000]);
    expect(driftRow(verdict)).toMatchObject({ windows: 1_000, judged: 1, drifting: 1, score_body_impact_hellinger: 0 });
    expect(Object.fromEntries(featureRows(verdict))['detector/rms_dbfs']).toEqual({
      bin_00: 0,
      bin_01: 0,
      bin_02: 0,
      bin_03: 1_000,
    });
    expect(describeDrift(verdict)).toMatch(/^rms_dbfs has drifted: hellinger 0\.\d+, expected at most 0\.3$/);
    expect(driftReadings(verdict)).toMatchObject([{ name: 'rms_dbfs_hellinger', baseline: 0.3 }]);
  });
});
