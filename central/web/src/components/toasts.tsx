/** Notices of events as they arrive: at most three, gone after some seconds, announced politely. */
import { useEffect, useRef, useState } from 'react';
import { Link } from 'wouter';
import { useLiveImpacts } from '../api/live-context.tsx';
import type { ImpactEvent } from '../api/types.ts';
import { EventScore, LabelChip } from './badges.tsx';
import { ClockMark } from './clock-mark.tsx';
import { Icon } from './icon.tsx';
import { Ago } from './moment.tsx';

const shownMs = 9_000;
const limit = 3;

export function Toasts({ enabled }: { readonly enabled: boolean }) {
  const impacts = useLiveImpacts();
  const seen = useRef(new Set<string>());
  const [shown, setShown] = useState<readonly ImpactEvent[]>([]);
  useEffect(() => {
    const fresh = impacts.filter(({ id }) => !seen.current.has(id));
    for (const { id } of fresh) seen.current.add(id);
    if (enabled && fresh.length > 0) setShown((before) => [...fresh, ...before].slice(0, limit));
  }, [impacts, enabled]);
  const dismiss = (id: string) => setShown((before) => before.filter((one) => one.id !== id));
  return (
    <section className="toasts" aria-label="New events" aria-live="polite">
      {shown.map((impact) => (
        <Toast key={impact.id} impact={impact} dismiss={dismiss} />
      ))}
    </section>
  );
}

function Toast({ impact, dismiss }: { readonly impact: ImpactEvent; readonly dismiss: (id: string) => void }) {
  const [held, setHeld] = useState(false);
  useEffect(() => {
    if (held) return;
    const timer = setTimeout(() => dismiss(impact.id), shownMs);
    return () => clearTimeout(timer);
  }, [held, impact.id, dismiss]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: hovering and focusing only hold the notice
    <div
      className="toast"
      onMouseEnter={() => setHeld(true)}
      onMouseLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
    >
      <div className="toast-text">
        <p className="cluster">
          <LabelChip label={impact.label} />
          {impact.kind === 'impact' && impact.model !== null && <EventScore event={impact} />}
          <ClockMark clock={impact.clock} original={impact.original_captured_at} />
        </p>
        <p className="toast-where">
          {impact.vehicle}, <Ago at={impact.captured_at} ns={impact.captured_at_ns} />
        </p>
      </div>
      <Link href={`/events/${encodeURIComponent(impact.id)}`} className="button" onClick={() => dismiss(impact.id)}>
        Open
      </Link>
      <button type="button" className="icon-button" aria-label="Dismiss" onClick={() => dismiss(impact.id)}>
        <Icon name="close" />
      </button>
    </div>
  );
}
