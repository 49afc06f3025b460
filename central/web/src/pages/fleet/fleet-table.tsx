/** The fleet as a table, sorted in the browser. */
import { useMemo, useState } from 'react';
import { Link } from 'wouter';
import type { Vehicle } from '../../api/types.ts';
import { LevelCounts, OnlineBadge } from '../../components/badges.tsx';
import { DataTable, type TableColumn } from '../../components/data-table.tsx';
import { Ago } from '../../components/moment.tsx';
import { formatBytes, formatNumber } from '../../format/format-value.ts';

const columns: readonly TableColumn<Vehicle>[] = [
  {
    id: 'id',
    header: 'Vehicle',
    plain: true,
    sortable: true,
    cell: ({ id }) => <Link href={`/vehicles/${encodeURIComponent(id)}`}>{id}</Link>,
  },
  { id: 'online', header: 'State', plain: true, sortable: true, cell: ({ online }) => <OnlineBadge online={online} /> },
  { id: 'last_seen_at', header: 'Last seen', sortable: true, cell: (vehicle) => <Ago at={vehicle.last_seen_at} /> },
  {
    id: 'diagnostics',
    header: 'Sensors',
    plain: true,
    sortable: true,
    cell: ({ diagnostics }) => <LevelCounts counts={diagnostics} />,
  },
  {
    id: 'event_count',
    header: 'Events',
    sortable: true,
    numeric: true,
    cell: (vehicle) => (
      <Link href={`/events?vehicle=${encodeURIComponent(vehicle.id)}`}>{formatNumber(vehicle.event_count)}</Link>
    ),
  },
  {
    id: 'storage_bytes',
    header: 'Stored',
    sortable: true,
    numeric: true,
    cell: (vehicle) => formatBytes(vehicle.storage_bytes),
  },
  {
    id: 'model',
    header: 'Model',
    cell: ({ model }) => (model ? `${model.name} ${model.version}` : <span className="faint">–</span>),
  },
  { id: 'agent_version', header: 'Agent', cell: (vehicle) => vehicle.agent_version ?? '–' },
];

const sortKeys: Readonly<Record<string, (vehicle: Vehicle) => string | number>> = {
  id: ({ id }) => id,
  online: ({ online }) => Number(online),
  last_seen_at: (vehicle) => Date.parse(vehicle.last_seen_at ?? '') || 0,
  diagnostics: ({ diagnostics }) => diagnostics.error * 1e6 + diagnostics.warn * 1e3 + diagnostics.stale,
  event_count: (vehicle) => vehicle.event_count,
  storage_bytes: (vehicle) => vehicle.storage_bytes,
};

/** The vehicles ordered by one column; equal ones by their name. */
function sortVehicles(vehicles: readonly Vehicle[], id: string, desc: boolean): Vehicle[] {
  const key = sortKeys[id] ?? (({ id: name }: Vehicle) => name);
  return vehicles.toSorted((one, other) => {
    const [a, b] = [key(one), key(other)];
    const order = typeof a === 'string' ? a.localeCompare(String(b), 'en', { numeric: true }) : a - Number(b);
    return (desc ? -order : order) || one.id.localeCompare(other.id, 'en', { numeric: true });
  });
}

export function FleetTable({ vehicles }: { readonly vehicles: readonly Vehicle[] }) {
  const [sort, setSort] = useState({ id: 'id', desc: false });
  const rows = useMemo(() => sortVehicles(vehicles, sort.id, sort.desc), [vehicles, sort]);
  return (
    <DataTable
      caption="Vehicles"
      columns={columns}
      rows={rows}
      rowId={({ id }) => id}
      sort={sort}
      onSort={(id, desc) => setSort({ id, desc })}
    />
  );
}
