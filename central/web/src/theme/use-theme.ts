/** The viewer's theme: the system's, or the one chosen here and kept in this browser. */
import { useSyncExternalStore } from 'react';
import type { ThemeName } from './palette.ts';

export type ThemeChoice = 'system' | ThemeName;

const storageKey = 'fender.theme';
const watchers = new Set<() => void>();

function systemIsDark(): MediaQueryList {
  return matchMedia('(prefers-color-scheme: dark)');
}

function currentChoice(): ThemeChoice {
  const chosen = document.documentElement.dataset.theme;
  return chosen === 'light' || chosen === 'dark' ? chosen : 'system';
}

function subscribe(changed: () => void): () => void {
  watchers.add(changed);
  const system = systemIsDark();
  system.addEventListener('change', changed);
  return () => {
    watchers.delete(changed);
    system.removeEventListener('change', changed);
  };
}

/** Sets and stores the theme; where storage is forbidden it holds for this page. */
export function chooseTheme(choice: ThemeChoice): void {
  if (choice === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  try {
    if (choice === 'system') localStorage.removeItem(storageKey);
    else localStorage.setItem(storageKey, choice);
  } catch {
    // A private window without storage: the choice holds until the page is closed.
  }
  for (const changed of watchers) changed();
}

export function useThemeChoice(): ThemeChoice {
  return useSyncExternalStore(subscribe, currentChoice);
}

/** The theme that is shown now. */
export function useTheme(): ThemeName {
  return useSyncExternalStore(subscribe, () => {
    const choice = currentChoice();
    if (choice !== 'system') return choice;
    return systemIsDark().matches ? 'dark' : 'light';
  });
}
