import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { parseRange } from '../../central/api/byte-range.ts';
import {
  errorSchema,
  eventListSchema,
  eventSchema,
  healthSchema,
  historySchema,
  latestSchema,
  ledgerSchema,
  liveClipSchema,
  liveSampleSchema,
  liveVehicleSchema,
  sensorsSchema,
  vehicleDetailSchema,
  vehicleListSchema,
} from '../../central/api/schemas.ts';
import { type ClipFixture, channels, makeClip, samplesOf } from './clip-fixture.ts';
import { type CentralFixture, openCentral } from './fixture.ts';
import { baseNs, impactOf, recordOf, rowOf, rowsOf, TestVehicle } from './test-vehicle.ts';

let central: CentralFixture;
let vehicle: TestVehicle;
let clip: ClipFixture;

async function sendClip(): Promise<void> {
  const { sha256, data, startNs, endNs } = clip;
  const value = {
    $typeName: 'fender.v1.Clip' as const,
    eventId: 'event-1',
    sha256,
    bytes: BigInt(data.byteLength),
    startNs,
    endNs,
  };
  await vehicle.records('clips', [recordOf(1, { case: 'clip', value })]);
  await vehicle.upload(sha256, data);
}

beforeAll(async () => {
  central = await openCentral();
  clip = await makeClip(central.dataDir, 5);
  vehicle = await TestVehicle.connect('truck-1', central.mqtt);
  await vehicle.state(true);
  await vehicle.telemetry('bme680/environment', rowsOf(1, 100), 111);
  const odd = rowOf(1, { cpu_ratio: 0.25, soc_temperature_c: Number.NaN });
  await vehicle.telemetry('health/process', [odd]);
  const impacts = [
    impactOf(1, 'event-1'),
    impactOf(2, 'event-2', 'body_impact', 0.6),
    impactOf(3, 'event-3', 'glass_break', 0.7),
  ];
  await vehicle.records('events', impacts);
  const value = {
    $typeName: 'fender.v1.Diagnostic' as const,
    source: 'bme680',
    level: 'warn',
    code: 'heater-unstable',
    message: 'm',
    cure: 'c',
    values: { restarts: '2' },
  };
  await vehicle.records('diagnostics', [recordOf(1, { case: 'diagnostic', value })]);
  await sendClip();
  await vehicle.until(
    () => vehicle.acked('bme680/environment').size === 100 && vehicle.acked('diagnostics').size === 1,
    'acks',
  );
});
afterAll(async () => {
  await vehicle.end();
  await central.close();
});

/** GETs, checks the status, and parses by the contract, refusing keys that it does not name. */
async function fetchAs<Schema extends z.ZodObject>(
  path: string,
  schema: Schema,
  status = 200,
): Promise<z.output<Schema>> {
  const { status: found, body } = await central.get(path);
  expect(found, path).toBe(status);
  return schema.strict().parse(body) as z.output<Schema>;
}

