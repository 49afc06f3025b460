/**
 * Realistic answers of the REST API for the dashboard's tests: a small fleet, two days of events, wandering
 * measurements and a real WAV, all from fixed seeds around the moment the fixture is made.
 */
import type { Event, History, Latest, Ledger, Sensors, Vehicle, VehicleDetail } from '../../../central/api/schemas.ts';

const clipStartS = -2;
const clipSeconds = 5;
const sampleRateHz = 48_000;

/** A pseudo-random stream of 0 (inclusive) to 1 (exclusive): mulberry32. */
function randomStream(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const iso = (ms: number) => new Date(ms).toISOString();
const ns = (ms: number) => `${BigInt(Math.round(ms)) * 1_000_000n + 123_456n}`;

const model = { name: 'impact', version: '1.0.0' };
const vehicleIds = ['van-01', 'van-02', 'truck-17', 'prototype-with-a-long-name-0042'] as const;

/** What a field was or is at a time: slow waves with a little noise, the same for the same time. */
export function fieldValue(field: string, atMs: number): number {
  const channel = /^ch(\d)_dbfs$/.exec(field);
  const shape: Readonly<Record<string, readonly [number, number, number]>> = {
    pm1_ugm3: [6, 2, 300],
    pm2_5_ugm3: [11, 4, 420],
    pm4_ugm3: [14, 4, 420],
    pm10_ugm3: [19, 6, 500],
    temperature_c: [23.4, 1.2, 1800],
    humidity_ratio: [0.46, 0.04, 2400],
    pressure_pa: [101_320, 60, 3600],
    gas_resistance_ohm: [86_000, 9_000, 1500],
    gas_valid: [1, 0, 1],
    heater_stable: [1, 0, 1],
    cpu_ratio: [0.12, 0.05, 90],
    memory_bytes: [132 * 1_048_576, 3 * 1_048_576, 800],
    disk_free_bytes: [21.4 * 1_073_741_824, 0.2 * 1_073_741_824, 9000],
    soc_temperature_c: [58, 3, 700],
    outbox_depth: [14, 12, 40],
  };
  const [middle, spread, period] = channel ? [-38 - Number(channel[1]) * 0.8, 5, 25] : (shape[field] ?? [0, 0, 1]);
  const seconds = atMs / 1000;
  const wave =
    Math.sin((seconds / period) * 2 * Math.PI) + 0.3 * Math.sin(seconds * 0.91) + 0.2 * Math.sin(seconds * 3.7);
  return middle + (spread * wave) / 1.5;
}

const streamFields: Readonly<Record<string, readonly string[]>> = {
  'plantower/particulate': ['pm1_ugm3', 'pm2_5_ugm3', 'pm10_ugm3'],
  'bme680/environment': [
    'temperature_c',
    'humidity_ratio',
    'pressure_pa',
    'gas_resistance_ohm',
    'gas_valid',
    'heater_stable',
  ],
  'uma8/level': Array.from({ length: 8 }, (_, channel) => `ch${channel}_dbfs`),
  'health/process': ['cpu_ratio', 'memory_bytes', 'disk_free_bytes', 'soc_temperature_c', 'outbox_depth'],
};
export const streams = Object.keys(streamFields);

export function sampleOf(stream: string, atMs: number): Record<string, number> {
  return Object.fromEntries((streamFields[stream] ?? []).map((field) => [field, fieldValue(field, atMs)]));
}

export function makeVehicles(nowMs: number): VehicleDetail[] {
  const fine = (source: string, values: Record<string, string>) => ({
    source,
    level: 'ok' as const,
    code: 'ok',
    message: 'Working.',
    cure: '',
    at: iso(nowMs - 4_000),
    clock: 'synchronised' as const,
    values,
  });
  const good = [
    fine('plantower', { frames: '86400', checksum_errors: '0' }),
    fine('bme680', { readings: '28800' }),
    fine('uma8', { bytes_per_s: '768000', gaps: '0', restarts: '0' }),
    fine('detector', { windows: '172800', restarts: '0' }),
  ];
  const unplugged = {
    source: 'bme680',
    level: 'error' as const,
    code: 'unplugged',
    message: 'Expected a BME680 at address 0x76 of /dev/i2c-1, found no answer (Remote I/O error) for 42 s.',
    cure: 'Check the four wires of the sensor against hardware/bme680.md, then its address.',
    at: iso(nowMs - 42_000),
    clock: 'synchronised' as const,
    values: { errors: '42', last_error: 'EREMOTEIO' },
  };
  const dusty = {
    source: 'plantower',
    level: 'warn' as const,
    code: 'checksum',
    message: 'Expected at most 1 bad frame a minute, found 7.',
    cure: 'Shorten or shield the serial cable.',
    at: iso(nowMs - 90_000),
    clock: 'synchronised' as const,
    values: { frames: '3211', checksum_errors: '7' },
  };
  const base = { agent_version: '0.1.0', model, storage_bytes: 734_003_200 };
  return [
    { ...base, id: vehicleIds[0], online: true, last_seen_at: iso(nowMs - 900), event_count: 0, diagnostics: good },
    {
      ...base,
      id: vehicleIds[1],
      online: true,
      last_seen_at: iso(nowMs - 2_100),
      event_count: 0,
      diagnostics: [...good.filter(({ source }) => source !== 'bme680' && source !== 'plantower'), unplugged, dusty],
    },
    {
      ...base,
      id: vehicleIds[2],
      online: false,
      last_seen_at: iso(nowMs - 9_800_000),
      event_count: 0,
      diagnostics: good.map((one) => ({ ...one, level: 'stale' as const, code: 'stale', message: 'Nothing for 2 h.' })),
    },
    {
      ...base,
      id: vehicleIds[3],
      online: true,
      last_seen_at: iso(nowMs - 1_000),
      event_count: 0,
      model: null as never,
      agent_version: null,
      storage_bytes: 0,
      diagnostics: [],
    },
  ];
}

export function summaryOf(vehicle: VehicleDetail): Vehicle {
  const counts = { ok: 0, warn: 0, error: 0, stale: 0 };
  for (const { level } of vehicle.diagnostics) counts[level] += 1;
  return { ...vehicle, diagnostics: counts };
}

export function makeEvent(id: string, vehicle: string, label: string, score: number, atMs: number): Event {
  const other = label === 'glass_break' ? 'body_impact' : 'glass_break';
  return {
    id,
    vehicle,
    captured_at: iso(atMs),
    captured_at_ns: ns(atMs),
    clock: 'synchronised',
    received_at: iso(atMs + 640),
    kind: 'impact',
    label,
    score,
    scores: { [label]: score, [other]: (1 - score) * 0.7, background: (1 - score) * 0.3 },
    duration_s: 0.42,
    ongoing: false,
    azimuth_deg: null,
    azimuth_confidence: null,
    side: null,
    pressure_change_pa: null,
    level: null,
    detail: '',
    readings: [],
    model,
    clip: {
      state: 'ready',
      lost_reason: '',
      bytes: 3_421_184,
      received_bytes: 3_421_184,
      sha256: 'c0ffee'.padEnd(64, '0'),
      start_at: iso(atMs + clipStartS * 1000),
      end_at: iso(atMs + (clipStartS + clipSeconds) * 1000),
    },
  };
}

/** One event of each kind that the sensors and the model can find besides impacts; ids by what they are. */
export function makeFindings(vehicle: string, atMs: number): Event[] {
  const heard = makeEvent('from-the-left', vehicle, 'body_impact', 0.91, atMs);
  const blank = { ...heard, score: 1, scores: {}, model: null, duration_s: 0 };
  return [
    { ...heard, azimuth_deg: 30, azimuth_confidence: 0.8, side: 'front', pressure_change_pa: -14.2 },
    { ...heard, id: 'from-behind', azimuth_deg: -163, azimuth_confidence: 0.41, side: 'rear' },
    {
      ...blank,
      id: 'smoke',
      kind: 'air',
      label: 'smoke',
      level: 'very_high',
      ongoing: true,
      duration_s: 30,
      detail: 'PM2.5 rose from 8 to 412 µg/m³.',
      readings: [
        { name: 'pm2_5_ugm3', value: 412, baseline: 8 },
        { name: 'gas_resistance_ohm', value: 41_000, baseline: 118_000 },
        { name: 'humidity_ratio', value: 0.43, baseline: null },
      ],
    },
    {
      ...blank,
      id: 'bad-air',
      kind: 'air',
      label: 'bad_air',
      level: 'raised',
      duration_s: 1_265,
      detail: 'The gas resistance fell to 55 % of its baseline.',
      readings: [{ name: 'gas_resistance_ohm', value: 66_000, baseline: 120_000 }],
    },
    {
      ...blank,
      id: 'drift',
      kind: 'drift',
      label: 'model_drift',
      model,
      clip: null,
      ongoing: true,
      detail: 'rms_dbfs has drifted: hellinger 0.413, expected at most 0.3, and 1 other',
      readings: [
        { name: 'rms_dbfs_hellinger', value: 0.4132719, baseline: 0.3 },
        { name: 'score_glass_break_average_pairwise', value: 0.0512, baseline: 0.04 },
      ],
    },
  ];
}

/** 137 events of the last two days, newest first; the third has no clip yet and the fourth's is on its way. */
export function makeEvents(nowMs: number): Event[] {
  const random = randomStream(7);
  const events = Array.from({ length: 137 }, (_, index) => {
    const vehicle = vehicleIds[Math.floor(random() * 3)] ?? vehicleIds[0];
    const label = random() < 0.35 ? 'glass_break' : 'body_impact';
    const score = Number((0.5 + 0.5 * random() ** 0.5).toFixed(4));
    const atMs = nowMs - 40_000 - (index < 12 ? 170_000 : 1_200_000) * index * (0.5 + random());
    return makeEvent(`event-${String(index).padStart(4, '0')}`, vehicle, label, score, atMs);
  }).sort((one, other) => Date.parse(other.captured_at) - Date.parse(one.captured_at));
  const [, , waiting, coming] = events;
  if (waiting) waiting.clip = null;
  if (coming?.clip) coming.clip = { ...coming.clip, state: 'uploading', received_bytes: 1_310_720 };
  return events;
}

export function makeLatest(vehicle: VehicleDetail, nowMs: number): Latest {
  if (vehicle.diagnostics.length === 0) return { streams: [] };
  const atMs = vehicle.online ? nowMs - 500 : Date.parse(vehicle.last_seen_at);
  return {
    streams: streams.map((stream) => ({
      stream,
      captured_at: iso(atMs),
      captured_at_ns: ns(atMs),
      clock: 'synchronised',
      values: sampleOf(stream, atMs),
    })),
  };
}

export function makeHistory(query: URLSearchParams, nowMs: number): History {
  const stream = query.get('stream') ?? '';
  const fromMs = Date.parse(query.get('from') ?? '');
  const toMs = Date.parse(query.get('to') ?? '');
  const points = Number(query.get('points') ?? 500);
  const stepMs = Math.max(1000, (toMs - fromMs) / points);
  const fields: History['fields'] = {};
  for (const field of query.getAll('field')) {
    const made: History['fields'][string] = { t: [], min: [], mean: [], max: [] };
    for (let atMs = fromMs + stepMs / 2; atMs < Math.min(toMs, nowMs); atMs += stepMs) {
      // An outage that charts must show as a gap.
      if (atMs > nowMs - 420_000 && atMs < nowMs - 360_000) continue;
      const value = fieldValue(field, atMs);
      const spread = Math.abs(fieldValue(field, atMs + 700) - value) * Math.min(2, stepMs / 2000);
      made.t.push(Math.round(atMs));
      made.mean.push(value);
      made.min.push(value - spread);
      made.max.push(value + spread);
    }
    fields[field] = made;
  }
  const records = { synchronised: points, corrected: 0, unsynchronised: 0 };
  return { stream, from: iso(fromMs), to: iso(toMs), fields, records };
}

export function makeLedger(vehicle: string): Ledger {
  const epoch = '6f1c1d0e-6a0e-4f8e-9a55-3f1f6f0b7a11';
  const whole = (stream: string, last: number) => ({
    epoch,
    stream,
    next_sequence: last + 1,
    held: [[1, last] as [number, number]],
    missing: [],
    dropped: [],
    duplicates: 0,
  });
  return {
    vehicle,
    files: [],
    streams: [
      ...['plantower/particulate', 'bme680/environment', 'health/process'].map((stream, index) =>
        whole(stream, 86_400 + index * 1_311),
      ),
      {
        ...whole('uma8/level', 86_400),
        held: [
          [1, 40_000],
          [40_013, 86_400],
        ],
        dropped: [{ first: 40_001, last: 40_012, reason: 'disk_short' }],
        duplicates: 100,
      },
      vehicle === 'van-02'
        ? {
            ...whole('events', 211),
            held: [
              [1, 199],
              [203, 211],
            ] as [number, number][],
            missing: [[200, 202]] as [number, number][],
          }
        : whole('events', 211),
    ],
  };
}

export function makeSensors(event: Event): Sensors {
  const startMs = Date.parse(event.clip?.start_at ?? '');
  const series = (topic: string, field: string, unit: string, everyS: number, as: string) => {
    const t_s = Array.from({ length: Math.floor(clipSeconds / everyS) }, (_, index) => (index + 0.3) * everyS);
    return { topic, field, unit, t_s, values: t_s.map((t) => fieldValue(as, startMs + t * 1000)) };
  };
  return {
    onset_s: -clipStartS,
    start_at: event.clip?.start_at ?? '',
    end_at: event.clip?.end_at ?? '',
    series: [
      series('/uma8/audio', 'level', 'dBFS', 0.02, 'ch0_dbfs'),
      series('/plantower/particulate', 'pm1', 'µg/m³', 1, 'pm1_ugm3'),
      series('/plantower/particulate', 'pm2_5', 'µg/m³', 1, 'pm2_5_ugm3'),
      series('/plantower/particulate', 'pm10', 'µg/m³', 1, 'pm10_ugm3'),
      series('/bme680/temperature', 'temperature', '°C', 1, 'temperature_c'),
      series('/bme680/humidity', 'humidity', '1', 1, 'humidity_ratio'),
      series('/bme680/pressure', 'pressure', 'Pa', 1, 'pressure_pa'),
      series('/bme680/gas', 'gas_resistance', 'Ω', 1, 'gas_resistance_ohm'),
    ],
  };
}

/**
 * A clip as RIFF WAVE, 16 bit, 48 kHz: road noise and, two seconds in, five damped modes of struck sheet that reach the
 * eight microphones up to 1 ms apart. One channel, or all eight interleaved.
 */
export function makeWav(channel: number | null): Buffer<ArrayBuffer> {
  const channels = channel === null ? [0, 1, 2, 3, 4, 5, 6, 7] : [channel];
  const frames = clipSeconds * sampleRateHz;
  const wav = Buffer.alloc(44 + frames * channels.length * 2);
  wav.write('RIFF', 0, 'latin1');
  wav.writeUInt32LE(wav.length - 8, 4);
  wav.write('WAVEfmt ', 8, 'latin1');
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(channels.length, 22);
  wav.writeUInt32LE(sampleRateHz, 24);
  wav.writeUInt32LE(sampleRateHz * channels.length * 2, 28);
  wav.writeUInt16LE(channels.length * 2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write('data', 36, 'latin1');
  wav.writeUInt32LE(wav.length - 44, 40);
  const pcm = new Int16Array(wav.buffer, wav.byteOffset + 44, frames * channels.length);
  channels.forEach((microphone, place) => {
    const random = randomStream(100 + microphone);
    const gain = 0.5 - microphone * 0.04;
    let rumble = 0;
    for (let frame = 0; frame < frames; frame += 1) {
      rumble = 0.985 * rumble + 0.015 * (random() * 2 - 1);
      const t = frame / sampleRateHz + clipStartS - microphone * 0.00014;
      let value = 0.16 * rumble + 0.002 * (random() * 2 - 1);
      if (t > 0) {
        for (const [hz, decay] of [
          [310, 9],
          [840, 12],
          [1730, 17],
          [3900, 26],
          [7600, 40],
        ] as const) {
          value += gain * 0.3 * Math.exp(-decay * t) * Math.sin(2 * Math.PI * hz * t);
        }
      }
      pcm[frame * channels.length + place] = Math.round(Math.max(-1, Math.min(1, value)) * 32_767);
    }
  });
  return wav;
}
