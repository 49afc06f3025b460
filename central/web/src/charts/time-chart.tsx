/**
 * Lines over time with a legend that shows the values under the shared cursor, or the newest ones. The plot is a slider
 * for the keyboard: arrow keys move the cursor from point to point.
 */
import { type CSSProperties, type KeyboardEvent, memo, useMemo, useRef } from 'react';
import { formatClock, formatDate } from '../format/format-time.ts';
import { formatNumber } from '../format/format-value.ts';
import { paletteOf, type ThemeName } from '../theme/palette.ts';
import { useTheme } from '../theme/use-theme.ts';
import { useCursor } from './cursor.tsx';
import { type LineOption, useLineChart } from './echarts-line.ts';
import { linePoints, nearestIndex, newestValue, type Series, usualStep, valueAt, valueRange } from './series.ts';

interface ChartLine {
  readonly name: string;
  readonly series: Series;
  /** A value newer than the last of `series`. */
  readonly newest?: number | undefined;
}

interface TimeChartProps {
  readonly title: string;
  readonly unit: string;
  readonly digits: number;
  readonly lines: readonly ChartLine[];
  /** Milliseconds since 1970 of the left and the right edge. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Times of impacts, drawn as upright lines. */
  readonly impactsMs: readonly number[];
  /** Drawn as steps: for flags. */
  readonly steps?: boolean;
}

/** Pixels around the plot; the impact lane above the charts keeps the same sides. */
const grid = { left: 50, right: 10, top: 8, bottom: 22 };

export function TimeChart(props: TimeChartProps) {
  const { title, unit, digits, lines, fromMs, toMs } = props;
  const theme = useTheme();
  const palette = paletteOf(theme);
  const plot = useRef<HTMLDivElement>(null);
  const [cursor, moveCursor] = useCursor();

  const reach = Math.max((toMs - fromMs) / 100, 2 * usualStep(lines[0]?.series.t ?? []));
  const inside = cursor !== null && cursor >= fromMs && cursor <= toMs;
  const values = lines.map(({ series, newest }) =>
    inside ? valueAt(series, cursor, reach) : (newest ?? newestValue(series)),
  );
  const longest = lines.reduce<Series | undefined>(
    (best, { series }) => (best === undefined || series.t.length > best.t.length ? series : best),
    undefined,
  );
  const at = inside ? cursor : (longest?.t.at(-1) ?? toMs);
  const texts = values.map((value) => (props.steps && value !== null ? yesOrNo(value) : formatNumber(value, digits)));
  const words = lines.map(({ name }, index) => `${name} ${texts[index]} ${unit}`).join(', ');

  const onPointer = (clientX: number) => {
    const box = plot.current?.getBoundingClientRect();
    if (!box) return;
    const share = (clientX - box.left - grid.left) / (box.width - grid.left - grid.right);
    moveCursor(share < 0 || share > 1 ? null : fromMs + share * (toMs - fromMs));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const next = keyTarget(event.key, longest?.t ?? [], cursor);
    if (next === undefined) return;
    event.preventDefault();
    moveCursor(next);
  };
  const share = inside ? (cursor - fromMs) / (toMs - fromMs) : 0;
  return (
    <figure className="chart">
      <figcaption className="chart-head">
        <span className="chart-title">{title}</span>
        {unit !== '' && <span className="chart-unit">{unit}</span>}
        <Legend lines={lines} texts={texts} colours={palette.series} single={lines.length === 1} />
      </figcaption>
      <div
        ref={plot}
        className="chart-plot"
        role="slider"
        tabIndex={0}
        aria-label={`${title}: time cursor`}
        aria-valuemin={Math.round(fromMs)}
        aria-valuemax={Math.round(toMs)}
        aria-valuenow={Math.round(at)}
        aria-valuetext={`${formatClock(new Date(at))}: ${words}`}
        onPointerMove={(event) => onPointer(event.clientX)}
        onPointerDown={(event) => onPointer(event.clientX)}
        onPointerLeave={() => moveCursor(null)}
        onKeyDown={onKeyDown}
        onBlur={() => moveCursor(null)}
      >
        <ChartCanvas {...props} theme={theme} />
        {inside && (
          <div
            className={share > 0.5 ? 'chart-cursor chart-cursor-late' : 'chart-cursor'}
            style={{ '--cursor': share, '--left': `${grid.left}px`, '--right': `${grid.right}px` } as CSSProperties}
          >
            <span>
              {toMs - fromMs > 86_400_000 && formatDate(new Date(cursor))} {formatClock(new Date(cursor))}
            </span>
          </div>
        )}
      </div>
    </figure>
  );
}

type ChartCanvasProps = TimeChartProps & { readonly theme: ThemeName };

/** The drawing alone, redrawn only when something drawn has changed. */
const ChartCanvas = memo(function ChartCanvas(props: ChartCanvasProps) {
  const canvas = useRef<HTMLDivElement>(null);
  const option = useMemo(() => chartOption(props, props.theme), [props]);
  useLineChart(canvas, option);
  return <div ref={canvas} className="chart-canvas" />;
}, drawsTheSame);

function drawsTheSame(one: ChartCanvasProps, other: ChartCanvasProps): boolean {
  return (
    one.theme === other.theme &&
    one.fromMs === other.fromMs &&
    one.toMs === other.toMs &&
    one.impactsMs === other.impactsMs &&
    one.lines.length === other.lines.length &&
    one.lines.every(({ name, series }, index) => {
      const line = other.lines[index];
      return line?.name === name && line.series === series;
    })
  );
}