describe('vehicles', () => {
  test('the list and one vehicle', async () => {
    const { vehicles } = await fetchAs('/api/vehicles', vehicleListSchema);
    expect(vehicles).toHaveLength(1);
    expect(vehicles[0]).toMatchObject({
      id: 'truck-1',
      online: true,
      agent_version: '0.1.0',
      model: { name: 'impact', version: '1.0.0' },
      event_count: 3,
      diagnostics: { ok: 0, warn: 1, error: 0, stale: 0 },
      storage_bytes: clip.data.byteLength,
    });
    const one = await fetchAs('/api/vehicles/truck-1', vehicleDetailSchema);
    expect(one.diagnostics).toEqual([
      {
        source: 'bme680',
        level: 'warn',
        code: 'heater-unstable',
        message: 'm',
        cure: 'c',
        at: '2026-01-02T03:04:06.000Z',
        clock: 'synchronised',
        values: { restarts: '2' },
      },
    ]);
  });

  test('latest values, NaN as null', async () => {
    const { streams } = await fetchAs('/api/vehicles/truck-1/latest', latestSchema);
    expect(streams).toEqual([
      {
        stream: 'bme680/environment',
        captured_at: '2026-01-02T03:05:45.000Z',
        captured_at_ns: String(baseNs + 100_000_000_000n),
        clock: 'synchronised',
        values: { temperature_c: 100 },
      },
      {
        stream: 'health/process',
        captured_at: '2026-01-02T03:04:06.000Z',
        captured_at_ns: String(baseNs + 1_000_000_000n),
        clock: 'synchronised',
        values: { cpu_ratio: 0.25, soc_temperature_c: null },
      },
    ]);
  });

  test('history in buckets of minimum, mean and maximum', async () => {
    const query =
      'stream=bme680/environment&field=temperature_c&from=2026-01-02T03:04:06Z&to=2026-01-02T03:05:46Z&points=10';
    const { fields, records } = await fetchAs(`/api/vehicles/truck-1/history?${query}`, historySchema);
    expect(records).toEqual({ synchronised: 100, corrected: 0, unsynchronised: 0 });
    const field = fields.temperature_c;
    expect(field?.min).toEqual([1, 11, 21, 31, 41, 51, 61, 71, 81, 91]);
    expect(field?.mean[0]).toBe(5.5);
    expect(field?.max.at(-1)).toBe(100);
    expect(field?.t[0]).toBe(Date.parse('2026-01-02T03:04:10.500Z'));
  });

  test('history between any times that can be written', async () => {
    const query = 'stream=bme680/environment&from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59.999Z&points=5000';
    const { fields } = await fetchAs(`/api/vehicles/truck-1/history?${query}`, historySchema);
    expect(fields.temperature_c).toMatchObject({ min: [1], mean: [50.5], max: [100] });
  });

  test('the ledger', async () => {
    const { streams } = await fetchAs('/api/vehicles/truck-1/ledger', ledgerSchema);
    expect(streams.find(({ stream }) => stream === 'bme680/environment')).toMatchObject({
      next_sequence: 111,
      held: [[1, 100]],
      missing: [[101, 110]],
      dropped: [],
    });
  });

  test.each([
    ['/api/vehicles/nobody', 404, 'not-found'],
    ['/api/vehicles/nobody/latest', 404, 'not-found'],
    ['/api/vehicles/truck-1/history?stream=none', 404, 'not-found'],
    ['/api/vehicles/truck-1/history', 400, 'invalid-request'],
    [
      '/api/vehicles/truck-1/history?stream=s&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z',
      400,
      'invalid-request',
    ],
    ['/api/events?sort=colour', 400, 'invalid-request'],
    ['/api/events/none/clip.wav', 404, 'not-found'],
    ['/api/events/event-2/clip.wav', 409, 'clip-not-ready'],
    ['/api/events/event-1/clip.wav?channel=9', 404, 'not-found'],
    ['/api/nothing', 404, 'not-found'],
    ['/api/vehicles/%', 400, 'bad-url'],
  ])('%s answers %i %s', async (path, status, code) => {
    const { error } = await fetchAs(path, errorSchema, status);
    expect(error.code).toBe(code);
    expect(error.message).not.toBe('');
  });
});

