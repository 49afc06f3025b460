/** The page of `fender bag view`: one bag from this computer, without a central service around it. */
import { type ComponentType, useEffect, useState } from 'react';
import { BagClient } from './bag/view/bag-client.ts';
import type { BagSource, OpenBagProps } from './bag/view/bag-viewer.tsx';
import { ErrorBoundary } from './components/error-boundary.tsx';
import { ThemeButton } from './components/header.tsx';
import { PageTitle } from './components/page-title.tsx';
import { Failed, Loading } from './components/states.tsx';
import { zoneName } from './format/format-time.ts';

/** Where it lives. */
export const localBagPath = '/bag';

export function LocalBag() {
  const [bag, setBag] = useState<{ readonly name: string; readonly client: BagClient } | null>(null);
  // Not `lazy`: React holds what was suspended back for a third of a second.
  const [viewer, setViewer] = useState<{ readonly OpenBag: ComponentType<OpenBagProps> } | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  useEffect(() => {
    // The reader starts, and the viewer's code comes, while the server is asked.
    const client = new BagClient();
    readSource().then(({ name, files }) => {
      client.open(name, files);
      setBag({ name, client });
    }, setFailure);
    import('./bag/view/bag-viewer.tsx').then(setViewer, setFailure);
    return () => client.close();
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
          <PageTitle title={bag?.name ?? 'Bag'} />
          {failure !== null ? (
            <Failed what="the bag" error={failure} retry={() => location.reload()} />
          ) : bag !== null && viewer !== null ? (
            <viewer.OpenBag client={bag.client} />
          ) : (
            <Loading what="the bag" rows={5} />
          )}
        </ErrorBoundary>
      </main>
      <footer className="footer">
        <span>Times in {zoneName()}; hover for exact UTC</span>
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
