/** One vehicle of the fleet as a card: state, health, newest values with their last ten minutes. */
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { Link } from 'wouter';
import { latestQuery } from '../../api/queries.ts';
import type { Vehicle } from '../../api/types.ts';
import { useHistory } from '../../charts/use-history.ts';
import { LevelCounts, OnlineBadge } from '../../components/badges.tsx';
import { Ago } from '../../components/moment.tsx';
import { Sparkline } from '../../components/sparkline.tsx';
import { QueryView } from '../../components/states.tsx';
import { useNow } from '../../components/use-now.ts';
import { fieldMeaning } from '../../format/field-catalogue.ts';
import { formatBytes, formatFieldValue, formatNumber } from '../../format/format-value.ts';
import { type Glance, glanceOf, oldAfterMs } from './latest-values.ts';

export function VehicleCard({ vehicle }: { readonly vehicle: Vehicle }) {
  const latest = useQuery(latestQuery(vehicle.id));
  return (
    <article className="card" aria-label={vehicle.id}>
      <header className="card-head">
        <h2>
          <Link href={`/vehicles/${encodeURIComponent(vehicle.id)}`}>{vehicle.id}</Link>
        </h2>
        <OnlineBadge online={vehicle.online} />
      </header>
      <p className="card-health">
        <LevelCounts counts={vehicle.diagnostics} />
      </p>
      <QueryView query={latest} what={`the values of ${vehicle.id}`} rows={4}>
        {({ streams }) => {
          const glances = glanceOf(streams);
          if (glances.length === 0) return <p className="faint card-none">No measurements yet.</p>;
          return (
            <dl className="glances">
              {glances.map((glance) => (
                <GlanceRow key={glance.label} vehicle={vehicle.id} glance={glance} />
              ))}
            </dl>
          );
        }}
      </QueryView>
      <dl className="card-facts">
        <div>
          <dt>Seen</dt>
          <dd>
            <Ago at={vehicle.last_seen_at} />
          </dd>
        </div>
        <div>
          <dt>Events</dt>
          <dd>
            <Link href={`/events?vehicle=${encodeURIComponent(vehicle.id)}`}>{formatNumber(vehicle.event_count)}</Link>
          </dd>
        </div>
        <div>
          <dt>Stored</dt>
          <dd>{formatBytes(vehicle.storage_bytes)}</dd>
        </div>
        <div>
          <dt>Model</dt>
          <dd>{vehicle.model ? `${vehicle.model.name} ${vehicle.model.version}` : '–'}</dd>
        </div>
      </dl>
    </article>
  );
}

const window = { kind: 'last', spanMs: 600_000 } as const;

function GlanceRow({ vehicle, glance }: { readonly vehicle: string; readonly glance: Glance }) {
  const { stream, field, label } = glance;
  // The loudest channel changes from second to second; its line would jump. The first one stands for all.
  const drawn = field.endsWith('_dbfs') ? 'ch0_dbfs' : field;
  const fields = useMemo(() => [drawn], [drawn]);
  const { series } = useHistory(vehicle, stream, fields, window, 60);
  const old = useNow() - Date.parse(glance.at) > oldAfterMs;
  const line = series.get(drawn);
  return (
    <div className={old ? 'glance glance-old' : 'glance'}>
      <dt>{label}</dt>
      <dd className="glance-value">
        <span className="glance-number">{formatFieldValue(field, glance.value)}</span>{' '}
        <span className="unit">{fieldMeaning(field).unit}</span>
      </dd>
      <dd className="glance-line">
        {old ? (
          <span className="faint">
            <Ago at={glance.at} />
          </span>
        ) : (
          line && <Sparkline t={line.t} values={line.mean} />
        )}
      </dd>
    </div>
  );
}
