/**
 * The REST contract of central: one zod schema per request and response, from which types, validation, the OpenAPI
 * document and error messages come. Keys are snake_case with units last; times are RFC 3339 in UTC with milliseconds
 * (`…_at`), exact nanoseconds since 1970 as decimal strings (`…_at_ns`).
 */
import { z } from 'zod';

const at = z
  .string()
  .describe('RFC 3339, UTC, milliseconds')
  .meta({ examples: ['2026-01-02T03:04:05.678Z'] });
const atNs = z
  .string()
  .regex(/^-?\d+$/)
  .describe('Nanoseconds since 1970-01-01T00:00:00Z, exact');
const clock = z
  .enum(['synchronised', 'corrected', 'unsynchronised'])
  .describe(
    'Whether the vehicle knew the time then (or had known it before in that boot, and its clock ran on without a step); `corrected`: it learnt it later in the same boot, and central put this right',
  );
const originalAt = at.optional().describe("The vehicle's own time, where `clock` is `corrected`");
const number = z.number().nullable();
const range = z.tuple([z.number().int(), z.number().int()]).describe('First and last sequence, inclusive');
const fieldValues = z
  .record(z.string(), z.number().nullable())
  .describe('Field name (unit last) to value; null: the device gave none');

export const errorSchema = z
  .object({ error: z.object({ code: z.string(), message: z.string() }) })
  .meta({ id: 'Error', description: 'What went wrong: a stable code and a sentence with expected and found.' });

const modelSchema = z.object({ name: z.string(), version: z.string() }).meta({ id: 'ModelReference' });

const diagnosticLevelSchema = z.enum(['ok', 'warn', 'error', 'stale']);

const diagnosticSchema = z
  .object({
    source: z.string().describe('Which device or part of the vehicle'),
    level: diagnosticLevelSchema,
    code: z.string().describe('Stable, kebab-case'),
    message: z.string(),
    cure: z.string().describe('What a person can do; empty when nothing is needed'),
    at,
    clock,
    original_at: originalAt,
    values: z.record(z.string(), z.string()),
  })
  .meta({ id: 'Diagnostic', description: 'The newest diagnostic of one source.' });

const vehicleSchema = z
  .object({
    id: z.string(),
    online: z.boolean(),
    last_seen_at: at.describe('When central last heard of the vehicle, by the clock of central'),
    agent_version: z.string().nullable(),
    model: modelSchema.nullable(),
    event_count: z.number().int(),
    diagnostics: z.object({
      ok: z.number().int(),
      warn: z.number().int(),
      error: z.number().int(),
      stale: z.number().int(),
    }),
    storage_bytes: z.number().int().describe('Bytes of clip files central holds of this vehicle'),
  })
  .meta({ id: 'Vehicle' });

export const vehicleDetailSchema = vehicleSchema
  .extend({ diagnostics: z.array(diagnosticSchema) })
  .meta({ id: 'VehicleDetail', description: 'One vehicle with the newest diagnostic of each of its sources.' });

export const vehicleListSchema = z.object({ vehicles: z.array(vehicleSchema) });

export const latestSchema = z.object({
  streams: z.array(
    z.object({
      stream: z.string(),
      captured_at: at,
      captured_at_ns: atNs,
      clock,
      original_captured_at: originalAt,
      values: fieldValues,
    }),
  ),
});

const historyFieldSchema = z
  .object({
    t: z.array(z.number()).describe('Milliseconds since 1970, the mean time of the records in the bucket'),
    min: z.array(number),
    mean: z.array(number),
    max: z.array(number),
  })
  .meta({ id: 'HistoryField', description: 'Parallel arrays, one element for each bucket that holds a value.' });

export const historySchema = z.object({
  stream: z.string(),
  from: at,
  to: at,
  fields: z.record(z.string(), historyFieldSchema),
  records: z
    .object({ synchronised: z.number().int(), corrected: z.number().int(), unsynchronised: z.number().int() })
    .describe('How many records there are between `from` and `to`, by what is known of their time'),
});

const clipSchema = z
  .object({
    state: z.enum(['pending', 'uploading', 'ready', 'lost']).describe('`lost`: the vehicle gave it up'),
    lost_reason: z.string().describe('Why the vehicle gave it up, for instance `disk-full`; empty otherwise'),
    bytes: z.number().int(),
    received_bytes: z.number().int(),
    sha256: z.string().describe('Empty for a clip that was lost before it was made'),
    start_at: at,
    end_at: at,
  })
  .meta({ id: 'Clip', description: 'The MCAP around an event and how much of it central has.' });

const eventKindSchema = z
  .enum(['impact', 'snapshot', 'air', 'drift'])
  .describe(
    '`impact`: heard by a model; `snapshot`: asked for; `air`: smoke or bad air in the cabin; `drift`: a warning about the model',
  );

const eventReadingSchema = z
  .object({
    name: z.string().describe('Unit last, for instance `pm2_5_ugm3`'),
    value: z.number().describe('Of the air: at its worst so far; of a drift: the distance when it was noticed'),
    baseline: z.number().nullable().describe('What was usual before; of a drift: the threshold; null: not known'),
  })
  .meta({ id: 'EventReading' });

