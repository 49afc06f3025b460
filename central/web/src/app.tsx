/** The frame around every page and the way from an address to its page; pages are loaded when they are opened. */
import { lazy, Suspense, useEffect, useState } from 'react';
import { Route, Switch, useLocation } from 'wouter';
import { ErrorBoundary } from './components/error-boundary.tsx';
import { Header } from './components/header.tsx';
import { Loading } from './components/states.tsx';
import { Toasts } from './components/toasts.tsx';
import { formatZone } from './format/format-time.ts';
import { FleetPage } from './pages/fleet-page.tsx';
import { NotFoundPage } from './pages/not-found-page.tsx';

const VehiclePage = lazy(() => import('./pages/vehicle-page.tsx').then((page) => ({ default: page.VehiclePage })));
const EventsPage = lazy(() => import('./pages/events-page.tsx').then((page) => ({ default: page.EventsPage })));
const EventPage = lazy(() => import('./pages/event-page.tsx').then((page) => ({ default: page.EventPage })));
const BagsPage = lazy(() => import('./pages/bags-page.tsx').then((page) => ({ default: page.BagsPage })));

const noticesKey = 'fender.notices';

export function App() {
  const [path] = useLocation();
  const [notices, setNotices] = useStoredSwitch(noticesKey, true);
  useEffect(() => {
    // A changed path is another page; changed filters (the query string) are not.
    if (path) scrollTo(0, 0);
  }, [path]);
  return (
    <>
      <a className="skip-link" href="#main">
        Skip to the content
      </a>
      <Header notices={notices} onNotices={setNotices} />
      <main id="main" tabIndex={-1} className="main">
        <ErrorBoundary key={path}>
          <Suspense fallback={<Loading what="the page" rows={5} />}>
            <Switch>
              <Route path="/">
                <FleetPage />
              </Route>
              <Route path="/vehicles/:id">{({ id }) => <VehiclePage key={id} id={id} />}</Route>
              <Route path="/events">
                <EventsPage />
              </Route>
              <Route path="/events/:id">{({ id }) => <EventPage key={id} id={id} />}</Route>
              <Route path="/bags">
                <BagsPage />
              </Route>
              <Route>
                <NotFoundPage />
              </Route>
            </Switch>
          </Suspense>
        </ErrorBoundary>
      </main>
      <footer className="footer">
        <span>Times in {formatZone(new Date())}; hover for exact UTC</span>
        <a href="/api/openapi.json">API</a>
      </footer>
      <Toasts enabled={notices} />
    </>
  );
}

/** A yes or no kept in this browser; `initial` until it is first set. */
function useStoredSwitch(key: string, initial: boolean): [boolean, (on: boolean) => void] {
  const [on, setOn] = useState(() => {
    try {
      return (localStorage.getItem(key) ?? String(initial)) === 'true';
    } catch {
      return initial;
    }
  });
  const set = (next: boolean) => {
    setOn(next);
    try {
      localStorage.setItem(key, String(next));
    } catch {
      // Without storage the choice holds for this page.
    }
  };
  return [on, set];
}
