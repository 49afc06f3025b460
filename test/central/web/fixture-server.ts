/**
 * A small HTTP server that speaks the dashboard's whole contract: the built dashboard under the service's content
 * security policy, the REST API with filtering, sorting and paging, and the live feed. Tests can make parts of it fail,
 * wait, or have nothing, and can let impacts happen.
 */
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import type { Event, VehicleDetail } from '../../../central/api/schemas.ts';
import {
  makeEvent,
  makeEvents,
  makeHistory,
  makeLatest,
  makeLedger,
  makeSensors,
  makeVehicles,
  makeWav,
  sampleOf,
  streams,
  summaryOf,
} from './fixture-data.ts';

const policy = [
  "default-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "media-src 'self' blob:",
  "img-src 'self' data:",
  "object-src 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

class HttpFailure extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export class FixtureServer {
  vehicles: VehicleDetail[] = makeVehicles(Date.now());
  events: Event[] = makeEvents(Date.now());
  /** Paths (their beginnings) that answer with this status. */
  readonly failing = new Map<string, number>();
  /** Paths (their beginnings) that never answer. */
  readonly silent = new Set<string>();
  /** Paths asked for, in order. */
  readonly asked: string[] = [];
  readonly #live = new Set<ServerResponse>();
  readonly #dist: string;
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  #ticking: ReturnType<typeof setInterval> | undefined;

  constructor(dist: string) {
    this.#dist = dist;
  }

  async listen(port = 0): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    this.#ticking = setInterval(() => this.#tick(), 1000);
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    clearInterval(this.#ticking);
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  send(event: string, data: unknown): void {
    for (const response of this.#live) response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /** Lets an impact happen now; its clip is not there yet. */
  impact(id: string, vehicle: string, label: string, score: number): Event {
    const event = { ...makeEvent(id, vehicle, label, score, Date.now()), clip: null };
    this.events.unshift(event);
    this.send('impact', event);
    return event;
  }

  /** Lets the clip of an event arrive. */
  clipArrives(id: string): void {
    const event = this.events.find((one) => one.id === id);
    if (!event) throw new Error(`expected an event ${id}, found none`);
    const whole = makeEvent(id, event.vehicle, event.label, event.score, Date.parse(event.captured_at));
    event.clip = whole.clip;
    this.send('clip', { event_id: id });
  }

  /** Cuts all live connections. */
  cutLive(): void {
    for (const response of this.#live) response.destroy();
  }

  #tick(): void {
    const nowMs = Date.now();
    for (const vehicle of this.vehicles) {
      if (!vehicle.online || vehicle.diagnostics.length === 0) continue;
      vehicle.last_seen_at = new Date(nowMs).toISOString();
      for (const stream of streams) {
        const captured_at = new Date(nowMs).toISOString();
        const values = sampleOf(stream, nowMs);
        this.send('sample', { vehicle: vehicle.id, stream, captured_at, clock: 'synchronised', values });
      }
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://fixture');
    try {
      if (url.pathname.startsWith('/api/')) this.asked.push(`${url.pathname}${url.search}`);
      for (const path of this.silent) if (url.pathname.startsWith(path)) return;
      for (const [path, status] of this.failing) {
        if (url.pathname.startsWith(path))
          throw new HttpFailure(status, 'storage-unavailable', 'The database is locked');
      }
      if (url.pathname === '/api/live') this.#openLive(response);
      else if (url.pathname.startsWith('/api/')) this.#answerApi(url, response);
      else await this.#answerFile(url.pathname, response);
    } catch (error) {
      const failure = error instanceof HttpFailure ? error : new HttpFailure(500, 'internal', String(error));
      response.writeHead(failure.status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: { code: failure.code, message: failure.message } }));
    }
  }

  #openLive(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(': hello\n\n');
    this.#live.add(response);
    response.on('close', () => this.#live.delete(response));
  }

  async #answerFile(path: string, response: ServerResponse): Promise<void> {
    const asset = extname(path) !== '';
    const file = join(this.#dist, asset ? normalize(path) : 'index.html');
    const body = await readFile(file).catch(() => {
      throw new HttpFailure(404, 'not-found', `No file ${path}`);
    });
    response.writeHead(200, {
      'content-type': types[extname(file)] ?? 'application/octet-stream',
      'content-security-policy': policy,
      'x-content-type-options': 'nosniff',
    });
    response.end(body);
  }

  #answerApi(url: URL, response: ServerResponse): void {
    const [, , kind = '', id = '', part = ''] = url.pathname.split('/').map(decodeURIComponent);
    if (part.startsWith('clip.')) {
      this.#event(id);
      const channel = url.searchParams.get('channel');
      const wav = part === 'clip.wav';
      response.writeHead(200, { 'content-type': wav ? 'audio/wav' : 'application/octet-stream' });
      response.end(wav ? makeWav(channel === null ? null : Number(channel)) : Buffer.from('\x89MCAP0\r\n', 'latin1'));
      return;
    }
    const body = JSON.stringify(this.#body(kind, id, part, url.searchParams));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(body);
  }

  #body(kind: string, id: string, part: string, query: URLSearchParams): unknown {
    const nowMs = Date.now();
    if (kind === 'events') {
      if (id === '') return this.#eventPage(query);
      return part === 'sensors' ? makeSensors(this.#event(id)) : this.#event(id);
    }
    if (kind === 'vehicles' && id === '')
      return { vehicles: this.vehicles.map((one) => summaryOf(this.#counted(one))) };
    const vehicle = this.vehicles.find((one) => one.id === id);
    if (kind !== 'vehicles' || !vehicle) throw new HttpFailure(404, 'unknown-vehicle', `Found no vehicle ${id}`);
    if (part === 'latest') return makeLatest(vehicle, nowMs);
    if (part === 'history') return makeHistory(query, nowMs);
    if (part === 'ledger') return makeLedger(id);
    return this.#counted(vehicle);
  }

  #counted(vehicle: VehicleDetail): VehicleDetail {
    return { ...vehicle, event_count: this.events.filter((event) => event.vehicle === vehicle.id).length };
  }

  #event(id: string): Event {
    const event = this.events.find((one) => one.id === id);
    if (!event) throw new HttpFailure(404, 'unknown-event', `Found no event ${id}`);
    return event;
  }

  #eventPage(query: URLSearchParams): { total: number; events: Event[] } {
    const text = (name: string) => query.get(name) ?? '';
    const found = this.events.filter(
      (event) =>
        (text('vehicle') === '' || event.vehicle === text('vehicle')) &&
        (text('kind') === '' || event.kind === text('kind')) &&
        (text('label') === '' || event.label === text('label')) &&
        event.score >= Number(text('min_score')) &&
        (text('from') === '' || event.captured_at >= text('from')) &&
        (text('to') === '' || event.captured_at <= text('to')),
    );
    const key = (text('sort') || 'captured_at') as 'captured_at' | 'score' | 'label' | 'vehicle';
    const sign = text('order') === 'asc' ? 1 : -1;
    found.sort((one, other) => {
      const order = one[key] < other[key] ? -1 : Number(one[key] > other[key]);
      return sign * order || (one.captured_at < other.captured_at ? 1 : -1);
    });
    const offset = Number(text('offset'));
    return { total: found.length, events: found.slice(offset, offset + Number(text('limit') || 50)) };
  }
}