export const eventSchema = z
  .object({
    id: z.string(),
    vehicle: z.string(),
    captured_at: at.describe(
      'Onset of the sound; of a snapshot: when it was asked for; of the others: when it was noticed',
    ),
    captured_at_ns: atNs,
    clock,
    original_captured_at: originalAt,
    received_at: at,
    kind: eventKindSchema,
    label: z.string().describe('Of an impact: of the model; `snapshot`; of the air: `smoke`, `bad_air`; `model_drift`'),
    score: z.number().describe('0 to 1; 1 where no model was asked'),
    scores: z.record(z.string(), z.number()),
    duration_s: z.number().describe('So far, while it is going on'),
    ongoing: z.boolean().describe('Whether it was going on when the vehicle last told of it'),
    azimuth_deg: number.describe(
      'Whence the sound came, in the frame of the vehicle: 0 is ahead, +90 left, −180 < azimuth ≤ 180; null: no telling',
    ),
    azimuth_confidence: number.describe('Probability, 0 to 1, that the azimuth is within 20° of the truth'),
    side: z.enum(['front', 'left', 'rear', 'right']).nullable(),
    pressure_change_pa: number.describe('Of the air pressure around the onset; null: none stood out'),
    level: z.enum(['raised', 'high', 'very_high']).nullable().describe('The worst so far of an event of the air'),
    detail: z.string().describe('A sentence for people; may be empty'),
    readings: z.array(eventReadingSchema).describe('What was measured, for events of the air and of drift'),
    model: modelSchema.nullable().describe('null: no model was asked, as for a snapshot'),
    clip: clipSchema
      .nullable()
      .describe(
        'null: the vehicle has not cut the clip yet, or makes none: of drift never, of the air only with `air.clips`',
      ),
  })
  .meta({
    id: 'Event',
    description: 'One detected impact, snapshot, finding of the air sensors, or warning of drift.',
  });

export const eventListSchema = z.object({ total: z.number().int(), events: z.array(eventSchema) });

const sensorSeriesSchema = z
  .object({
    topic: z.string(),
    field: z.string(),
    unit: z.string(),
    t_s: z.array(z.number()).describe('Seconds from `start_at`'),
    values: z.array(number),
  })
  .meta({ id: 'SensorSeries' });

export const sensorsSchema = z.object({
  onset_s: z.number().describe('Onset of the impact, seconds from `start_at`'),
  start_at: at.describe('The first frame of the sound in clip.wav'),
  end_at: at,
  series: z.array(sensorSeriesSchema),
});

const ledgerStreamSchema = z
  .object({
    epoch: z.string(),
    stream: z.string(),
    next_sequence: z.number().int().describe('The sequence the vehicle will give next, as far as it told'),
    held: z.array(range),
    missing: z.array(range).describe('Given by the vehicle, neither held here nor declared dropped'),
    dropped: z.array(z.object({ first: z.number().int(), last: z.number().int(), reason: z.string() })),
    duplicates: z.number().int().describe('Records that came again and were already held'),
  })
  .meta({ id: 'LedgerStream' });

const lostFileSchema = z
  .object({
    name: z
      .string()
      .describe('`blob/<sha256>`: bytes of a file; `clip/<event id>`: a clip not made; `recording/<id>`: its segments'),
    first: z.number().int(),
    last: z.number().int(),
    reason: z.string(),
  })
  .meta({ id: 'LostFile' });

export const ledgerSchema = z.object({
  vehicle: z.string(),
  streams: z.array(ledgerStreamSchema),
  files: z.array(lostFileSchema).describe('What the vehicle declared given up beside records; at most 500'),
});

const commandKindSchema = z.enum(['snapshot', 'start_recording', 'stop_recording']);
const seconds = z.number().min(0).max(3600);
const commandParametersSchema = z.object({
  reason: z.string().max(200).optional(),
  pre_roll_s: seconds.optional().describe('Default: as the vehicle is configured'),
  post_roll_s: seconds.optional().describe('Default: as the vehicle is configured'),
});

export const commandSchema = z
  .object({
    id: z.string(),
    vehicle: z.string(),
    kind: commandKindSchema,
    parameters: commandParametersSchema,
    issued_at: at,
    expires_at: at.describe('The vehicle does not begin with it after that'),
    finished_at: at.nullable(),
    state: z
      .enum(['pending', 'done', 'refused', 'failed', 'expired'])
      .describe('`refused`: the vehicle did not try; `failed`: it tried in vain; `expired`: it did not answer'),
    code: z.string().describe('Of the result; stable, kebab-case'),
    message: z.string().describe('Of the result, for people'),
    values: z.record(z.string(), z.string()).describe('Of the result, for instance `event_id`'),
  })
  .meta({ id: 'Command', description: 'What was asked of a vehicle, and what came of it.' });

export const commandListSchema = z.object({ commands: z.array(commandSchema) });

