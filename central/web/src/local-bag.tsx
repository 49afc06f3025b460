/** The page of `fender bag view`: one bag from this computer, without a central service around it. */
import { lazy, Suspense, useEffect, useState } from 'react';
import type { BagSource } from './bag/view/bag-viewer.tsx';
import { ErrorBoundary } from './components/error-boundary.tsx';
import { ThemeButton } from './components/header.tsx';
import { PageTitle } from './components/page-title.tsx';
import { Failed, Loading } from './components/states.tsx';
import { formatZone } from './format/format-time.ts';

/** Where it lives. */
export const localBagPath = '/bag';

const loadViewer = () => import('./bag/view/bag-viewer.tsx').then((viewer) => ({ default: viewer.BagViewer }));
const BagViewer = lazy(loadViewer);

export function LocalBag() {
  const [source, setSource] = useState<BagSource | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  useEffect(() => {
    // Its code comes while the server is asked.
    void loadViewer();
    readSource().then(setSource, setFailure);
  }, []);
  return (
    <>
      <a className="skip-link" href="#main">
        Skip to the content
      </a>
      <header className="header">
        <div className="header-inner">
          <span className="brand">
            <img src="/favicon.svg" alt="" width="26" height="26" />
            <span className="brand-name">Fender</span>
          </span>
          <div className="header-end">
            <ThemeButton />
          </div>
        </div>
      </header>
      <main id="main" tabIndex={-1} className="main">
        <ErrorBoundary>
          <PageTitle title={source?.name ?? 'Bag'} />
          {failure !== null && <Failed what="the bag" error={failure} retry={() => location.reload()} />}
          <Suspense fallback={<Loading what="the viewer" rows={5} />}>
            {source === null ? failure === null && <Loading what="the bag" rows={5} /> : <BagViewer source={source} />}
          </Suspense>
        </ErrorBoundary>
      </main>
      <footer className="footer">
        <span>Times in {formatZone(new Date())}</span>
        <span>Read from this computer; nothing is sent anywhere</span>
      </footer>
    </>
  );
}

async function readSource(): Promise<BagSource> {
  const response = await fetch('/api/bag').catch(() => null);
  if (response === null) throw new Error('`fender bag view` does not answer. Is it still running?');
  if (!response.ok) throw new Error('This page belongs to `fender bag view`; a central service shows bags at /bags.');
  return (await response.json()) as BagSource;
}
