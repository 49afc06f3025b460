/** Routes under /api/vehicles. */
import { isKnownVehicle, readLedger, readVehicle, readVehicles } from '../storage/fleet-queries.ts';
import { readHistory, readLatest } from '../storage/telemetry-queries.ts';
import { nsOfAt } from '../storage/times.ts';
import { type Api, type ApiParts, HttpError, notFound } from './parts.ts';
import {
  errorSchema,
  historyQuerySchema,
  historySchema,
  latestSchema,
  ledgerSchema,
  vehicleDetailSchema,
  vehicleListSchema,
  vehicleParamsSchema,
} from './schemas.ts';

const tags = ['vehicles'];
const hourNs = 3_600_000_000_000n;

async function expectVehicle({ reader }: ApiParts, id: string): Promise<void> {
  if (!(await isKnownVehicle(reader, id))) throw notFound('vehicle', id);
}

export function addVehicleRoutes(api: Api, parts: ApiParts): void {
  const { reader } = parts;
  api.get(
    '/api/vehicles',
    { schema: { tags, summary: 'All vehicles, by name', response: { 200: vehicleListSchema } } },
    async () => ({ vehicles: await readVehicles(reader) }),
  );
  api.get(
    '/api/vehicles/:id',
    {
      schema: {
        tags,
        summary: 'One vehicle with the newest diagnostic of each source',
        params: vehicleParamsSchema,
        response: { 200: vehicleDetailSchema, 404: errorSchema },
      },
    },
    async (request) => {
      const vehicle = await readVehicle(reader, request.params.id);
      if (vehicle === null) throw notFound('vehicle', request.params.id);
      return vehicle;
    },
  );
  api.get(
    '/api/vehicles/:id/latest',
    {
      schema: {
        tags,
        summary: 'The newest values of each stream',
        params: vehicleParamsSchema,
        response: { 200: latestSchema, 404: errorSchema },
      },
    },
    async (request) => {
      await expectVehicle(parts, request.params.id);
      return await readLatest(reader, request.params.id);
    },
  );
  addHistoryRoute(api, parts);
  api.get(
    '/api/vehicles/:id/ledger',
    {
      schema: {
        tags,
        summary: 'What is held, missing and declared dropped of each stream',
        params: vehicleParamsSchema,
        response: { 200: ledgerSchema, 404: errorSchema },
      },
    },
    async (request) => {
      await expectVehicle(parts, request.params.id);
      return await readLedger(reader, request.params.id);
    },
  );
}

function addHistoryRoute(api: Api, parts: ApiParts): void {
  api.get(
    '/api/vehicles/:id/history',
    {
      schema: {
        tags,
        summary: 'Minimum, mean and maximum of the fields of a stream over time',
        params: vehicleParamsSchema,
        querystring: historyQuerySchema,
        response: { 200: historySchema, 400: errorSchema, 404: errorSchema },
      },
    },
    async (request) => {
      const { stream, field, from, to, points } = request.query;
      const toNs = to === undefined ? BigInt(parts.nowMs()) * 1_000_000n : nsOfAt(to);
      const fromNs = from === undefined ? toNs - hourNs : nsOfAt(from);
      if (fromNs >= toNs) throw new HttpError(400, 'invalid-request', 'from: expected a time before `to`');
      const vehicle = request.params.id;
      await expectVehicle(parts, vehicle);
      const fields = field ?? null;
      const history = await readHistory(parts.reader, { vehicle, stream, fields, fromNs, toNs, points });
      if (history === null) throw notFound('stream', stream);
      return history;
    },
  );
}
