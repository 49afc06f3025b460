/** The one time cursor that all charts of a page share. */
import { createContext, type ReactNode, useContext, useMemo, useState, useSyncExternalStore } from 'react';

class CursorStore {
  #at: number | null = null;
  readonly #watchers = new Set<() => void>();

  get at(): number | null {
    return this.#at;
  }

  /** Moves the cursor to a time in the charts' unit, or takes it away. */
  move(at: number | null): void {
    if (this.#at === at) return;
    this.#at = at;
    for (const changed of this.#watchers) changed();
  }

  subscribe(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }
}

const CursorContext = createContext<CursorStore | null>(null);

export function CursorProvider({ children }: { readonly children: ReactNode }) {
  const [store] = useState(() => new CursorStore());
  return <CursorContext value={store}>{children}</CursorContext>;
}

/** Where the shared cursor is (null: nowhere), and how to move it. */
export function useCursor(): readonly [number | null, (at: number | null) => void] {
  const store = useContext(CursorContext);
  if (store === null) throw new Error('expected a CursorProvider above, found none');
  const subscribe = useMemo(() => (changed: () => void) => store.subscribe(changed), [store]);
  const at = useSyncExternalStore(subscribe, () => store.at);
  return [at, (next) => store.move(next)];
}
