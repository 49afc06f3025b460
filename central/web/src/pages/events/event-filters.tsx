/** The filters above the table of events. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { vehiclesQuery } from '../../api/queries.ts';
import { Icon } from '../../components/icon.tsx';
import { eventKinds, kindTitle } from '../../format/event-words.ts';
import { fromLocalField, toLocalField } from '../../format/format-time.ts';
import { labelTitle } from '../../format/format-value.ts';
import { type EventSearch, isFiltered } from './event-search.ts';

interface EventFiltersProps {
  readonly search: EventSearch;
  /** Called with what changes; the page starts again at the first one. */
  readonly onChange: (change: Partial<EventSearch>) => void;
  readonly onReset: () => void;
}

const labels = ['body_impact', 'glass_break', 'snapshot', 'smoke', 'bad_air', 'model_drift'];

function localField(at: string): string {
  return at === '' ? '' : toLocalField(new Date(at));
}

export function EventFilters({ search, onChange, onReset }: EventFiltersProps) {
  const [open, setOpen] = useState(() => isFiltered(search));
  const vehicles = useQuery(vehiclesQuery());
  const known = vehicles.data?.vehicles.map(({ id }) => id) ?? [];
  const vehicleChoices = search.vehicle && !known.includes(search.vehicle) ? [search.vehicle, ...known] : known;
  const labelChoices = search.label && !labels.includes(search.label) ? [...labels, search.label] : labels;
  return (
    <search className={open ? 'filters' : 'filters filters-closed'} aria-label="Filter events">
      {/* Narrow screens show the filters only when asked. */}
      <button type="button" className="button filters-toggle" aria-expanded={open} onClick={() => setOpen(!open)}>
        {isFiltered(search) ? 'Filters (set)' : 'Filters'}
        <Icon name={open ? 'up' : 'down'} size={13} />
      </button>
      <label className="field">
        <span>Vehicle</span>
        <select value={search.vehicle} onChange={(change) => onChange({ vehicle: change.target.value })}>
          <option value="">All vehicles</option>
          {vehicleChoices.map((id) => (
            <option key={id} value={id}>
              {id}
            </option>
          ))}
        </select>
      </label>
      <label className="field">
        <span>Kind</span>
        <select
          value={search.kind}
          onChange={(change) => onChange({ kind: change.target.value as EventSearch['kind'] })}
        >
          <option value="">All kinds</option>
          {eventKinds.map((kind) => (
            <option key={kind} value={kind}>
              {kindTitle(kind)}
            </option>
          ))}
        </select>
      </label>
      <label className="field">
        <span>Label</span>
        <select value={search.label} onChange={(change) => onChange({ label: change.target.value })}>
          <option value="">All labels</option>
          {labelChoices.map((label) => (
            <option key={label} value={label}>
              {labelTitle(label)}
            </option>
          ))}
        </select>
      </label>
      <label className="field">
        <span>
          Score at least <span className="number">{search.minScore.toFixed(2)}</span>
        </span>
        <input
          type="range"
          min={0}
          max={1}
          step={0.05}
          value={search.minScore}
          onChange={(change) => onChange({ minScore: Number(change.target.value) })}
        />
      </label>
      <label className="field">
        <span>From</span>
        <input
          type="datetime-local"
          step={1}
          value={localField(search.from)}
          onChange={(change) => onChange({ from: fromLocalField(change.target.value) ?? '' })}
        />
      </label>
      <label className="field">
        <span>To</span>
        <input
          type="datetime-local"
          step={1}
          value={localField(search.to)}
          onChange={(change) => onChange({ to: fromLocalField(change.target.value) ?? '' })}
        />
      </label>
      <button type="button" className="button" disabled={!isFiltered(search)} onClick={onReset}>
        Clear filters
      </button>
    </search>
  );
}