describe('events', () => {
  test('filtered, sorted, paged', async () => {
    const ids = async (query: string) => {
      const { total, events } = await fetchAs(`/api/events?${query}`, eventListSchema);
      return [total, ...events.map(({ id }) => id)];
    };
    expect(await ids('')).toEqual([3, 'event-3', 'event-2', 'event-1']);
    expect(await ids('label=glass_break&order=asc')).toEqual([2, 'event-1', 'event-3']);
    expect(await ids('sort=score&order=asc&limit=1&offset=1')).toEqual([3, 'event-3']);
    expect(await ids('min_score=0.65&sort=label')).toEqual([2, 'event-3', 'event-1']);
    expect(await ids('from=2026-01-02T03:04:07Z&to=2026-01-02T03:04:08Z')).toEqual([1, 'event-2']);
    expect(await ids('vehicle=nobody')).toEqual([0]);
    expect(await ids('from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z&limit=1')).toEqual([3, 'event-3']);
  });

  test('one event with its finished clip', async () => {
    const event = await fetchAs('/api/events/event-1', eventSchema);
    expect(event).toMatchObject({
      vehicle: 'truck-1',
      captured_at: '2026-01-02T03:04:06.000Z',
      captured_at_ns: String(baseNs + 1_000_000_000n),
      label: 'glass_break',
      model: { name: 'impact', version: '1.0.0' },
      clip: { state: 'ready', bytes: clip.data.byteLength, received_bytes: clip.data.byteLength, sha256: clip.sha256 },
    });
    expect(event.scores.glass_break).toBeCloseTo(0.9);
    expect((await fetchAs('/api/events/event-2', eventSchema)).clip).toBeNull();
  });

  test('the clip as sound, whole, by channel, and by range', async () => {
    const whole = Buffer.from(await (await fetch(`${central.http}/api/events/event-1/clip.wav`)).arrayBuffer());
    expect(samplesOf(whole)).toEqual(clip.pcm);
    const url = `${central.http}/api/events/event-1/clip.wav?channel=2`;
    const response = await fetch(url);
    expect(response.headers.get('content-type')).toBe('audio/wav');
    const one = Buffer.from(await response.arrayBuffer());
    expect(samplesOf(one)).toEqual(clip.pcm.filter((_, at) => at % channels === 2));
    const part = await fetch(url, { headers: { range: 'bytes=44-143' } });
    expect(part.status).toBe(206);
    expect(part.headers.get('content-range')).toBe(`bytes 44-143/${one.byteLength}`);
    expect(Buffer.from(await part.arrayBuffer())).toEqual(one.subarray(44, 144));
    expect((await fetch(url, { headers: { range: 'bytes=99999999-' } })).status).toBe(416);
    expect((await fetch(url, { headers: { 'if-none-match': response.headers.get('etag') ?? '' } })).status).toBe(304);
  });

  test('the clip as it was cut, resumable', async () => {
    const url = `${central.http}/api/events/event-1/clip.mcap`;
    const response = await fetch(url);
    expect(response.headers.get('content-disposition')).toBe(
      'attachment; filename="truck-1_2026-01-02T03-04-06-000Z.mcap"',
    );
    expect(Buffer.from(await response.arrayBuffer())).toEqual(clip.data);
    const rest = await fetch(url, { headers: { range: 'bytes=1000-' } });
    expect(Buffer.from(await rest.arrayBuffer())).toEqual(clip.data.subarray(1000));
  });

  test('the sensors around the impact', async () => {
    const sensors = await fetchAs('/api/events/event-1/sensors', sensorsSchema);
    expect(sensors.onset_s).toBe(1);
    expect(sensors.series.map(({ topic, field }) => `${topic} ${field}`)).toContain('/bme680/temperature temperature');
  });
});

