/** The bar on top of every page: where one is, whether the live connection stands, the last impact, theme and notices. */
import { useEffect, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { useLiveImpacts, useLiveState } from '../api/live-context.tsx';
import { labelTitle } from '../format/format-value.ts';
import { chooseTheme, type ThemeChoice, useThemeChoice } from '../theme/use-theme.ts';
import { Icon, type IconName } from './icon.tsx';
import { Ago } from './moment.tsx';

const pages = [
  { href: '/', title: 'Fleet', isHere: (path: string) => path === '/' || path.startsWith('/vehicles') },
  { href: '/events', title: 'Events', isHere: (path: string) => path.startsWith('/events') },
  { href: '/bags', title: 'Bags', isHere: (path: string) => path.startsWith('/bags') },
] as const;

export function Header({
  notices,
  onNotices,
}: {
  readonly notices: boolean;
  readonly onNotices: (on: boolean) => void;
}) {
  const [path] = useLocation();
  return (
    <header className="header">
      <div className="header-inner">
        <Link href="/" className="brand" aria-label="Fender, to the fleet">
          <img src="/favicon.svg" alt="" width="26" height="26" />
          <span className="brand-name">Fender</span>
        </Link>
        <nav className="nav" aria-label="Pages">
          {pages.map(({ href, title, isHere }) => (
            <Link key={href} href={href} className="nav-link" {...(isHere(path) ? { 'aria-current': 'page' } : {})}>
              {title}
            </Link>
          ))}
        </nav>
        <div className="header-end">
          <LastImpact />
          <ConnectionState />
          <button
            type="button"
            className="icon-button"
            aria-pressed={notices}
            aria-label="Notices of impacts"
            title={notices ? 'Notices of impacts are on' : 'Notices of impacts are off'}
            onClick={() => onNotices(!notices)}
          >
            <Icon name={notices ? 'bell' : 'bellOff'} size={18} />
          </button>
          <ThemeButton />
        </div>
      </div>
    </header>
  );
}

function LastImpact() {
  const [impact] = useLiveImpacts();
  if (!impact) return null;
  return (
    <Link key={impact.id} href={`/events/${encodeURIComponent(impact.id)}`} className="last-impact">
      <span className="pulse" aria-hidden="true" />
      <span>
        {labelTitle(impact.label)} <Ago at={impact.captured_at} ns={impact.captured_at_ns} />
      </span>
    </Link>
  );
}

const stateWords = {
  connecting: { short: 'Connecting', long: 'Connecting to the central service' },
  open: { short: 'Live', long: 'Live: connected to the central service' },
  lost: { short: 'Connection lost', long: 'Connection to the central service lost, trying again' },
} as const;

function ConnectionState() {
  const state = useLiveState();
  const slow = useSlowly(state, 300);
  const { short, long } = stateWords[slow];
  return (
    <span className={`connection connection-${slow}`} role="status" title={long}>
      <span className="connection-dot" aria-hidden="true" />
      <span className="connection-text">{short}</span>
    </span>
  );
}

/** A value that changes only after it has stood for `delayMs`, so that a short interruption does not flicker. */
function useSlowly<Value>(value: Value, delayMs: number): Value {
  const [slow, setSlow] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSlow(value), delayMs);
    return () => clearTimeout(timer);
  }, [value, delayMs]);
  return slow;
}

const themes: Readonly<Record<ThemeChoice, { icon: IconName; next: ThemeChoice; words: string }>> = {
  system: { icon: 'screen', next: 'light', words: 'Theme: as the system' },
  light: { icon: 'sun', next: 'dark', words: 'Theme: light' },
  dark: { icon: 'moon', next: 'system', words: 'Theme: dark' },
};

export function ThemeButton() {
  const choice = useThemeChoice();
  const { icon, next, words } = themes[choice];
  return (
    <button type="button" className="icon-button" aria-label={words} title={words} onClick={() => chooseTheme(next)}>
      <Icon name={icon} size={18} />
    </button>
  );
}
