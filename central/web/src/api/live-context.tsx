/** Gives every component the live feed's state, samples and impacts. */
import { useQueryClient } from '@tanstack/react-query';
import { createContext, type ReactNode, useContext, useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import { createLiveBridge } from './live-bridge.ts';
import { LiveFeed, type LiveState } from './live-feed.ts';
import { type LivePoint, LiveStore } from './live-store.ts';
import type { ImpactEvent } from './types.ts';

const LiveContext = createContext<{ feed: LiveFeed; store: LiveStore } | null>(null);

function useLive(): { feed: LiveFeed; store: LiveStore } {
  const live = useContext(LiveContext);
  if (live === null) throw new Error('expected a LiveProvider above, found none');
  return live;
}

export function LiveProvider({ children }: { readonly children: ReactNode }) {
  const client = useQueryClient();
  const [live] = useState(() => ({ feed: new LiveFeed(), store: new LiveStore() }));
  useEffect(() => {
    const ended = new AbortController();
    const unlisten = live.feed.listen(createLiveBridge(client, live.store));
    void live.feed.run(ended.signal);
    return () => {
      unlisten();
      ended.abort();
    };
  }, [client, live]);
  return <LiveContext value={live}>{children}</LiveContext>;
}

export function useLiveState(): LiveState {
  const { feed } = useLive();
  return useSyncExternalStore(
    (changed) => feed.watchState(changed),
    () => feed.state,
  );
}

/** The samples of one stream since the page was opened, oldest first. */
export function useLivePoints(vehicle: string, stream: string): readonly LivePoint[] {
  const { store } = useLive();
  const subscribe = useMemo(() => (changed: () => void) => store.subscribe(changed), [store]);
  return useSyncExternalStore(subscribe, () => store.points(vehicle, stream));
}

/** Impacts that arrived since the page was opened, newest first. */
export function useLiveImpacts(): readonly ImpactEvent[] {
  const { store } = useLive();
  const subscribe = useMemo(() => (changed: () => void) => store.subscribe(changed), [store]);
  return useSyncExternalStore(subscribe, () => store.impacts);
}