describe('live view, operation and documents', () => {
  test('what is committed is told at once, of the vehicle asked for only', async () => {
    const abort = new AbortController();
    const response = await fetch(`${central.http}/api/live?vehicle=truck-1`, { signal: abort.signal });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const other = await TestVehicle.connect('truck-2', central.mqtt);
    await other.telemetry('s', rowsOf(1, 1));
    await vehicle.telemetry('live/one', [rowOf(1, { x: 4, y: Number.NaN })]);
    await vehicle.records('events', [impactOf(4, 'event-4')]);
    await vehicle.state(false);
    const { sha256, startNs, endNs } = clip;
    const value = { $typeName: 'fender.v1.Clip' as const, eventId: 'event-4', sha256, bytes: 1n, startNs, endNs };
    await vehicle.records('clips', [recordOf(2, { case: 'clip', value })]);
    let text = '';
    const decoder = new TextDecoder();
    for await (const piece of response.body as ReadableStream<Uint8Array>) {
      text += decoder.decode(piece, { stream: true });
      if (text.includes('event: clip') && text.endsWith('\n\n')) break;
    }
    abort.abort();
    const messages = text
      .split('\n\n')
      .filter((block) => block.startsWith('event: '))
      .map((block) => block.split('\n').map((line) => line.slice(line.indexOf(' ') + 1)) as [string, string]);
    expect(messages.map(([event]) => event)).toEqual(['sample', 'impact', 'vehicle', 'clip']);
    const sample = liveSampleSchema.strict().parse(JSON.parse(messages[0]?.[1] ?? ''));
    expect(sample).toEqual({
      vehicle: 'truck-1',
      stream: 'live/one',
      captured_at: '2026-01-02T03:04:06.000Z',
      clock: 'synchronised',
      values: { x: 4, y: null },
    });
    expect(eventSchema.strict().parse(JSON.parse(messages[1]?.[1] ?? '')).id).toBe('event-4');
    expect(liveVehicleSchema.strict().parse(JSON.parse(messages[2]?.[1] ?? ''))).toEqual({
      id: 'truck-1',
      online: false,
    });
    expect(liveClipSchema.strict().parse(JSON.parse(messages[3]?.[1] ?? ''))).toEqual({ event_id: 'event-4' });
    await vehicle.state(true);
    const isOnline = async () => (await fetchAs('/api/vehicles/truck-1', vehicleDetailSchema)).online;
    await expect.poll(isOnline, { timeout: 20_000 }).toBe(true);
    await other.end();
  });

  test('health and metrics', async () => {
    const health = await fetchAs('/healthz', healthSchema);
    expect(health.status).toBe('ok');
    expect(Object.keys(health.checks).sort()).toEqual(['broker', 'database', 'ingest', 'storage']);
    const metrics = await (await fetch(`${central.http}/metrics`)).text();
    expect(metrics).toMatch(/fender_central_records_total\{outcome="stored"\} \d+/);
    expect(metrics).toContain('fender_central_vehicles_online 1');
  });

  test('the OpenAPI document names every route, its parameters and its answers', async () => {
    const { body } = await central.get('/api/openapi.json');
    const document = body as {
      openapi: string;
      paths: Record<string, Record<string, { responses: Record<string, unknown>; parameters?: { name: string }[] }>>;
      components: { schemas: Record<string, unknown> };
    };
    expect(document.openapi).toBe('3.1.0');
    expect(Object.keys(document.paths).sort()).toEqual([
      '/api/events',
      '/api/events/{id}',
      '/api/events/{id}/clip.mcap',
      '/api/events/{id}/clip.wav',
      '/api/events/{id}/sensors',
      '/api/live',
      '/api/vehicles',
      '/api/vehicles/{id}',
      '/api/vehicles/{id}/commands',
      '/api/vehicles/{id}/commands/{command}',
      '/api/vehicles/{id}/history',
      '/api/vehicles/{id}/latest',
      '/api/vehicles/{id}/ledger',
      '/healthz',
      '/metrics',
    ]);
    for (const [path, methods] of Object.entries(document.paths))
      expect(methods.get?.responses['200'], path).toBeDefined();
    expect(document.paths['/api/events']?.get?.parameters?.map(({ name }) => name)).toEqual([
      'vehicle',
      'kind',
      'label',
      'min_score',
      'from',
      'to',
      'sort',
      'order',
      'limit',
      'offset',
    ]);
    const text = JSON.stringify(document);
    const references = [...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map((match) => match[1] as string);
    expect(references.length).toBeGreaterThan(5);
    for (const name of references) expect(document.components.schemas[name], name).toBeDefined();
    expect(Object.keys(document.components.schemas)).toEqual(
      expect.arrayContaining(['Event', 'LiveSample', 'Error', 'Vehicle']),
    );
  });

  test('pages are kept to their own origin, and without a build say how to make one', async () => {
    const bare = await openCentral({ webFolder: '/nonexistent' });
    const page = await fetch(`${bare.http}/vehicles/x`, { headers: { accept: 'text/html' } });
    expect(await page.text()).toContain('npm run build');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    await bare.close();
  });
});

test('ranges of bytes as RFC 9110 has them', () => {
  expect(parseRange(undefined, 10)).toBe('whole');
  expect(parseRange('bytes=0-', 10)).toEqual({ first: 0, last: 9 });
  expect(parseRange('bytes=2-4', 10)).toEqual({ first: 2, last: 4 });
  expect(parseRange('bytes=2-400', 10)).toEqual({ first: 2, last: 9 });
  expect(parseRange('bytes=-3', 10)).toEqual({ first: 7, last: 9 });
  expect(parseRange('bytes=10-', 10)).toBe('none');
  expect(parseRange('bytes=4-2', 10)).toBe('whole');
  expect(parseRange('bytes=0-1,3-4', 10)).toBe('whole');
});
