/** What each chosen series was over the span in view. */
import { useEffect, useState } from 'react';
import { DataTable, type TableColumn } from '../../components/data-table.tsx';
import { formatNumber } from '../../format/format-value.ts';
import type { SeriesStatistics } from '../reading/bag-model.ts';
import type { BagClient } from './bag-client.ts';
import type { Stage } from './stage.ts';
import { clockText, spanText } from './time-text.ts';
import { useSlowly } from './use-stage.ts';
import { topicTitle, type ViewRow } from './view-rows.ts';

/** The view has to stand still this long before it is summed up. */
const settleMs = 250;

interface StatisticsRow {
  readonly id: string;
  readonly title: string;
  readonly topic: string;
  readonly unit: string;
  readonly scale: number;
  readonly digits: number;
  readonly statistics: SeriesStatistics;
}

interface StatisticsTableProps {
  readonly client: BagClient;
  readonly stage: Stage;
  readonly rows: readonly ViewRow[];
  readonly startNs: string;
}

export function StatisticsTable({ client, stage, rows, startNs }: StatisticsTableProps) {
  useSlowly(stage);
  const [result, setResult] = useState<{ fromS: number; toS: number; rows: readonly StatisticsRow[] } | null>(null);
  const [sort, setSort] = useState({ id: 'series', desc: false });
  const { fromS, toS } = stage;
  // What is seen is read first.
  const isDrawn = stage.progress >= 1;
  useEffect(() => {
    if (!isDrawn) return;
    let isStale = false;
    const timer = setTimeout(async () => {
      const found = await client.statistics(
        rows.flatMap(({ series }) => series.map(({ key }) => key)),
        fromS,
        toS,
      );
      if (!isStale) setResult({ fromS, toS, rows: join(rows, found) });
    }, settleMs);
    return () => {
      isStale = true;
      clearTimeout(timer);
    };
  }, [client, rows, fromS, toS, isDrawn]);
  if (rows.length === 0) return null;
  const isBusy = result === null || result.fromS !== fromS || result.toS !== toS;
  const sorted = sortRows(result?.rows ?? [], sort);
  return (
    <section className="bag-statistics" aria-labelledby="bag-statistics">
      <div className="section-head">
        <h2 id="bag-statistics">Statistics</h2>
        <p className="faint">
          {result
            ? `${spanText(result.toS - result.fromS)} from ${clockText(startNs, result.fromS, result.toS - result.fromS)}${basisText(result.rows)}`
            : 'being summed up …'}
        </p>
      </div>
      <DataTable
        caption="Statistics of the span in view"
        columns={columns}
        rows={sorted}
        rowId={({ id }) => id}
        sort={sort}
        onSort={(id, desc) => setSort({ id, desc })}
        busy={isBusy}
      />
    </section>
  );
}

function join(rows: readonly ViewRow[], found: readonly SeriesStatistics[]): StatisticsRow[] {
  const named = new Map<string, { row: ViewRow; one: ViewRow['series'][number] }>(
    rows.flatMap((row) => row.series.map((one) => [`${one.key.topic} ${one.key.field}`, { row, one }] as const)),
  );
  return found.flatMap((statistics) => {
    const id = `${statistics.key.topic} ${statistics.key.field}`;
    const known = named.get(id);
    if (known === undefined) return [];
    const { row, one } = known;
    const { unit, scale, digits, label } = one.field;
    return [{ id, title: label, topic: topicTitle(row.topic), unit, scale, digits, statistics }];
  });
}

function basisText(rows: readonly StatisticsRow[]): string {
  const sampled = rows.filter(({ statistics }) => statistics.basis === 'sampled');
  const least = Math.min(...sampled.map(({ statistics }) => statistics.share));
  const parts: string[] = [];
  if (rows.some(({ statistics }) => statistics.basis === 'overview'))
    parts.push('* to whole seconds, from the recorded overview');
  if (sampled.length > 0)
    parts.push(
      `≈ from samples, at least ${formatNumber(100 * least, least < 0.1 ? 1 : 0)} % of the messages; zoom in for all`,
    );
  return parts.length === 0 ? '' : `; ${parts.join('; ')}`;
}

const marks = { exact: '', overview: '*', sampled: '≈' } as const;
/** More digits than the curve: a mean or a deviation is finer than one reading. */
const extraDigits = 1;

