/** What operators and tools ask: /healthz, /metrics and the OpenAPI document. */
import { z } from 'zod';
import { countOnline } from '../storage/fleet-queries.ts';
import type { Api, ApiParts } from './parts.ts';
import { healthSchema } from './schemas.ts';

export function addOperationRoutes(api: Api, parts: ApiParts): void {
  const tags = ['operation'];
  api.get(
    '/healthz',
    {
      schema: {
        tags,
        summary: 'Whether storage can be written and the broker is up',
        response: { 200: healthSchema, 503: healthSchema },
      },
    },
    async (_request, reply) => {
      const health = await parts.health();
      return await reply
        .code(health.status === 'ok' ? 200 : 503)
        .header('cache-control', 'no-store')
        .send(health);
    },
  );
  const text = z.any().meta({ type: 'string' });
  api.get(
    '/metrics',
    {
      schema: {
        tags,
        summary: 'Metrics in the Prometheus text format',
        response: { 200: { description: 'Prometheus text format', content: { 'text/plain': { schema: text } } } },
      },
    },
    async (_request, reply) => {
      const { registry, vehiclesOnline } = parts.metrics;
      vehiclesOnline.set(await countOnline(parts.reader));
      const body = Buffer.from(await registry.metrics());
      return await reply.header('content-type', registry.contentType).header('cache-control', 'no-store').send(body);
    },
  );
  api.get('/api/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    return await reply.type('application/json').send(JSON.stringify(api.swagger()));
  });
}
