/** One vehicle: its state, diagnostics with cures, live charts of every field, the ledger, and its newest impacts. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import { ApiError } from '../api/api-error.ts';
import { eventsQuery, type TimeWindow, vehicleQuery } from '../api/queries.ts';
import type { VehicleDetail } from '../api/types.ts';
import { OnlineBadge } from '../components/badges.tsx';
import { EventList } from '../components/event-list.tsx';
import { MarkedHeading } from '../components/marked-heading.tsx';
import { Ago } from '../components/moment.tsx';
import { PageTitle } from '../components/page-title.tsx';
import { Empty, QueryView } from '../components/states.tsx';
import { formatBytes, formatNumber } from '../format/format-value.ts';
import { Diagnostics } from './vehicle/diagnostics.tsx';
import { LedgerSummary } from './vehicle/ledger-summary.tsx';
import { RangePicker } from './vehicle/range-picker.tsx';
import { SnapshotButton } from './vehicle/snapshot-button.tsx';
import { VehicleCharts } from './vehicle/vehicle-charts.tsx';

export function VehiclePage({ id }: { readonly id: string }) {
  const vehicle = useQuery(vehicleQuery(id));
  if (vehicle.error instanceof ApiError && vehicle.error.status === 404) {
    return (
      <>
        <PageTitle title={id} />
        <Empty title={`No vehicle is called “${id}”`}>
          <Link href="/">See the fleet</Link>
        </Empty>
      </>
    );
  }
  return (
    <>
      <p className="crumbs">
        <Link href="/">Fleet</Link>
      </p>
      <div className="title-row">
        <PageTitle title={id} />
        {vehicle.data && <OnlineBadge online={vehicle.data.online} />}
        {vehicle.data && <SnapshotButton vehicle={id} online={vehicle.data.online} />}
      </div>
      <QueryView query={vehicle} what={`the vehicle ${id}`} rows={8}>
        {(data) => <VehicleBody vehicle={data} />}
      </QueryView>
    </>
  );
}

function VehicleBody({ vehicle }: { readonly vehicle: VehicleDetail }) {
  const [window, setWindow] = useState<TimeWindow>({ kind: 'last', spanMs: 900_000 });
  return (
    <>
      <dl className="facts">
        <div>
          <dt>Last seen</dt>
          <dd>
            <Ago at={vehicle.last_seen_at} />
          </dd>
        </div>
        <div>
          <dt>Events</dt>
          <dd>{formatNumber(vehicle.event_count)}</dd>
        </div>
        <div>
          <dt>Model</dt>
          <dd>{vehicle.model ? `${vehicle.model.name} ${vehicle.model.version}` : '–'}</dd>
        </div>
        <div>
          <dt>Agent</dt>
          <dd>{vehicle.agent_version ?? '–'}</dd>
        </div>
        <div>
          <dt>Stored here</dt>
          <dd>{formatBytes(vehicle.storage_bytes)}</dd>
        </div>
      </dl>
      <div className="vehicle-columns">
        <div className="side">
          <section className="panel" aria-labelledby="diagnostics">
            <div className="panel-head">
              <MarkedHeading id="diagnostics" title="Diagnostics" items={vehicle.diagnostics} />
            </div>
            <Diagnostics diagnostics={vehicle.diagnostics} />
          </section>
          <VehicleImpacts vehicle={vehicle.id} />
        </div>
        <section className="measurements" aria-labelledby="measurements">
          <div className="section-head">
            <h2 id="measurements">Measurements</h2>
            <RangePicker window={window} onWindow={setWindow} />
          </div>
          <VehicleCharts vehicle={vehicle.id} window={window} />
        </section>
      </div>
      <section className="panel" aria-labelledby="ledger">
        <div className="panel-head">
          <h2 id="ledger">Ledger</h2>
          <span className="faint">what has arrived of all that the vehicle recorded</span>
        </div>
        <LedgerSummary vehicle={vehicle.id} />
      </section>
    </>
  );
}

function VehicleImpacts({ vehicle }: { readonly vehicle: string }) {
  const events = useQuery(eventsQuery({ vehicle, sort: 'captured_at', order: 'desc', limit: 8, offset: 0 }));
  return (
    <section className="panel" aria-labelledby="impacts">
      <div className="panel-head">
        <h2 id="impacts">Newest events</h2>
        <Link href={`/events?vehicle=${encodeURIComponent(vehicle)}`}>All of this vehicle</Link>
      </div>
      <QueryView query={events} what="this vehicle's events" rows={4}>
        {(data) => <EventList events={data.events} />}
      </QueryView>
    </section>
  );
}
