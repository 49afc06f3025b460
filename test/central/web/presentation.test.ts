/** How numbers, times, fields, series and colours are presented: pure parts of the dashboard. */
import { describe, expect, it } from 'vitest';
import {
  joinSeries,
  linePoints,
  nearestIndex,
  usualStep,
  valueAt,
  valueRange,
} from '../../../central/web/src/charts/series.ts';
import { fieldMeaning } from '../../../central/web/src/format/field-catalogue.ts';
import { formatAgo, formatUtc, fromLocalField, toLocalField } from '../../../central/web/src/format/format-time.ts';
import {
  countRanges,
  formatBytes,
  formatFieldValue,
  formatNumber,
  formatScore,
} from '../../../central/web/src/format/format-value.ts';
import { filterOf, readEventSearch, writeEventSearch } from '../../../central/web/src/pages/events/event-search.ts';
import { frequencyHeight } from '../../../central/web/src/player/frequency-scale.ts';
import { paletteOf, spectrumColours } from '../../../central/web/src/theme/palette.ts';

describe('numbers', () => {
  it('have fixed digits, a true minus and grouped thousands', () => {
    expect(formatNumber(-41.25, 1)).toBe('−41.3');
    expect(formatNumber(-0.01, 1)).toBe('0.0');
    expect(formatNumber(1234567)).toBe('1\u202f234\u202f567');
    expect(formatNumber(12345.678, 2)).toBe('12\u202f345.68');
    expect(formatNumber(null)).toBe('–');
    expect(formatBytes(734_003_200)).toBe('700.0\u00a0MiB');
    expect(formatBytes(0)).toBe('0\u00a0B');
  });

  it('come in the units people expect', () => {
    expect(formatFieldValue('humidity_ratio', 0.4567)).toBe('45.7');
    expect(formatFieldValue('pressure_pa', 101_325)).toBe('1013.3');
    expect(fieldMeaning('ch3_dbfs')).toMatchObject({ label: 'Ch 3', unit: 'dBFS', group: 'Sound level' });
    expect(fieldMeaning('oil_pressure_pa')).toMatchObject({ label: 'Oil pressure', unit: 'hPa' });
  });

  it('never call a score certain that is not', () => {
    expect(formatScore(0.9999)).toBe('0.99');
    expect(formatScore(1)).toBe('1.00');
  });

  it('count ranges with both ends', () => {
    expect(
      countRanges([
        [1, 10],
        [12, 12],
      ]),
    ).toBe(11);
  });
});

describe('times', () => {
  it('are exact in UTC, to the nanosecond where known', () => {
    const at = new Date('2026-05-03T12:05:09.123Z');
    expect(formatUtc(at, '1777809909123456789')).toBe('2026-05-03 12:05:09.123456789 UTC');
    expect(formatUtc(at)).toBe('2026-05-03 12:05:09.123 UTC');
    expect(formatUtc(new Date('nonsense'))).toBe('unknown time');
  });

  it('are ages that tell seconds from days', () => {
    const now = new Date('2026-05-03T12:00:00Z');
    const ago = (seconds: number) => formatAgo(new Date(now.getTime() - seconds * 1000), now);
    expect([-5, 1, 59, 60, 3_599, 7_200, 200_000].map(ago)).toEqual([
      'now',
      'now',
      '59 s ago',
      '1 min ago',
      '59 min ago',
      '2 h ago',
      '2 d ago',
    ]);
  });

  it('go to a form field and back', () => {
    const at = new Date('2026-05-03T12:05:09.000Z');
    expect(fromLocalField(toLocalField(at))).toBe(at.toISOString());
    expect(fromLocalField('')).toBeUndefined();
  });
});

describe('the address of the events page', () => {
  it('says what is not as usual, and reads it back', () => {
    const search = readEventSearch(new URLSearchParams('vehicle=van-01&min_score=0.5&sort=score&order=asc&offset=50'));
    expect(writeEventSearch(search).toString()).toBe('vehicle=van-01&sort=score&order=asc&offset=50&min_score=0.5');
    expect(filterOf(search)).toMatchObject({ vehicle: 'van-01', minScore: 0.5, label: undefined, limit: 25 });
  });

  it('takes nonsense for nothing', () => {
    const search = readEventSearch(new URLSearchParams('min_score=7&sort=drop&limit=1e9&offset=-3&from=yesterday'));
    expect(writeEventSearch(search).toString()).toBe('');
  });
});

describe('series', () => {
  it('carry history on with live points, scaled, from the beginning of the window', () => {
    const history = { t: [1000, 2000], min: [1, 2], mean: [2, 3], max: [3, 4] };
    const live = [
      { t: 1500, values: { x: 9 } },
      { t: 3000, values: { x: 5 } },
      { t: 4000, values: { other: 1 } },
    ];
    expect(joinSeries(history, live, 'x', 1500, 10)).toEqual({
      t: [2000, 3000],
      min: [20, 50],
      mean: [30, 50],
      max: [40, 50],
    });
    expect(joinSeries(undefined, [], 'x', 0, 1).t).toEqual([]);
  });

  it('give the nearest value, and none from afar', () => {
    const series = { t: [0, 10, 20], mean: [1, 2, 3] };
    expect(nearestIndex(series.t, 14)).toBe(1);
    expect(nearestIndex(series.t, 99)).toBe(2);
    expect(nearestIndex([], 5)).toBe(-1);
    expect(valueAt(series, 16, 5)).toBe(3);
    expect(valueAt(series, 40, 5)).toBeNull();
    expect(usualStep(series.t)).toBe(10);
  });

  it('break where nothing was measured', () => {
    expect(linePoints([0, 1, 10], [5, 6, 7], 3)).toEqual([
      [0, 5],
      [1, 6],
      [2, null],
      [10, 7],
    ]);
  });

  it('do not blow noise up to news', () => {
    const [low, high] = valueRange([[23.41, 23.43, null]], 1);
    expect(high - low).toBeGreaterThanOrEqual(1);
    expect(valueRange([], 1)).toEqual([0, 1]);
  });
});

describe('colours', () => {
  const luminance = (colour: string) => {
    const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
      const share = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ratio = (one: string, other: string) => {
    const [low = 0, high = 0] = [luminance(one), luminance(other)].toSorted((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };

  it.each(['light', 'dark'] as const)(
    'of data stand out from the %s surface: 3 to 1 for lines, 4.5 to 1 for text',
    (theme) => {
      const palette = paletteOf(theme);
      for (const colour of [...palette.series, palette.impact, palette.waveform, palette.played]) {
        expect(ratio(colour, palette.surface), colour).toBeGreaterThanOrEqual(3);
      }
      expect(ratio(palette.text, palette.surface)).toBeGreaterThanOrEqual(4.5);
      expect(new Set(palette.series).size).toBe(8);
    },
  );

  it('of the spectrogram grow steadily away from silence', () => {
    const colours = spectrumColours(paletteOf('dark'));
    expect(colours).toHaveLength(256);
    expect(colours.flat().every((part) => part >= 0 && part <= 1)).toBe(true);
  });

  it('of the spectrogram stand at their mel height', () => {
    expect(frequencyHeight(24_000, 24_000)).toBe(1);
    expect(frequencyHeight(1_000, 24_000)).toBeCloseTo(1000 / 4018, 1);
  });
});
