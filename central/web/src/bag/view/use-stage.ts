/** React's ways to a stage. */
import { useSyncExternalStore } from 'react';
import type { Stage } from './stage.ts';

/** Renders again ten times a second while the view, the cursor or the data change. */
export function useSlowly(stage: Stage): number {
  return useSyncExternalStore(stage.subscribeSlowly, () => stage.slowVersion);
}
