/** What the routes are built from. */
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Kysely } from 'kysely';
import type { ClipLibrary } from '../clips/clip-library.ts';
import type { CommandDesk } from '../commands/command-desk.ts';
import type { LiveHub } from '../live.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { CentralTables } from '../storage/schema.ts';
import type { Health } from './schemas.ts';

export interface ApiParts {
  readonly reader: Kysely<CentralTables>;
  readonly clips: ClipLibrary;
  readonly live: LiveHub;
  readonly commands: CommandDesk;
  readonly metrics: Metrics;
  readonly log: Log;
  /** UTC milliseconds. */
  readonly nowMs: () => number;
  health(): Promise<Health>;
  /** Folder of the built dashboard. */
  readonly webFolder: string;
}

/** Fastify whose handlers get their types from the zod schemas of the route. */
export type Api = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression<RawServerDefault>,
  RawReplyDefaultExpression<RawServerDefault>,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** An answer other than 200: thrown by handlers, sent as `{error: {code, message}}`. */
export class HttpError extends Error {
  readonly statusCode: number;
  readonly code: string;

  constructor(statusCode: number, code: string, message: string) {
    super(message);
    this.name = 'HttpError';
    this.statusCode = statusCode;
    this.code = code;
  }
}

/** 404: no such `what`. */
export function notFound(what: string, name: string): HttpError {
  return new HttpError(404, 'not-found', `${what}: found none named ${JSON.stringify(name)}`);
}
