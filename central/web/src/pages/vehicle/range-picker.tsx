/** The choice of what time the charts show: a running window, or a fixed one between two moments. */
import { useState } from 'react';
import type { TimeWindow } from '../../api/queries.ts';
import { toLocalField } from '../../format/format-time.ts';

const spans = [
  { spanMs: 300_000, short: '5 min', long: 'Last 5 minutes' },
  { spanMs: 900_000, short: '15 min', long: 'Last 15 minutes' },
  { spanMs: 3_600_000, short: '1 h', long: 'Last hour' },
  { spanMs: 21_600_000, short: '6 h', long: 'Last 6 hours' },
  { spanMs: 86_400_000, short: '24 h', long: 'Last 24 hours' },
  { spanMs: 604_800_000, short: '7 d', long: 'Last 7 days' },
] as const;

interface RangePickerProps {
  readonly window: TimeWindow;
  readonly onWindow: (window: TimeWindow) => void;
}

export function RangePicker({ window, onWindow }: RangePickerProps) {
  const fixed = window.kind === 'fixed';
  const openFixed = () => {
    const toMs = Date.now();
    onWindow({ kind: 'fixed', fromMs: toMs - (window.kind === 'last' ? window.spanMs : 900_000), toMs });
  };
  return (
    <div className="range">
      <fieldset className="segments">
        <legend className="visually-hidden">Time shown</legend>
        {spans.map(({ spanMs, short, long }) => (
          <label key={spanMs} title={long}>
            <input
              type="radio"
              name="range"
              checked={!fixed && window.spanMs === spanMs}
              onChange={() => onWindow({ kind: 'last', spanMs })}
              aria-label={long}
            />
            <span>{short}</span>
          </label>
        ))}
        <label title="Between two moments">
          <input type="radio" name="range" checked={fixed} onChange={openFixed} aria-label="Between two moments" />
          <span>Fixed</span>
        </label>
      </fieldset>
      {fixed && <FixedRange key={`${window.fromMs} ${window.toMs}`} window={window} onWindow={onWindow} />}
    </div>
  );
}

function FixedRange({ window, onWindow }: RangePickerProps & { readonly window: TimeWindow & { kind: 'fixed' } }) {
  const [from, setFrom] = useState(() => toLocalField(new Date(window.fromMs)));
  const [to, setTo] = useState(() => toLocalField(new Date(window.toMs)));
  const fromMs = Date.parse(from);
  const toMs = Date.parse(to);
  const wrong = !(fromMs < toMs);
  return (
    <form
      className="range-fixed"
      onSubmit={(event) => {
        event.preventDefault();
        if (!wrong) onWindow({ kind: 'fixed', fromMs, toMs });
      }}
    >
      <label className="field">
        <span>From</span>
        <input
          type="datetime-local"
          step={1}
          value={from}
          onChange={(change) => setFrom(change.target.value)}
          required
        />
      </label>
      <label className="field">
        <span>To</span>
        <input
          type="datetime-local"
          step={1}
          value={to}
          onChange={(change) => setTo(change.target.value)}
          required
          aria-invalid={wrong}
          aria-describedby="range-wrong"
        />
      </label>
      <button type="submit" className="button" disabled={wrong}>
        Show
      </button>
      <p id="range-wrong" className="field-error" role="status">
        {wrong ? 'The end must be after the beginning.' : ''}
      </p>
    </form>
  );
}
