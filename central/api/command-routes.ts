/** Routes under /api/vehicles/{id}/commands: asking a vehicle to do something, and what came of it. */
import { randomUUID } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { maxWaiting } from '../commands/command-desk.ts';
import { readCommand, readCommands } from '../storage/command-store.ts';
import { isKnownVehicle } from '../storage/fleet-queries.ts';
import { type Api, type ApiParts, HttpError, notFound } from './parts.ts';
import {
  type Command,
  commandListSchema,
  commandParamsSchema,
  commandRequestSchema,
  commandSchema,
  errorSchema,
  vehicleParamsSchema,
} from './schemas.ts';

const tags = ['commands'];

/** A page of another site must not command vehicles through a browser that can reach central. */
function refuseOtherSites(request: FastifyRequest): void {
  const site = request.headers['sec-fetch-site'];
  if (site === undefined || site === 'same-origin' || site === 'none') return;
  throw new HttpError(403, 'other-site', `sec-fetch-site: expected same-origin, found ${String(site).slice(0, 40)}`);
}

export function addCommandRoutes(api: Api, parts: ApiParts): void {
  const { reader, commands, nowMs } = parts;
  const expectVehicle = async (id: string): Promise<void> => {
    if (!(await isKnownVehicle(reader, id))) throw notFound('vehicle', id);
  };
  const expectCommand = async (vehicle: string, id: string): Promise<Command> => {
    const command = await readCommand(reader, vehicle, id);
    if (command === null) throw notFound('command', id);
    return command;
  };
  api.post(
    '/api/vehicles/:id/commands',
    {
      schema: {
        tags,
        summary: 'Asks a vehicle to take a snapshot, or to start or stop its recording',
        description:
          'Answers at once; the result comes on GET and as the live event `command`. Repeating an `id` asks once.',
        params: vehicleParamsSchema,
        body: commandRequestSchema,
        response: {
          202: commandSchema,
          400: errorSchema,
          403: errorSchema,
          404: errorSchema,
          409: errorSchema,
          429: errorSchema,
        },
      },
    },
    async (request, reply) => {
      refuseOtherSites(request);
      const vehicle = request.params.id;
      const { id = randomUUID(), kind, valid_for_s, ...parameters } = request.body;
      await expectVehicle(vehicle);
      const issuedMs = nowMs();
      const asked = { id, vehicle, kind, parameters, issuedMs, expiresMs: issuedMs + valid_for_s * 1000 };
      const outcome = commands.ask(asked);
      if (outcome === 'full') {
        throw new HttpError(429, 'too-many-commands', `vehicle ${vehicle}: expected at most ${maxWaiting} waiting`);
      }
      const command = await readCommand(reader, vehicle, id);
      if (command === null || command.kind !== kind) {
        throw new HttpError(409, 'id-taken', `id ${id}: expected a new one, found it on another command`);
      }
      return await reply.code(202).send(command);
    },
  );
  api.get(
    '/api/vehicles/:id/commands',
    {
      schema: {
        tags,
        summary: 'The newest commands of a vehicle with their results',
        params: vehicleParamsSchema,
        response: { 200: commandListSchema, 404: errorSchema },
      },
    },
    async (request) => {
      await expectVehicle(request.params.id);
      return { commands: await readCommands(reader, request.params.id) };
    },
  );
  api.get(
    '/api/vehicles/:id/commands/:command',
    {
      schema: {
        tags,
        summary: 'One command and its result',
        params: commandParamsSchema,
        response: { 200: commandSchema, 404: errorSchema },
      },
    },
    async (request) => await expectCommand(request.params.id, request.params.command),
  );
}
