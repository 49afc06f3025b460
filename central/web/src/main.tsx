/** Starts the dashboard in the page's `#root`. */
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { ApiError } from './api/api-error.ts';
import { LiveProvider } from './api/live-context.tsx';
import { App } from './app.tsx';
import { LocalBag, localBagPath } from './local-bag.tsx';
import './styles/tokens.css';
import './styles/base.css';
import './styles/controls.css';
import './styles/components.css';
import './styles/fleet-and-charts.css';
import './styles/events.css';
import './styles/findings.css';

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      retry: (failures, error) => failures < 1 && (!(error instanceof ApiError) || error.retryable),
      retryDelay: 700,
      // "Offline" browsers still reach a service on their own network; an error says more than an endless wait.
      networkMode: 'always',
    },
  },
});

const root = document.getElementById('root');
if (root === null) throw new Error('expected an element #root in index.html, found none');
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      {location.pathname === localBagPath ? (
        <LocalBag />
      ) : (
        <LiveProvider>
          <App />
        </LiveProvider>
      )}
    </QueryClientProvider>
  </StrictMode>,
);
