/** GET /api/live: what was just committed, as server-sent events. A client that does not keep up loses messages, counted. */
import type { ServerResponse } from 'node:http';
import { z } from 'zod';
import type { LiveMessage } from '../live.ts';
import { type Api, type ApiParts, HttpError } from './parts.ts';
import { errorSchema, liveQuerySchema } from './schemas.ts';

const maxClients = 256;
/** Bytes waiting in one client's socket; beyond, messages for it are dropped. */
const maxWaitingBytes = 256 * 1024;
const keepAliveMs = 15_000;

/** One message in the format of server-sent events (WHATWG HTML, section 9.2). */
function formatLive({ event, data }: Pick<LiveMessage, 'event' | 'data'>): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** Feeds one client until its connection closes. */
function feed(response: ServerResponse, vehicle: string | undefined, { live, metrics }: ApiParts): void {
  let lost = 0;
  const send = (text: string): boolean => {
    if (response.writableLength > maxWaitingBytes) return false;
    if (lost > 0) response.write(`: ${lost} messages lost\n\n`);
    lost = 0;
    response.write(text);
    return true;
  };
  const stop = live.listen((message) => {
    if (vehicle !== undefined && message.vehicle !== vehicle) return;
    if (send(formatLive(message))) return;
    lost++;
    metrics.liveDropped.inc();
  });
  const keepAlive = setInterval(() => send(': keep-alive\n\n'), keepAliveMs);
  metrics.liveClients.set(live.listeners);
  response.on('close', () => {
    clearInterval(keepAlive);
    stop();
    metrics.liveClients.set(live.listeners);
  });
  response.on('error', () => response.destroy());
}

export function addLiveRoute(api: Api, parts: ApiParts): void {
  const stream = z
    .any()
    .meta({ type: 'string' })
    .describe(
      'Events `sample` (LiveSample), `impact` (Event: a new one, of any kind), `update` (LiveUpdate), `clip` (LiveClip), `vehicle` (LiveVehicle), `clock` (LiveClock), `command` (Command)',
    );
  api.get(
    '/api/live',
    {
      schema: {
        tags: ['live'],
        summary: 'Server-sent events of what is committed',
        querystring: liveQuerySchema,
        response: {
          200: { description: 'An endless stream', content: { 'text/event-stream': { schema: stream } } },
          503: errorSchema,
        },
      },
    },
    (request, reply) => {
      if (request.method === 'HEAD') return reply.type('text/event-stream').send('');
      if (parts.live.listeners >= maxClients) {
        throw new HttpError(503, 'too-many-clients', `live view: expected at most ${maxClients} clients`);
      }
      reply.hijack();
      reply.raw.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'x-accel-buffering': 'no',
        connection: 'keep-alive',
      });
      reply.raw.write('retry: 2000\n\n');
      feed(reply.raw, request.query.vehicle, parts);
    },
  );
}
