/** Routes under /api/events: the list, one event, its clip as sound and as MCAP, and the sensors around it. */
import { stat } from 'node:fs/promises';
import { z } from 'zod';
import { CentralError } from '../error.ts';
import { type ReadyClip, readEvent, readEvents, readReadyClip } from '../storage/event-queries.ts';
import { atOfNs, nsOfAt } from '../storage/times.ts';
import { sendContent } from './byte-range.ts';
import { type Api, type ApiParts, HttpError, notFound } from './parts.ts';
import {
  errorSchema,
  eventListSchema,
  eventParamsSchema,
  eventQuerySchema,
  eventSchema,
  sensorsSchema,
  wavQuerySchema,
} from './schemas.ts';

const tags = ['events'];
const binary = (type: string, description: string) => ({
  description,
  content: { [type]: { schema: z.any().meta({ type: 'string', format: 'binary' }) } },
});

/** The finished clip of an event, or the answer why there is none. */
async function expectClip({ reader }: ApiParts, id: string): Promise<ReadyClip> {
  const clip = await readReadyClip(reader, id);
  if (clip !== null) return clip;
  const event = await readEvent(reader, id);
  if (event === null) throw notFound('event', id);
  if (event.clip?.state === 'lost') {
    const message = `clip of event ${id}: the vehicle gave it up (${event.clip.lost_reason})`;
    throw new HttpError(410, 'clip-lost', message);
  }
  throw new HttpError(
    409,
    'clip-not-ready',
    `clip of event ${id}: expected it to be here, the vehicle is still sending it`,
  );
}

/** What the reading of a clip throws, as an answer. */
function unreadable(error: unknown): never {
  if (error instanceof CentralError && error.code === 'clip-unreadable') {
    throw new HttpError(422, error.code, error.message);
  }
  throw error;
}

export function addEventRoutes(api: Api, parts: ApiParts): void {
  const { reader } = parts;
  api.get(
    '/api/events',
    {
      schema: {
        tags,
        summary: 'Events that match, a page of them',
        querystring: eventQuerySchema,
        response: { 200: eventListSchema, 400: errorSchema },
      },
    },
    async ({ query }) =>
      await readEvents(reader, {
        vehicle: query.vehicle,
        kind: query.kind,
        label: query.label,
        minScore: query.min_score,
        fromNs: query.from === undefined ? undefined : nsOfAt(query.from),
        toNs: query.to === undefined ? undefined : nsOfAt(query.to),
        sort: query.sort,
        order: query.order,
        limit: query.limit,
        offset: query.offset,
      }),
  );
  api.get(
    '/api/events/:id',
    {
      schema: {
        tags,
        summary: 'One event',
        params: eventParamsSchema,
        response: { 200: eventSchema, 404: errorSchema },
      },
    },
    async (request) => {
      const event = await readEvent(reader, request.params.id);
      if (event === null) throw notFound('event', request.params.id);
      return event;
    },
  );
  addClipRoutes(api, parts);
}

function addClipRoutes(api: Api, parts: ApiParts): void {
  const errors = { 404: errorSchema, 409: errorSchema, 410: errorSchema, 416: errorSchema, 422: errorSchema };
  api.get(
    '/api/events/:id/clip.wav',
    {
      schema: {
        tags,
        summary: 'The sound of the clip, all channels or one (byte ranges)',
        params: eventParamsSchema,
        querystring: wavQuerySchema,
        response: { 200: binary('audio/wav', 'RIFF WAVE, PCM, 16 bit'), ...errors },
      },
    },
    async (request, reply) => {
      const clip = await expectClip(parts, request.params.id);
      const channel = request.query.channel ?? null;
      const bytes = await parts.clips.wav(clip.sha256, clip.startNs, channel).catch(unreadable);
      if (bytes === null) throw notFound('channel', String(channel));
      const tag = `${clip.sha256}-${channel ?? 'all'}`;
      return sendContent(request, reply, { bytes }, { type: 'audio/wav', tag, fileName: null });
    },
  );
  api.get(
    '/api/events/:id/clip.mcap',
    {
      schema: {
        tags,
        summary: 'The clip as the vehicle cut it, with the times that the vehicle knew (byte ranges)',
        params: eventParamsSchema,
        response: { 200: binary('application/x-mcap', 'MCAP, profile ros2'), ...errors },
      },
    },
    async (request, reply) => {
      const clip = await expectClip(parts, request.params.id);
      const path = parts.clips.pathOf(clip.sha256);
      const { size } = await stat(path);
      const name = `${clip.vehicle}_${atOfNs(clip.capturedAtNs + clip.shiftNs).replaceAll(/[:.]/g, '-')}.mcap`;
      return sendContent(
        request,
        reply,
        { path, size },
        { type: 'application/x-mcap', tag: clip.sha256, fileName: name },
      );
    },
  );
  api.get(
    '/api/events/:id/sensors',
    {
      schema: {
        tags,
        summary: 'Every sensor around the impact',
        params: eventParamsSchema,
        response: { 200: sensorsSchema, 404: errorSchema, 409: errorSchema, 410: errorSchema, 422: errorSchema },
      },
    },
    async (request) => {
      const clip = await expectClip(parts, request.params.id);
      const { startNs, series } = await parts.clips.sensors(clip.sha256, clip.startNs).catch(unreadable);
      return {
        onset_s: Number(clip.capturedAtNs - startNs) / 1e9,
        start_at: atOfNs(startNs + clip.shiftNs),
        end_at: atOfNs(clip.endNs + clip.shiftNs),
        series,
      };
    },
  );
}
