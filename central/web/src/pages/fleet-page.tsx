/** The fleet: all vehicles with their state and newest values, as cards or as a table, and the newest events. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import { eventsQuery, vehiclesQuery } from '../api/queries.ts';
import type { Vehicle } from '../api/types.ts';
import { EventList } from '../components/event-list.tsx';
import { PageTitle } from '../components/page-title.tsx';
import { Empty, QueryView } from '../components/states.tsx';
import { formatNumber } from '../format/format-value.ts';
import { FleetTable } from './fleet/fleet-table.tsx';
import { VehicleCard } from './fleet/vehicle-card.tsx';

/** Cards ask for live values and history each, so only a screenful is shown at once. */
const cardLimit = 12;
/** Fewer vehicles than this are found by looking. */
const searchFrom = 6;

export function FleetPage() {
  const vehicles = useQuery(vehiclesQuery());
  return (
    <>
      <PageTitle title="Fleet" />
      <div className="fleet-columns">
        <section aria-label="Vehicles">
          <QueryView query={vehicles} what="the fleet" rows={6}>
            {(data) => <Vehicles vehicles={data.vehicles} />}
          </QueryView>
        </section>
        <NewestImpacts />
      </div>
    </>
  );
}

function Vehicles({ vehicles }: { readonly vehicles: readonly Vehicle[] }) {
  const [search, setSearch] = useState('');
  const [asked, setAsked] = useState<'cards' | 'table' | null>(null);
  const [cards, setCards] = useState(cardLimit);
  if (vehicles.length === 0) {
    return (
      <Empty title="No vehicle has reported yet">
        <p>
          Start an agent whose <code>central</code> address points here; it appears as soon as it connects.
        </p>
      </Empty>
    );
  }
  const view = asked ?? (vehicles.length > cardLimit ? 'table' : 'cards');
  const words = search.trim().toLowerCase();
  const found = vehicles.filter(({ id }) => id.toLowerCase().includes(words));
  return (
    <>
      <FleetSummary vehicles={vehicles} />
      {vehicles.length > 1 && (
        <div className="toolbar">
          {vehicles.length >= searchFrom && (
            <label className="field field-grow">
              <span>Find a vehicle</span>
              <input type="search" value={search} onChange={(change) => setSearch(change.target.value)} />
            </label>
          )}
          <fieldset className="segments">
            <legend className="visually-hidden">Show as</legend>
            {(['cards', 'table'] as const).map((one) => (
              <label key={one}>
                <input type="radio" name="fleet-view" checked={view === one} onChange={() => setAsked(one)} />
                <span>{one === 'cards' ? 'Cards' : 'Table'}</span>
              </label>
            ))}
          </fieldset>
        </div>
      )}
      {found.length === 0 && <Empty title={`No vehicle's name contains “${search.trim()}”`} />}
      {view === 'table' && found.length > 0 && <FleetTable vehicles={found} />}
      {view === 'cards' && (
        <ul className="cards">
          {found.slice(0, cards).map((vehicle) => (
            <li key={vehicle.id}>
              <VehicleCard vehicle={vehicle} />
            </li>
          ))}
        </ul>
      )}
      {view === 'cards' && found.length > cards && (
        <button type="button" className="button" onClick={() => setCards(cards + cardLimit)}>
          Show more ({formatNumber(found.length - cards)} left)
        </button>
      )}
    </>
  );
}

function FleetSummary({ vehicles }: { readonly vehicles: readonly Vehicle[] }) {
  const online = vehicles.filter((vehicle) => vehicle.online).length;
  const events = vehicles.reduce((sum, vehicle) => sum + vehicle.event_count, 0);
  const troubled = vehicles.filter(({ diagnostics }) => diagnostics.error + diagnostics.warn > 0).length;
  return (
    <dl className="tiles">
      <div>
        <dt>Vehicles online</dt>
        <dd>
          {formatNumber(online)} <small>of {formatNumber(vehicles.length)}</small>
        </dd>
      </div>
      <div>
        <dt>Events</dt>
        <dd>{formatNumber(events)}</dd>
      </div>
      <div className={troubled > 0 ? 'tile-attention' : undefined}>
        <dt>Need attention</dt>
        <dd>
          {formatNumber(troubled)} <small>{troubled === 1 ? 'vehicle' : 'vehicles'}</small>
        </dd>
      </div>
    </dl>
  );
}

function NewestImpacts() {
  const events = useQuery(eventsQuery({ sort: 'captured_at', order: 'desc', limit: 10, offset: 0 }));
  return (
    <section className="panel" aria-labelledby="newest-impacts">
      <div className="panel-head">
        <h2 id="newest-impacts">Newest events</h2>
        <Link href="/events">All events</Link>
      </div>
      <QueryView query={events} what="the newest events" rows={5}>
        {(data) => <EventList events={data.events} showVehicle />}
      </QueryView>
    </section>
  );
}
