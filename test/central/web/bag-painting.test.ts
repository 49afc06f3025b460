/** How rows of a bag are drawn and named, without a browser. */
import { describe, expect, it } from 'vitest';
import type { BagInfo, Cells, FieldInfo, TopicInfo } from '../../../central/web/src/bag/reading/bag-model.ts';
import { AxisLabels } from '../../../central/web/src/bag/view/axis-labels.ts';
import { ValueAxis } from '../../../central/web/src/bag/view/paint.ts';
import { Stage } from '../../../central/web/src/bag/view/stage.ts';
import { rowsOf } from '../../../central/web/src/bag/view/view-rows.ts';
import { paletteOf } from '../../../central/web/src/theme/palette.ts';

/** One value a second. */
function lineOf(values: readonly number[]) {
  const numbers = Float64Array.from(values);
  const cells: Cells = {
    t: Float64Array.from(values, (_, second) => second),
    wideS: new Float64Array(values.length),
    min: numbers,
    mean: numbers,
    max: numbers,
  };
  return { cells, colour: '#000', scale: 1 };
}

describe('the ends of a value axis', () => {
  const stage = new Stage(100, () => undefined);
  const size = { width: 400, height: 64 };

  /** At which side each label is drawn, from the upper one. */
  function sides(labels: AxisLabels, values: readonly number[]): string[] {
    const found: string[] = [];
    const context = {
      textAlign: '',
      measureText: () => ({ width: 20 }),
      strokeText: () => undefined,
      fillText: () => found.push(context.textAlign),
    };
    const lines = [lineOf(values)];
    const axis = new ValueAxis();
    axis.fit([(lines[0] as ReturnType<typeof lineOf>).cells], stage, [1], 0);
    labels.draw(context as unknown as CanvasRenderingContext2D, size, stage, lines, axis, 0, paletteOf('light'));
    return found;
  }

  const rising = Array.from({ length: 101 }, (_, second) => second);

  it('stand where no line is, and stay there while they can', () => {
    const labels = new AxisLabels();
    expect(sides(labels, rising)).toEqual(['left', 'right']);
    expect(sides(labels, rising.toReversed())).toEqual(['right', 'left']);
    expect(
      sides(
        labels,
        rising.map((at) => (at > 20 && at < 30 ? 100 : at > 60 && at < 70 ? 0 : 50)),
      ),
    ).toEqual(['right', 'left']);
  });

  it('stand under the line, on the left, where it is on both sides', () => {
    expect(
      sides(
        new AxisLabels(),
        rising.map((at) => Math.abs(at - 50)),
      ),
    ).toEqual(['left', 'left']);
  });
});

it('names rows of the same name by their sensors', () => {
  const field = (name: string): FieldInfo => {
    return { name, unit: '', scale: 1, digits: 1, label: name, group: name, usual: true };
  };
  const topic = (id: number, name: string, fields: readonly FieldInfo[]): TopicInfo => {
    return { id, name, type: '', kind: 'numbers', reason: '', messages: 1, fields, rateHz: 0, channels: 0 };
  };
  const topics = [
    topic(0, '/bme680/humidity', [field('humidity'), field('variance')]),
    topic(1, '/bme680/pressure', [field('variance')]),
  ];
  expect(rowsOf({ topics } as unknown as BagInfo).map(({ title, heading }) => [title, heading])).toEqual([
    ['humidity', 'humidity'],
    ['variance', 'BME680 humidity: variance'],
    ['variance', 'BME680 pressure: variance'],
  ]);
});
