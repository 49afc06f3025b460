/**
 * Owns `fender bag view`: a small HTTP server, for this computer alone, that gives a browser the built dashboard and the files of
 * one bag in byte ranges. It never reads into the files itself.
 */

import { open, readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, extname, join, normalize } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** The address that is listened on. */
const host = '127.0.0.1';
const page = '/bag';

export interface BagViewOptions {
  /** What is shown as the bag's name. */
  readonly name: string;
  /** Paths of its files, in order. */
  readonly files: readonly string[];
  /** Folder of the built dashboard. */
  readonly dashboard: string;
  /** 0: any free one. */
  readonly port: number;
}

export interface BagView {
  /** Where a browser finds the bag. */
  readonly url: string;
  close(): Promise<void>;
}

/** Everything from here; WebAssembly for compressed bags, styles also inline, because rows set them on what they draw. */
const headers = {
  'content-security-policy':
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
    "worker-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

/** Starts to listen. @throws the system's error when the port is taken. */
export async function openBagView(options: BagViewOptions): Promise<BagView> {
  const server = createServer((request, response) => {
    answer(options, server, request, response).catch((error: unknown) => {
      // Whoever asked has gone, or the disk does not give what it has.
      if (response.headersSent) response.destroy();
      else sendError(response, 500, error instanceof Error ? error.message : String(error));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, host, resolve);
  });
  return {
    url: `http://${host}:${portOf(server)}${page}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

async function answer(
  options: BagViewOptions,
  server: Server,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  // Another site's page may not read this computer's files by giving its own name this address.
  const names = [host, 'localhost'].map((name) => `${name}:${portOf(server)}`);
  if (!names.includes(request.headers.host ?? '')) return sendError(response, 421, `expected the host ${names[0]}`);
  if (request.method !== 'GET' && request.method !== 'HEAD') return sendError(response, 405, 'expected GET');
  const { pathname } = new URL(request.url ?? '/', `http://${host}`);
  if (pathname === '/') {
    response.writeHead(302, { location: page }).end();
    return;
  }
  if (pathname === '/api/bag') return sendBag(options, response);
  const file = /^\/api\/bag\/files\/(\d{1,6})$/.exec(pathname)?.[1];
  if (file !== undefined) return sendRange(options.files[Number(file)], request, response);
  if (pathname.startsWith('/api/')) return sendError(response, 404, `${pathname}: no such route`);
  return sendAsset(options.dashboard, pathname === page ? '/index.html' : pathname, response);
}

function sendError(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify({ error: { code: status === 404 ? 'not-found' : 'bag-view', message } }));
}

async function sendBag({ name, files }: BagViewOptions, response: ServerResponse): Promise<void> {
  const entries = await Promise.all(
    files.map(async (path, index) => {
      const handle = await open(path);
      const { size } = await handle.stat().finally(() => handle.close());
      return { name: basename(path), url: `/api/bag/files/${index}`, bytes: size };
    }),
  );
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify({ name, files: entries }));
}

/** First and last byte of a range (RFC 9110, section 14.1.2), inclusive; null when nothing of it exists. */
function rangeOf(header: string | undefined, size: number): readonly [number, number] | null | 'whole' {
  const match = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(header ?? '');
  if (match === null) return 'whole';
  const first = Number(match[1]);
  const last = match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  return first >= size || last < first ? null : [first, last];
}

async function sendRange(path: string | undefined, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (path === undefined) return sendError(response, 404, 'there is no such file in the bag');
  const handle = await open(path);
  try {
    const { size } = await handle.stat();
    const range = rangeOf(request.headers.range, size);
    response.setHeader('accept-ranges', 'bytes');
    // A segment that is being written grows; what is asked for twice is asked for again.
    response.setHeader('cache-control', 'no-store');
    if (range === null) {
      response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
      return;
    }
    const [first, last] = range === 'whole' ? [0, size - 1] : range;
    if (range !== 'whole') response.setHeader('content-range', `bytes ${first}-${last}/${size}`);
    response.writeHead(range === 'whole' ? 200 : 206, {
      'content-type': 'application/octet-stream',
      'content-length': last - first + 1,
    });
    if (request.method === 'HEAD' || last < first) response.end();
    else
      await pipeline(
        handle.createReadStream({ start: first, end: last, autoClose: false, highWaterMark: 1 << 18 }),
        response,
      );
  } finally {
    await handle.close();
  }
}

async function sendAsset(dashboard: string, pathname: string, response: ServerResponse): Promise<void> {
  const body = await readFile(join(dashboard, normalize(pathname))).catch(() => null);
  if (body === null) return sendError(response, 404, `${pathname}: no such file`);
  const lasting = pathname.startsWith('/assets/');
  response.writeHead(200, {
    'content-type': types[extname(pathname)] ?? 'application/octet-stream',
    'cache-control': lasting ? 'public, max-age=31536000, immutable' : 'no-cache',
  });
  response.end(body);
}