/** Where a key moves the cursor among the times `t`: undefined for keys that do not, null to take it away. */
function keyTarget(key: string, t: readonly number[], cursor: number | null): number | null | undefined {
  const last = t.length - 1;
  const index = cursor === null ? last + 1 : nearestIndex(t, cursor);
  const jump = Math.max(1, Math.round(t.length / 20));
  const step: Readonly<Record<string, number>> = {
    ArrowLeft: index - 1,
    ArrowRight: index + 1,
    PageUp: index + jump,
    PageDown: index - jump,
    Home: 0,
    End: last,
  };
  if (key === 'Escape') return null;
  const target = step[key];
  return target === undefined ? undefined : (t[Math.max(0, Math.min(last, target))] ?? null);
}

interface LegendProps {
  readonly lines: readonly ChartLine[];
  readonly texts: readonly string[];
  readonly colours: readonly string[];
  readonly single: boolean;
}

function Legend({ lines, texts, colours, single }: LegendProps) {
  return (
    <span className={single ? 'legend legend-single' : 'legend'}>
      {lines.map(({ name }, index) => (
        <span key={name} className="legend-entry">
          {!single && (
            <>
              <span className="swatch" style={{ background: colours[index % colours.length] }} aria-hidden="true" />
              <span className="legend-name">{name}</span>
            </>
          )}
          <span className="legend-value">{texts[index]}</span>
        </span>
      ))}
    </span>
  );
}

function chartOption(props: TimeChartProps, theme: ThemeName): LineOption {
  const { lines, fromMs, toMs, digits, steps = false } = props;
  const palette = paletteOf(theme);
  const bounds = steps ? {} : leastRange(lines, digits);
  const text = { color: palette.text, fontSize: 11, fontFamily: 'inherit' };
  const series: NonNullable<LineOption['series']> = [];
  lines.forEach(({ name, series: { t, mean, min, max } }, index) => {
    const colour = palette.series[index % palette.series.length] ?? palette.text;
    const gap = Math.max(4 * usualStep(t), 5_000);
    const shared = { type: 'line', showSymbol: false, silent: true, animation: false } as const;
    if (lines.length === 1 && min && max && !steps) {
      // The spread within each bucket: an invisible line at the minimum and the distance to the maximum upon it.
      const spread = max.map((high, at) => (high === null || min[at] == null ? null : high - min[at]));
      const band = { ...shared, stack: `${name} spread`, stackStrategy: 'all', lineStyle: { opacity: 0 } } as const;
      series.push({ ...band, data: linePoints(t, min, gap) });
      series.push({ ...band, data: linePoints(t, spread, gap), areaStyle: { color: colour, opacity: 0.16 } });
    }
    series.push({
      ...shared,
      name,
      data: linePoints(t, mean, gap),
      lineStyle: { width: 1.5, color: colour },
      itemStyle: { color: colour },
      ...(steps ? { step: 'end' as const } : {}),
    });
  });
  for (const at of props.impactsMs) {
    if (at < fromMs || at > toMs) continue;
    series.push({
      type: 'line',
      yAxisIndex: 1,
      silent: true,
      animation: false,
      showSymbol: false,
      data: [
        [at, 0],
        [at, 1],
      ],
      lineStyle: { color: palette.impact, width: 1, type: [3, 3], opacity: 0.8 },
    });
  }
  return {
    animation: false,
    grid,
    xAxis: {
      type: 'time',
      min: fromMs,
      max: toMs,
      axisLine: { lineStyle: { color: palette.axis } },
      axisTick: { lineStyle: { color: palette.axis } },
      axisLabel: { ...text, hideOverlap: true, showMinLabel: false, showMaxLabel: false },
      splitLine: { show: false },
    },
    yAxis: [
      {
        type: 'value',
        scale: true,
        ...(steps ? { min: 0, max: 1, interval: 1 } : { splitNumber: 3, ...bounds }),
        axisLabel: {
          ...text,
          formatter: (value: number) => axisNumber(value, digits, steps),
          // Bounds that are not round would crowd the round labels beside them.
          ...('min' in bounds ? { showMinLabel: false, showMaxLabel: false } : {}),
        },
        splitLine: { lineStyle: { color: palette.grid } },
      },
      { type: 'value', min: 0, max: 1, show: false },
    ],
    series,
  };
}

/** Bounds for the value axis when its values differ too little; nothing (so: nice round bounds) when they do not. */
function leastRange(lines: readonly ChartLine[], digits: number): { min?: number; max?: number } {
  const known = lines.flatMap(({ series }) => series.mean.filter((value) => value !== null));
  const low = known.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  const high = known.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  if (low > high || high - low >= 10 ** (1 - digits)) return {};
  const [min, max] = valueRange([[low, high]], digits);
  const unit = 10 ** -digits;
  return { min: Math.floor(min / unit) * unit, max: Math.ceil(max / unit) * unit };
}

function yesOrNo(flag: number): string {
  return flag >= 0.5 ? 'yes' : 'no';
}

/** Axis labels fit in 44 px: no more digits than the values have, thousands as `k`. */
function axisNumber(value: number, digits: number, steps: boolean): string {
  if (steps) return yesOrNo(value);
  if (Math.abs(value) >= 10_000) return `${formatNumber(value / 1000, Math.abs(value) < 100_000 ? 1 : 0)}k`;
  const whole = Number.isInteger(value);
  return formatNumber(value, whole ? 0 : Math.max(1, Math.min(3, digits + (Math.abs(value) < 1 ? 1 : 0))));
}
