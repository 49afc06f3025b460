/** A point in time: in the viewer's zone, exact UTC on hover. */
import { formatAgo, formatClock, formatDate, formatUtc } from '../format/format-time.ts';
import { useNow } from './use-now.ts';

interface MomentProps {
  /** RFC 3339; null shows a dash. */
  readonly at: string | null | undefined;
  /** Nanoseconds since 1970, decimal, for the exact UTC. */
  readonly ns?: string | undefined;
}

/** `2026-05-03 14:05:09.123` */
export function Moment({ at, ns, milliseconds = false }: MomentProps & { readonly milliseconds?: boolean }) {
  if (!at) return <span className="faint">–</span>;
  const date = new Date(at);
  return (
    <time className="moment" dateTime={at} title={formatUtc(date, ns)}>
      <span className="moment-date">{formatDate(date)}</span> {formatClock(date, milliseconds)}
    </time>
  );
}

/** `12 s ago`, counting. */
export function Ago({ at, ns, never = 'never' }: MomentProps & { readonly never?: string }) {
  const nowMs = useNow();
  if (!at) return <span className="faint">{never}</span>;
  const date = new Date(at);
  return (
    <time className="nowrap" dateTime={at} title={formatUtc(date, ns)}>
      {formatAgo(date, new Date(nowMs))}
    </time>
  );
}
