/** The HTTP server of central: routes by their schemas, the OpenAPI document, errors in one shape, security headers. */
import swagger from '@fastify/swagger';
import Fastify, { type FastifyError, type FastifyReply } from 'fastify';
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import { messageOf } from '../error.ts';
import { addCommandRoutes } from './command-routes.ts';
import { addDashboard } from './dashboard.ts';
import { addEventRoutes } from './event-routes.ts';
import { addLiveRoute } from './live-route.ts';
import { addOperationRoutes } from './operation-routes.ts';
import { type Api, type ApiParts, HttpError } from './parts.ts';
import { addVehicleRoutes } from './vehicle-routes.ts';

/**
 * Everything from here; WebAssembly (no other code made at run time) for the bag viewer's decoders; styles also inline, because
 * charts set them on the elements they draw.
 */
const contentSecurityPolicy = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "worker-src 'self' blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const securityHeaders = {
  'content-security-policy': contentSecurityPolicy,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

/** Builds the server; it listens when the caller says so. */
export async function createApi(parts: ApiParts): Promise<Api> {
  const api: Api = Fastify({
    logger: false,
    forceCloseConnections: true,
    bodyLimit: 64 * 1024,
    requestTimeout: 30_000,
    // What no route could be found for: an address that does not decode.
    frameworkErrors(error, _request, reply: FastifyReply) {
      reply.code(error.statusCode ?? 400).send({ error: { code: codeOf(error), message: error.message } });
    },
  }).withTypeProvider<ZodTypeProvider>();
  api.setValidatorCompiler(validatorCompiler);
  api.setSerializerCompiler(serializerCompiler);
  addErrorHandler(api, parts);
  api.addHook('onRequest', async (_request, reply) => {
    reply.headers(securityHeaders);
  });
  await api.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Fender central',
        version: '1',
        description: 'Vehicles, their values, the impacts they heard, and what central holds of each stream.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      tags: ['vehicles', 'commands', 'events', 'live', 'operation'].map((name) => ({ name })),
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => withoutInputTwins(jsonSchemaTransformObject(document)),
  });
  await api.register(async (routes) => {
    const typed = routes.withTypeProvider<ZodTypeProvider>();
    addVehicleRoutes(typed, parts);
    addCommandRoutes(typed, parts);
    addEventRoutes(typed, parts);
    addLiveRoute(typed, parts);
    addOperationRoutes(typed, parts);
  });
  await addDashboard(api, parts.webFolder);
  return api;
}

/** The transform makes each named schema twice, as `X` and `XInput`; no request here refers to a named one. */
function withoutInputTwins(document: ReturnType<typeof jsonSchemaTransformObject>): typeof document {
  const schemas: Record<string, unknown> = ('components' in document && document.components?.schemas) || {};
  for (const name of Object.keys(schemas)) if (name.endsWith('Input')) delete schemas[name];
  return document;
}

function addErrorHandler(api: Api, { log }: ApiParts): void {
  api.setErrorHandler((error: FastifyError | HttpError, request, reply) => {
    if (hasZodFastifySchemaValidationErrors(error)) {
      const message = error.validation
        .map(({ instancePath, message }) => `${error.validationContext ?? 'request'}${instancePath}: ${message}`)
        .join('; ');
      return reply.code(400).send({ error: { code: 'invalid-request', message } });
    }
    const status = error.statusCode ?? 500;
    if (status < 500) return reply.code(status).send({ error: { code: codeOf(error), message: error.message } });
    if (error instanceof HttpError) {
      return reply.code(status).send({ error: { code: error.code, message: error.message } });
    }
    const cause = error.cause === undefined ? '' : ` (${messageOf(error.cause)})`;
    log.error('request failed', {
      method: request.method,
      url: request.url.slice(0, 200),
      found: `${error.message}${cause}`,
    });
    return reply.code(500).send({ error: { code: 'internal', message: 'central failed to answer; its log says why' } });
  });
}

function codeOf(error: FastifyError | HttpError): string {
  return error instanceof HttpError
    ? error.code
    : error.code
        .replace(/^FST_(ERR_)?/, '')
        .toLowerCase()
        .replaceAll('_', '-');
}