export const healthSchema = z.object({
  status: z.enum(['ok', 'failing']),
  checks: z.record(z.string(), z.object({ ok: z.boolean(), message: z.string() })),
});

/** Payloads (`data:` lines) of GET /api/live, by the name of their `event:` line. */
export const liveSampleSchema = z
  .object({ vehicle: z.string(), stream: z.string(), captured_at: at, clock, values: fieldValues })
  .meta({ id: 'LiveSample' });
export const liveUpdateSchema = z
  .object({ event_id: z.string() })
  .meta({ id: 'LiveUpdate', description: 'More became known of this event: it changed.' });
export const liveClipSchema = z.object({ event_id: z.string() }).meta({ id: 'LiveClip' });
export const liveClockSchema = z.object({ vehicle: z.string() }).meta({
  id: 'LiveClock',
  description: 'Times of this vehicle were put right: what was asked for before is out of date.',
});
export const liveVehicleSchema = z.object({ id: z.string(), online: z.boolean() }).meta({ id: 'LiveVehicle' });

// ---- requests -------------------------------------------------------------------------------------------------

const time = z.iso
  .datetime({ offset: true, error: 'expected an RFC 3339 time, for instance 2026-01-02T03:04:05Z' })
  .describe('RFC 3339');
const vehicleId = z.string().min(1).max(128);

export const vehicleParamsSchema = z.object({ id: vehicleId });
export const eventParamsSchema = z.object({ id: z.string().min(1).max(128) });

export const commandParamsSchema = z.object({ id: vehicleId, command: z.string().min(1).max(128) });

const commandEnvelope = {
  id: z.uuid({ error: 'expected a UUID in lower case' }).lowercase().optional().describe('Default: a new one'),
  valid_for_s: z.number().int().min(1).max(3600).default(30).describe('How long the vehicle may begin with it'),
};
export const commandRequestSchema = z.discriminatedUnion(
  'kind',
  [
    commandParametersSchema.extend({ kind: z.literal('snapshot'), ...commandEnvelope }).strict(),
    z.object({ kind: z.literal('start_recording'), ...commandEnvelope }).strict(),
    z.object({ kind: z.literal('stop_recording'), ...commandEnvelope }).strict(),
  ],
  { error: 'kind: expected snapshot, start_recording or stop_recording' },
);

export const historyQuerySchema = z.object({
  stream: z.string().min(1),
  field: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1).max(64)])
    .transform((value) => (Array.isArray(value) ? value : [value]))
    .optional()
    .describe('Repeatable; omitted: every field of the stream'),
  from: time.optional().describe('Default: one hour before `to`'),
  to: time.optional().describe('Default: now'),
  points: z.coerce.number().int().min(1).max(5000).default(500).describe('Buckets at most'),
});

const eventSortSchema = z.enum(['captured_at', 'score', 'label', 'vehicle']);

export const eventQuerySchema = z.object({
  vehicle: vehicleId.optional(),
  kind: eventKindSchema.optional(),
  label: z.string().min(1).optional(),
  min_score: z.coerce.number().min(0).max(1).optional(),
  from: time.optional(),
  to: time.optional(),
  sort: eventSortSchema.default('captured_at'),
  order: z.enum(['asc', 'desc']).default('desc'),
  limit: z.coerce.number().int().min(1).max(500).default(50),
  offset: z.coerce.number().int().min(0).default(0),
});

export const wavQuerySchema = z.object({
  channel: z.coerce.number().int().min(0).max(31).optional().describe('Omitted: all channels'),
});

export const liveQuerySchema = z.object({ vehicle: vehicleId.optional() });

export type Vehicle = z.output<typeof vehicleSchema>;
export type VehicleDetail = z.output<typeof vehicleDetailSchema>;
export type Diagnostic = z.output<typeof diagnosticSchema>;
export type Latest = z.output<typeof latestSchema>;
export type History = z.output<typeof historySchema>;
export type Clip = z.output<typeof clipSchema>;
export type Event = z.output<typeof eventSchema>;
export type EventList = z.output<typeof eventListSchema>;
export type EventKind = z.output<typeof eventKindSchema>;
export type EventReading = z.output<typeof eventReadingSchema>;
export type EventSort = z.output<typeof eventSortSchema>;
export type Sensors = z.output<typeof sensorsSchema>;
export type SensorSeries = z.output<typeof sensorSeriesSchema>;
export type Ledger = z.output<typeof ledgerSchema>;
export type LedgerStream = z.output<typeof ledgerStreamSchema>;
export type Clock = z.output<typeof clock>;
export type Command = z.output<typeof commandSchema>;
export type Health = z.output<typeof healthSchema>;
export type LiveSample = z.output<typeof liveSampleSchema>;
export type LiveUpdate = z.output<typeof liveUpdateSchema>;
export type LiveClip = z.output<typeof liveClipSchema>;
export type LiveClock = z.output<typeof liveClockSchema>;
export type LiveVehicle = z.output<typeof liveVehicleSchema>;
