/**
 * A sortable table over TanStack Table: headers are buttons with `aria-sort`, and on narrow screens each row becomes a
 * card with its column names, the sort order in a list above. Sorting is done by whoever gives the rows.
 */
import { type ColumnDef, rowSortingFeature, type SortingState, tableFeatures, useTable } from '@tanstack/react-table';
import { type ReactNode, useMemo } from 'react';
import { Icon } from './icon.tsx';

const features = tableFeatures({ rowSortingFeature });

export interface TableColumn<Row> {
  readonly id: string;
  readonly header: string;
  readonly cell: (row: Row) => ReactNode;
  /** Whether the rows can be sorted by this column. */
  readonly sortable?: boolean;
  /** Numbers are set to the right. */
  readonly numeric?: boolean;
  /** Whether the value says by itself what it is, so that a card needs no caption for it. */
  readonly plain?: boolean;
}

interface DataTableProps<Row> {
  /** What the table holds, for screen readers. */
  readonly caption: string;
  readonly columns: readonly TableColumn<Row>[];
  readonly rows: readonly Row[];
  readonly rowId: (row: Row) => string;
  readonly sort: { readonly id: string; readonly desc: boolean };
  readonly onSort: (id: string, desc: boolean) => void;
  /** Rows that have just arrived. */
  readonly isFresh?: (row: Row) => boolean;
  /** Whether newer rows are on their way. */
  readonly busy?: boolean;
}

export function DataTable<Row extends object>(props: DataTableProps<Row>) {
  const { columns, rows, rowId, sort, onSort } = props;
  // TanStack Table rebuilds its models when these change identity.
  const definitions = useMemo(
    () =>
      columns.map(
        (column): ColumnDef<typeof features, Row> => ({
          id: column.id,
          header: column.header,
          accessorFn: (row: Row) => row,
          cell: ({ row }) => column.cell(row.original),
          enableSorting: column.sortable ?? false,
          sortDescFirst: true,
        }),
      ),
    [columns],
  );
  const sorting = useMemo((): SortingState => [{ id: sort.id, desc: sort.desc }], [sort.id, sort.desc]);
  const table = useTable({
    features,
    columns: definitions,
    data: rows as Row[],
    getRowId: rowId,
    manualSorting: true,
    enableSortingRemoval: false,
    state: { sorting },
    onSortingChange: (update) => {
      const [next] = typeof update === 'function' ? update(sorting) : update;
      if (next) onSort(next.id, next.desc);
    },
  });
  const columnOf = (id: string) => columns.find((column) => column.id === id);
  return (
    <div className="table-frame" aria-busy={props.busy ?? false}>
      <NarrowSort columns={columns} sort={sort} onSort={onSort} />
      {/* Explicit roles: browsers drop table semantics when rows are laid out as cards. */}
      {/* biome-ignore-start lint/a11y/noRedundantRoles: see above */}
      <table role="table" className="data-table">
        <caption className="visually-hidden">{props.caption}</caption>
        <thead role="rowgroup">
          {table.getHeaderGroups().map((group) => (
            <tr role="row" key={group.id}>
              {group.headers.map((header) => {
                const sorted = sort.id === header.id ? (sort.desc ? 'descending' : 'ascending') : 'none';
                const column = columnOf(header.id);
                return (
                  <th
                    key={header.id}
                    role="columnheader"
                    scope="col"
                    className={column?.numeric ? 'numeric' : undefined}
                    {...(column?.sortable ? { 'aria-sort': sorted } : {})}
                  >
                    {column?.sortable ? (
                      <button type="button" className="sort-button" onClick={() => header.column.toggleSorting()}>
                        <table.FlexRender header={header} />
                        <span className={sorted === 'none' ? 'sort-mark sort-mark-idle' : 'sort-mark'}>
                          <Icon name={sorted === 'ascending' ? 'up' : 'down'} size={13} />
                        </span>
                      </button>
                    ) : (
                      <table.FlexRender header={header} />
                    )}
                  </th>
                );
              })}
            </tr>
          ))}
        </thead>
        <tbody role="rowgroup">
          {table.getRowModel().rows.map((row) => (
            <tr role="row" key={row.id} className={props.isFresh?.(row.original) ? 'fresh' : undefined}>
              {row.getAllCells().map((cell) => (
                <td
                  key={cell.id}
                  role="cell"
                  data-column={cell.column.id}
                  data-header={columnOf(cell.column.id)?.plain ? undefined : columnOf(cell.column.id)?.header}
                  className={columnOf(cell.column.id)?.numeric ? 'numeric' : undefined}
                >
                  <table.FlexRender cell={cell} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {/* biome-ignore-end lint/a11y/noRedundantRoles: see above */}
    </div>
  );
}

/** The sort order as a list, for screens too narrow for a header row. */
function NarrowSort<Row>({ columns, sort, onSort }: Pick<DataTableProps<Row>, 'columns' | 'sort' | 'onSort'>) {
  const sortable = columns.filter((column) => column.sortable);
  if (sortable.length === 0) return null;
  return (
    <label className="narrow-sort">
      <span>Sort by</span>
      <select
        value={`${sort.id} ${sort.desc ? 'desc' : 'asc'}`}
        onChange={(change) => {
          const [id = '', order] = change.target.value.split(' ');
          onSort(id, order === 'desc');
        }}
      >
        {sortable.flatMap((column) => [
          <option key={`${column.id} desc`} value={`${column.id} desc`}>
            {column.header}, descending
          </option>,
          <option key={`${column.id} asc`} value={`${column.id} asc`}>
            {column.header}, ascending
          </option>,
        ])}
      </select>
    </label>
  );
}
