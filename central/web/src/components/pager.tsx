/** Pages of a list: where one is, and the ways to the others. */

import { formatNumber } from '../format/format-value.ts';
import { Icon } from './icon.tsx';

interface PagerProps {
  readonly total: number;
  readonly offset: number;
  readonly limit: number;
  /** `events`: what is counted. */
  readonly what: string;
  readonly limits: readonly number[];
  readonly onPage: (offset: number) => void;
  readonly onLimit: (limit: number) => void;
}

export function Pager({ total, offset, limit, what, limits, onPage, onLimit }: PagerProps) {
  const page = Math.floor(offset / limit) + 1;
  const pages = Math.max(1, Math.ceil(total / limit));
  const first = Math.min(total, offset + 1);
  const last = Math.min(total, offset + limit);
  return (
    <nav className="pager" aria-label={`Pages of ${what}`}>
      <p className="pager-range" aria-live="polite">
        {formatNumber(first)}–{formatNumber(last)} of {formatNumber(total)} {what}
      </p>
      <label className="pager-limit">
        <span>Rows</span>
        <select value={limit} onChange={(change) => onLimit(Number(change.target.value))}>
          {limits.map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </select>
      </label>
      <span className="pager-buttons">
        <button type="button" className="button" disabled={page <= 1} onClick={() => onPage(offset - limit)}>
          <Icon name="back" />
          <span className="button-text">Previous</span>
        </button>
        <span className="pager-place">
          Page {formatNumber(page)} of {formatNumber(pages)}
        </span>
        <button type="button" className="button" disabled={page >= pages} onClick={() => onPage(offset + limit)}>
          <span className="button-text">Next</span>
          <Icon name="forward" />
        </button>
      </span>
    </nav>
  );
}
