/** What every page shows instead of data: loading, nothing there, failed (with what failed and a way to try again). */
import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { ApiError } from '../api/api-error.ts';
import { Icon } from './icon.tsx';

/** Grey bars in place of content. `what` is announced: `Loading the fleet`. */
export function Loading({ what, rows = 3 }: { readonly what: string; readonly rows?: number }) {
  return (
    <div className="loading" role="status">
      <span className="visually-hidden">Loading {what}…</span>
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the bars have no other identity
        <span key={row} className="skeleton" aria-hidden="true" />
      ))}
    </div>
  );
}

export function Empty({ title, children }: { readonly title: string; readonly children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      {children && <div className="empty-text">{children}</div>}
    </div>
  );
}

/** In one sentence why `error` happened, with the status and code that a log can be searched for. */
function explainError(error: unknown): string {
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
  if (error.status === 0)
    return 'The central service does not answer. Is it running, and is this computer on its network?';
  return `${error.message.replace(/\.?$/, '.')} (HTTP ${error.status}, ${error.code})`;
}

interface FailedProps {
  /** `the fleet`, `this event`: what could not be loaded. */
  readonly what: string;
  readonly error: unknown;
  readonly retry: () => void;
  readonly retrying?: boolean;
}

export function Failed({ what, error, retry, retrying = false }: FailedProps) {
  return (
    <div className="failed" role="alert">
      <Icon name="warning" size={20} />
      <div>
        <p className="failed-title">Could not load {what}</p>
        <p className="failed-text">{explainError(error)}</p>
        <button type="button" className="button" onClick={retry} disabled={retrying}>
          <Icon name="retry" />
          {retrying ? 'Trying…' : 'Try again'}
        </button>
      </div>
    </div>
  );
}

interface QueryViewProps<Data> {
  readonly query: UseQueryResult<Data, Error>;
  readonly what: string;
  readonly rows?: number;
  readonly children: (data: Data) => ReactNode;
}

/** The right one of loading, failed and the data; old data stays when a refresh fails, with a note that says so. */
export function QueryView<Data>({ query, what, rows, children }: QueryViewProps<Data>) {
  const retry = () => void query.refetch();
  if (query.data !== undefined) {
    return (
      <>
        {query.isError && (
          <p className="stale-note" role="status">
            <Icon name="warning" />
            <span>
              Could not refresh {what}: {explainError(query.error)} What you see may be out of date.
            </span>
            <button type="button" className="link-button" onClick={retry}>
              Try again
            </button>
          </p>
        )}
        {children(query.data)}
      </>
    );
  }
  if (query.isError) return <Failed what={what} error={query.error} retry={retry} retrying={query.isFetching} />;
  return <Loading what={what} {...(rows === undefined ? {} : { rows })} />;
}
