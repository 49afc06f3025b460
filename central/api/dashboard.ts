/** Serves the built dashboard at `/`, every page of it from its one document; without a build, a page that says so. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Api } from './parts.ts';

const notBuilt = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Fender</title>
<h1>The dashboard is not built</h1>
<p>Run <code>npm run build</code> in the checkout, then start central again.
The API works without it: <a href="/api/openapi.json">/api/openapi.json</a>.</p></html>
`;

function isPage(request: FastifyRequest): boolean {
  if (request.method !== 'GET' && request.method !== 'HEAD') return false;
  const path = request.url.split('?', 1)[0] ?? '';
  if (/^\/(api|assets)(\/|$)/.test(path) || path === '/healthz' || path === '/metrics') return false;
  return !/\.[a-z0-9]+$/i.test(path) || (request.headers.accept ?? '').includes('text/html');
}

/** Registers the files in `folder`; everything that is neither file nor route gets `index.html`, or a 404 in JSON. */
export async function addDashboard(api: Api, folder: string): Promise<void> {
  const built = existsSync(join(folder, 'index.html'));
  if (built) {
    await api.register(fastifyStatic, {
      root: folder,
      index: 'index.html',
      cacheControl: false,
      setHeaders(reply, path) {
        const lasting = path.includes('/assets/');
        reply.header('cache-control', lasting ? 'public, max-age=31536000, immutable' : 'no-cache');
      },
    });
  }
  api.setNotFoundHandler(async (request: FastifyRequest, reply: FastifyReply) => {
    if (isPage(request)) {
      if (built) return await reply.sendFile('index.html');
      return await reply.type('text/html; charset=utf-8').header('cache-control', 'no-store').send(notBuilt);
    }
    const message = `${request.method} ${request.url.slice(0, 200)}: no such route`;
    return await reply.code(404).send({ error: { code: 'not-found', message } });
  });
}
