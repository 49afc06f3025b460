/** The ledger of a vehicle, per stream: records held, missing, declared dropped, seen twice. */
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { ledgerQuery } from '../../api/queries.ts';
import type { Ledger, LedgerStream } from '../../api/types.ts';
import { DataTable, type TableColumn } from '../../components/data-table.tsx';
import { Empty, QueryView } from '../../components/states.tsx';
import { streamTitle } from '../../format/field-catalogue.ts';
import { countRanges, formatNumber } from '../../format/format-value.ts';

interface LedgerRow {
  readonly stream: string;
  readonly epoch: string;
  readonly held: number;
  readonly missing: number;
  readonly missingRanges: string;
  readonly dropped: number;
  readonly reasons: string;
  readonly duplicates: number;
}

function rangesText(ranges: LedgerStream['missing']): string {
  const shown = ranges
    .slice(0, 5)
    .map(([first, last]) => (String(first) === String(last) ? `${first}` : `${first}–${last}`));
  return shown.join(', ') + (ranges.length > 5 ? ` and ${ranges.length - 5} more ranges` : '');
}

/** `Declared given up: 3 recording segments (retention), 1 clip (not-recorded).` */
function filesText(files: Ledger['files']): string {
  const counts = new Map<string, number>();
  for (const { name, first, last, reason } of files) {
    const isRecording = name.startsWith('recording/');
    const what = isRecording ? 'recording segments' : name.startsWith('clip/') ? 'clips not made' : 'files not sent';
    const key = `${what} (${reason})`;
    counts.set(key, (counts.get(key) ?? 0) + (isRecording ? last - first + 1 : 1));
  }
  return `The vehicle gave up: ${[...counts].map(([what, count]) => `${formatNumber(count)} ${what}`).join(', ')}.`;
}

function rowOf(entry: LedgerStream): LedgerRow {
  return {
    stream: entry.stream,
    epoch: String(entry.epoch),
    held: countRanges(entry.held),
    missing: countRanges(entry.missing),
    missingRanges: rangesText(entry.missing),
    dropped: countRanges(entry.dropped.map(({ first, last }) => [first, last] as const)),
    reasons: [...new Set(entry.dropped.map(({ reason }) => reason))].join(', '),
    duplicates: entry.duplicates,
  };
}

const columns: readonly TableColumn<LedgerRow>[] = [
  {
    id: 'stream',
    header: 'Stream',
    plain: true,
    sortable: true,
    cell: ({ stream }) => <span title={stream}>{streamTitle(stream)}</span>,
  },
  {
    id: 'epoch',
    header: 'Epoch',
    cell: ({ epoch }) => <code title={epoch}>{epoch.length > 10 ? `${epoch.slice(0, 8)}…` : epoch}</code>,
  },
  { id: 'held', header: 'Held', sortable: true, numeric: true, cell: ({ held }) => formatNumber(held) },
  {
    id: 'missing',
    header: 'Missing',
    sortable: true,
    numeric: true,
    cell: ({ missing, missingRanges }) => (
      <span className={missing > 0 ? 'bad' : 'faint'} title={missingRanges}>
        {formatNumber(missing)}
      </span>
    ),
  },
  {
    id: 'dropped',
    header: 'Declared dropped',
    sortable: true,
    numeric: true,
    cell: ({ dropped, reasons }) => (
      <span className={dropped > 0 ? undefined : 'faint'}>
        {formatNumber(dropped)}
        {reasons !== '' && <small> ({reasons})</small>}
      </span>
    ),
  },
  {
    id: 'duplicates',
    header: 'Seen twice',
    sortable: true,
    numeric: true,
    cell: ({ duplicates }) => <span className={duplicates > 0 ? undefined : 'faint'}>{formatNumber(duplicates)}</span>,
  },
];

export function LedgerSummary({ vehicle }: { readonly vehicle: string }) {
  const ledger = useQuery(ledgerQuery(vehicle));
  return (
    <QueryView query={ledger} what="the ledger" rows={5}>
      {(data) => <LedgerTable ledger={data} />}
    </QueryView>
  );
}

function LedgerTable({ ledger }: { readonly ledger: Ledger }) {
  const [sort, setSort] = useState({ id: 'stream', desc: false });
  const rows = useMemo(() => sortRows(ledger.streams.map(rowOf), sort), [ledger, sort]);
  if (rows.length === 0) return <Empty title="Nothing has arrived yet" />;
  const missing = rows.reduce((sum, row) => sum + row.missing, 0);
  const held = rows.reduce((sum, row) => sum + row.held, 0);
  return (
    <>
      <p className="ledger-verdict">
        {formatNumber(held)} records held.{' '}
        {missing === 0 ? (
          <span className="good">Nothing is missing.</span>
        ) : (
          <span className="bad">{formatNumber(missing)} are missing and not explained.</span>
        )}
      </p>
      {ledger.files.length > 0 && <p className="ledger-files faint">{filesText(ledger.files)}</p>}
      <DataTable
        caption="Ledger by stream"
        columns={columns}
        rows={rows}
        rowId={(row) => `${row.epoch} ${row.stream}`}
        sort={sort}
        onSort={(id, desc) => setSort({ id, desc })}
      />
    </>
  );
}

function sortRows(rows: readonly LedgerRow[], sort: { readonly id: string; readonly desc: boolean }): LedgerRow[] {
  const sign = sort.desc ? -1 : 1;
  return rows.toSorted((one, other) => {
    const a = one[sort.id as keyof LedgerRow];
    const b = other[sort.id as keyof LedgerRow];
    const order = typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b));
    return sign * order || one.stream.localeCompare(other.stream);
  });
}
