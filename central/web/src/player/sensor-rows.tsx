/** All sensors around the event as rows of the timeline; series of one topic and unit share a row. */
import { useMemo, useRef } from 'react';
import type { EventSensors, SensorSeries } from '../api/types.ts';
import { type LineOption, useLineChart } from '../charts/echarts-line.ts';
import { linePoints, usualStep, valueAt, valueRange } from '../charts/series.ts';
import { Empty } from '../components/states.tsx';
import { fieldMeaning, fieldWithUnit, streamTitle } from '../format/field-catalogue.ts';
import { formatNumber } from '../format/format-value.ts';
import { paletteOf, type ThemeName } from '../theme/palette.ts';
import { useTheme } from '../theme/use-theme.ts';
import { type TimeAxis, TimeRow } from './time-row.tsx';

interface ShownSeries {
  readonly name: string;
  readonly digits: number;
  readonly t: readonly number[];
  readonly mean: readonly (number | null)[];
}

interface SensorGroup {
  readonly key: string;
  readonly title: string;
  readonly unit: string;
  readonly series: readonly ShownSeries[];
}

/** Rows of the sensors: scaled to shown units, series of one topic and unit together, in the order given. */
function sensorGroups(series: readonly SensorSeries[]): SensorGroup[] {
  const named = series.map((one) => ({ ...one, field: fieldWithUnit(one.field, one.unit) }));
  const groups = Map.groupBy(named, ({ topic, field }) => `${topic} ${fieldMeaning(field).group}`);
  return [...groups].map(([key, members]) => {
    const first = members[0];
    const meaning = fieldMeaning(first?.field ?? '');
    return {
      key,
      title: members.length === 1 || meaning.unit !== '' ? meaning.group : streamTitle(first?.topic ?? ''),
      unit: meaning.unit || (first?.unit ?? ''),
      series: members.map(({ field, t_s, values }) => {
        const { short, scale, digits } = fieldMeaning(field);
        return { name: short, digits, t: t_s, mean: values.map((value) => (value === null ? null : value * scale)) };
      }),
    };
  });
}

interface SensorRowsProps {
  readonly sensors: EventSensors;
  readonly timeAxis: TimeAxis;
}

export function SensorRows({ sensors, timeAxis }: SensorRowsProps) {
  const groups = useMemo(() => sensorGroups(sensors.series), [sensors]);
  if (groups.length === 0) return <Empty title="No other sensor was recorded around this event" />;
  return groups.map((group) => <SensorRow key={group.key} group={group} timeAxis={timeAxis} />);
}

function SensorRow({ group, timeAxis }: { readonly group: SensorGroup; readonly timeAxis: TimeAxis }) {
  const theme = useTheme();
  const palette = paletteOf(theme);
  const plot = useRef<HTMLDivElement>(null);
  const { durationS, cursorS } = timeAxis;
  const option = useMemo(() => rowOption(group, durationS, theme), [group, durationS, theme]);
  useLineChart(plot, option);
  const detail = (
    <span className="row-values">
      {group.series.map((series, index) => {
        const value = valueAt(series, cursorS, Math.max(1, 2 * usualStep(series.t)));
        return (
          <span key={series.name} className="legend-entry">
            {group.series.length > 1 && (
              <>
                <span
                  className="swatch"
                  style={{ background: palette.series[index % palette.series.length] }}
                  aria-hidden="true"
                />
                <span className="legend-name">{series.name}</span>
              </>
            )}
            <span className="legend-value">{formatNumber(value, series.digits)}</span>
          </span>
        );
      })}
      <span className="unit">{group.unit}</span>
    </span>
  );
  return (
    <TimeRow {...timeAxis} title={group.title} detail={detail} height={group.series.length > 2 ? 84 : 64}>
      <div ref={plot} className="row-canvas" />
    </TimeRow>
  );
}

function rowOption(group: SensorGroup, durationS: number, theme: ThemeName): LineOption {
  const palette = paletteOf(theme);
  const digits = group.series[0]?.digits ?? 1;
  const [low, high] = valueRange(
    group.series.map(({ mean }) => mean),
    digits,
  );
  return {
    animation: false,
    grid: { left: 0, right: 0, top: 3, bottom: 3 },
    xAxis: { type: 'value', min: 0, max: durationS || 1, show: false },
    yAxis: {
      type: 'value',
      min: low,
      max: high,
      interval: high - low,
      axisLabel: {
        inside: true,
        color: palette.text,
        fontSize: 10,
        fontFamily: 'inherit',
        margin: 4,
        verticalAlignMinLabel: 'bottom',
        verticalAlignMaxLabel: 'top',
        formatter: (value: number) => formatNumber(value, digits),
      },
      axisLine: { show: false },
      axisTick: { show: false },
      splitLine: { show: false },
    },
    series: group.series.map((series, index) => ({
      type: 'line' as const,
      silent: true,
      animation: false,
      // A slow sensor has a handful of readings in a clip: each is shown.
      showSymbol: series.t.length <= 40,
      symbol: 'circle',
      symbolSize: 4,
      data: linePoints(series.t, series.mean, Math.max(3, 4 * usualStep(series.t))),
      lineStyle: { width: 1.5, color: palette.series[index % palette.series.length] ?? palette.text },
      itemStyle: { color: palette.series[index % palette.series.length] ?? palette.text },
    })),
  };
}