function shown({ statistics, scale, digits }: StatisticsRow, value: number): string {
  const scaled = value * scale;
  const small = Math.abs(scaled) > 0 && Math.abs(scaled) < 10 ** -(digits + extraDigits);
  return small
    ? scaled.toExponential(2).replace('-', '−')
    : `${formatNumber(scaled, digits + extraDigits)}${statistics.basis === 'exact' ? '' : ''}`;
}

const columns: readonly TableColumn<StatisticsRow>[] = [
  {
    id: 'series',
    header: 'Series',
    sortable: true,
    plain: true,
    cell: ({ title, topic, unit }) => (
      <>
        {title} {unit !== '' && <span className="unit">{unit}</span>}
        <br />
        <small className="faint">{topic}</small>
      </>
    ),
  },
  {
    id: 'count',
    header: 'Count',
    numeric: true,
    sortable: true,
    cell: ({ statistics }) => `${formatNumber(statistics.count)}${marks[statistics.basis]}`,
  },
  {
    id: 'rate',
    header: 'Rate, Hz',
    numeric: true,
    sortable: true,
    cell: ({ statistics }) => formatNumber(statistics.rateHz, statistics.rateHz < 1000 ? 2 : 0),
  },
  { id: 'gaps', header: 'Gaps', numeric: true, sortable: true, cell: ({ statistics }) => gapsText(statistics) },
  {
    id: 'missing',
    header: 'Lost',
    numeric: true,
    sortable: true,
    cell: ({ statistics }) => formatNumber(statistics.missing),
  },
  { id: 'min', header: 'Least', numeric: true, sortable: true, cell: (row) => shown(row, row.statistics.min) },
  { id: 'mean', header: 'Mean', numeric: true, sortable: true, cell: (row) => shown(row, row.statistics.mean) },
  { id: 'max', header: 'Greatest', numeric: true, sortable: true, cell: (row) => shown(row, row.statistics.max) },
  {
    id: 'deviation',
    header: 'Deviation',
    numeric: true,
    sortable: true,
    cell: (row) => shown(row, row.statistics.deviation),
  },
  { id: 'histogram', header: 'Histogram', cell: ({ statistics }) => <Histogram statistics={statistics} /> },
];

function gapsText({ gaps, longestS }: SeriesStatistics): string {
  if (gaps === null) return '–';
  return gaps === 0 || longestS === null ? formatNumber(gaps) : `${formatNumber(gaps)}, ≤ ${spanText(longestS)}`;
}

function sortRows(
  rows: readonly StatisticsRow[],
  sort: { readonly id: string; readonly desc: boolean },
): StatisticsRow[] {
  if (sort.id === 'series' && !sort.desc) return [...rows];
  const sortedBy = ({ statistics, scale, title }: StatisticsRow): number | string => {
    const values: Readonly<Record<string, number | string>> = {
      series: title,
      count: statistics.count,
      rate: statistics.rateHz,
      gaps: statistics.gaps ?? -1,
      missing: statistics.missing ?? -1,
      min: statistics.min * scale,
      mean: statistics.mean * scale,
      max: statistics.max * scale,
      deviation: statistics.deviation * scale,
    };
    return values[sort.id] ?? 0;
  };
  return rows.toSorted((one, other) => {
    const [a, b] = [sortedBy(one), sortedBy(other)];
    const order = typeof a === 'string' || typeof b === 'string' ? String(a).localeCompare(String(b)) : a - b;
    return sort.desc ? -order : order;
  });
}

const barWidth = 3;
const histogramHeight = 26;

/** Bars whose height is the root of the count, so that rare values are seen beside frequent ones. */
function Histogram({ statistics }: { readonly statistics: SeriesStatistics }) {
  const { histogram, histogramOf } = statistics;
  if (histogram.length === 0) return '–';
  const most = Math.sqrt(Math.max(...histogram, 1));
  const words = {
    values: 'values from least to greatest',
    means: 'means of each second',
    levels: 'levels of each second, dB',
  }[histogramOf];
  return (
    <svg
      className="bag-histogram"
      width={histogram.length * barWidth}
      height={histogramHeight}
      role="img"
      aria-label={`Histogram: ${words}`}
    >
      <title>{words}</title>
      {histogram.map((count, bin) => {
        const height = count === 0 ? 0 : Math.max(1, (Math.sqrt(count) / most) * histogramHeight);
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: a bar is its place
          <rect key={bin} x={bin * barWidth} y={histogramHeight - height} width={barWidth - 0.5} height={height} />
        );
      })}
    </svg>
  );
}
