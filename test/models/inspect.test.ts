import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DESCRIPTION_KEYS } from '../../models/description-props.ts';
import { formatInspection, inspectModel } from '../../models/inspect.ts';
import { testDescription } from './description.ts';
import { onnxFile } from './onnx-writer.ts';

/** What a terminal shows of a small model with these values in place of its own. */
function shown(description: Readonly<Record<string, unknown>>): string {
  const values = { ...testDescription(), ...description };
  const metadata = Object.entries(values).map(([key, value]): [string, string] => [
    key,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  return formatInspection(inspectModel(onnxFile({ metadata }), 'some.onnx'));
}

describe('an inspection', () => {
  test('tells numbers of the description as numbers', () => {
    const { description } = inspectModel(
      onnxFile({ description: { false_alarm_budget_per_hour: 2, version: '1.0.0' } }),
      'some.onnx',
    );
    expect(description).toMatchObject({ false_alarm_budget_per_hour: 2, version: '1.0.0' });
  });

  test('tells how the scores were calibrated, the shift of background among it', () => {
    const calibration = { method: 'temperature', temperature: 0.5, background_shift: 1.8, data: 'x' };
    expect(shown({ calibration })).toMatch(/calibration +temperature 0\.5, background shifted by 1\.8\n/);
  });

  test('tells what the ambience does to scores', () => {
    const events = { merge_s: 0.5, ambience: { weight: 0.3, usual: -9.25, span_s: 5, assumed_s: 1.5 } };
    const text = shown({ events });
    expect(text).toMatch(/events +merge_s 0\.5\n/);
    expect(text).toMatch(
      /ambience +0\.3 of it is taken off, usual log-odds -9\.25, of the last 5 s, 1\.5 s assumed usual\n/,
    );
    expect(text).not.toContain('This file is refused');
  });

  test.each([
    ['input', null, /input +null\n/],
    ['input', 'loud', /input +loud\n/],
    ['calibration', null, /calibration +null\n/],
    ['training_run', null, /training +null\n/],
    ['thresholds', null, /thresholds +null\n/],
    ['labels', 7, /labels +7\n/],
    ['drift_reference', { histograms: [null] }, /drift reference +null\n/],
    ['drift_reference', [1], /drift reference +\[1\]\n/],
    ['evaluation', null, /evaluation +null\n/],
  ])('shows a %s of %j as it stands, and that the file is refused', (key, value, line) => {
    expect(shown({ [key]: value })).toMatch(line);
    expect(shown({ [key]: value })).toContain('This file is refused');
  });

  test('never fails, whatever stands in the description', () => {
    const inner = fc.jsonValue({ maxDepth: 3 });
    const value = fc.oneof(
      inner,
      fc.dictionary(
        fc.constantFrom(
          'topic',
          'channels',
          'window_s',
          'hop_s',
          'method',
          'brier',
          'seed',
          'folds',
          'data',
          'histograms',
        ),
        inner,
      ),
      fc.record({ histograms: fc.array(fc.oneof(inner, fc.record({ feature: inner, edges: inner, counts: inner }))) }),
    );
    const descriptions = fc.dictionary(fc.constantFrom(...DESCRIPTION_KEYS), value);
    fc.assert(
      fc.property(descriptions, (description) => {
        expect(shown(description)).toContain('SHA-256');
      }),
      { numRuns: 300 },
    );
  });
});
