/**
 * The schema of the agent's one configuration file: every key with its default, meaning and unit. Types, the commented
 * default file and the error messages all come from here.
 */
import { z } from 'zod';

/** What a key is measured in; `none` for names, paths and choices. */
export type Unit = 'none' | 's' | 'ms' | 'Hz' | 'B' | '°C' | 'ratio' | 'µg/m³' | 'count' | 'port' | 'deg';

declare module 'zod' {
  interface GlobalMeta {
    /** The unit of the key's value. */
    unit?: Unit;
  }
}

/** Adds a key's documentation; every key of the schema goes through here or through `section`. */
function key<Schema extends z.ZodType>(schema: Schema, unit: Unit, description: string): Schema {
  return schema.meta({ description, unit });
}

/** A mapping of keys that refuses others and is filled with defaults when absent. */
function section<Shape extends z.ZodRawShape>(description: string, shape: Shape) {
  // `{}` is a valid input of the mapping because every key in it has a default.
  return z
    .strictObject(shape)
    .prefault({} as never)
    .meta({ description });
}

const path = z.string().min(1);
/** A name that may stand in an MQTT topic, a certificate and a file name. */
const vehicleId = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and hyphens, at most 63');

const particulate = section('The particulate matter sensor on a serial line.', {
  model: key(
    z.enum(['plantower', 'sds011', 'sps30', 'none']).default('plantower'),
    'none',
    'Which sensor is connected; none switches it off.',
  ),
  device: key(path.default('/dev/ttyAMA0'), 'none', 'The serial device, or emulated.'),
  mode: key(
    z.enum(['active', 'passive']).default('active'),
    'none',
    'Whether the sensor sends by itself or is asked (plantower and sds011).',
  ),
  period_s: key(
    z.number().min(0.2).max(3600).default(1),
    's',
    'Time between readings where the agent sets it (passive mode, sps30).',
  ),
});

const bme680 = section('The BME680 environment sensor on an I²C bus.', {
  device: key(
    z.union([z.int().min(0).max(255), z.enum(['emulated', 'none'])]).default(1),
    'none',
    'The I²C bus number, emulated, or none to switch it off.',
  ),
  address: key(
    z.union([z.literal(0x76), z.literal(0x77)]).default(0x76),
    'none',
    'The I²C address: 118 (0x76) or 119 (0x77).',
  ),
  period_s: key(z.number().min(0.5).max(3600).default(1), 's', 'Time between readings.'),
  heater_temperature_c: key(
    z.number().min(200).max(400).default(320),
    '°C',
    'Temperature of the gas sensor hot plate.',
  ),
  heater_duration_ms: key(
    z.int().min(1).max(4032).default(150),
    'ms',
    'How long the hot plate is heated before gas is measured.',
  ),
});

const uma8 = section('The miniDSP UMA-8 microphone array.', {
  source: key(
    z.enum(['arecord', 'replay', 'generated', 'none']).default('arecord'),
    'none',
    'Where sound comes from: the device, files, the built-in generator, or nowhere.',
  ),
  device: key(path.default('plughw:CARD=micArray,DEV=0'), 'none', 'The ALSA device that arecord opens.'),
  sound: key(z.string().default(''), 'none', 'The WAV file or folder that the replay source plays, in a loop.'),
  seed: key(
    z.int().min(0).max(0xffffffff).default(1),
    'none',
    'Seed of the generated sound; the same seed sounds the same.',
  ),
  channels: key(
    z.int().min(1).max(8).default(8),
    'count',
    'Channels that arecord captures; other sources always have 8.',
  ),
  sample_rate_hz: key(
    z.union([z.literal(16000), z.literal(44100), z.literal(48000)]).default(48000),
    'Hz',
    'Sampling rate: 16000, 44100 or 48000.',
  ),
  mount_yaw_deg: key(
    z.number().min(-180).max(180).default(0),
    'deg',
    'Where the capsule of channel 1 points, seen from above: 0 ahead, 90 left, 180 behind, -90 right.',
  ),
  mount_pitch_deg: key(
    z.number().min(-90).max(90).default(0),
    'deg',
    'How far the edge at channel 1 points down: 0 for a flat board, about 30 on a raked windshield.',
  ),
  mount_facing: key(
    z.enum(['down', 'up']).default('down'),
    'none',
    'Where the capsules look: down into the cabin from the glass or the roof, or up from the dashboard.',
  ),
});

const recorder = section('The recording of everything, as MCAP segments.', {
  segment_s: key(z.number().min(1).max(86400).default(300), 's', 'A segment is closed after this time.'),
  segment_bytes: key(
    z.int().min(1_000_000).max(4_000_000_000).default(512_000_000),
    'B',
    'A segment is closed at this size.',
  ),
  fsync_ms: key(
    z.int().min(50).max(60_000).default(100),
    'ms',
    'What is recorded is durable on disk after at most this time.',
  ),
  ring_s: key(
    z.number().min(1).max(60).default(10),
    's',
    'How much of all topics is kept in memory for clips, whether or not a recording runs; at least what the clip of an impact needs.',
  ),
  ring_bytes: key(
    z.int().min(1_000_000).max(64_000_000).default(32_000_000),
    'B',
    'Most memory that ring_s may take; beyond it the oldest go.',
  ),
  pre_roll_s: key(
    z.number().min(0).max(30).default(10),
    's',
    'How much of all topics a snapshot holds before it was asked for.',
  ),
  post_roll_s: key(
    z.number().min(0.1).max(30).default(5),
    's',
    'How much of all topics a snapshot holds after it was asked for.',
  ),
  disk_share: key(
    z.number().min(0.01).max(0.95).default(0.7),
    'ratio',
    'Share of the disk that recordings may take; beyond it the oldest go.',
  ),
  sound: key(
    z.enum(['pcm', 'flac']).default('pcm'),
    'none',
    'How recordings hold sound: pcm as samples, flac compressed without loss to about half; clips have samples in either case.',
  ),
});

const detector = section('The impact detector in its own process.', {
  enabled: key(z.boolean().default(true), 'none', 'Whether impacts are detected at all.'),
  model: key(
    path.default('models/impact.int8.onnx'),
    'none',
    'The ONNX model file; a relative path starts at the program.',
  ),
  model_fp32: key(
    z.string().default(''),
    'none',
    'The same model in fp32, listened with where it is faster; empty: NAME.fp32.onnx beside NAME.int8.onnx, if there is one.',
  ),
  candidate: key(
    z.string().default(''),
    'none',
    'A model file that listens beside the model, in a process of its own, and is only compared with it; empty: none.',
  ),
  candidate_fp32: key(z.string().default(''), 'none', 'The candidate in fp32, as model_fp32.'),
  thresholds: key(
    z.record(z.string(), z.number().min(0).max(1)).default({}),
    'ratio',
    "Score per label from which an impact is reported, instead of the model's own, for instance {glass_break: 0.6}.",
  ),
  pre_roll_s: key(z.number().min(0).max(30).default(2), 's', 'How much of all sensors a clip holds before the impact.'),
  post_roll_s: key(z.number().min(0).max(30).default(2), 's', 'How much of all sensors a clip holds after the impact.'),
  hang_timeout_s: key(
    z.number().min(0.2).max(60).default(0.6),
    's',
    'A detector that makes no progress for this time is restarted; time in which it waits for its turn or for the disk counts in part.',
  ),
  start_timeout_s: key(
    z.number().min(1).max(300).default(30),
    's',
    'A detector that has not loaded its model after this time is restarted.',
  ),
  queue_chunks: key(
    z.int().min(2).max(600).default(30),
    'count',
    'Sound chunks of 100 ms that may wait for the detector; more are missed and counted.',
  ),
  max_model_bytes: key(
    z.int().min(10_000).max(2_000_000_000).default(67_108_864),
    'B',
    'Larger model files are refused unread.',
  ),
  max_memory_mb: key(
    z.int().min(50).max(4_000).default(250),
    'none',
    'A detector process that holds more megabytes is replaced by a new one, without missing anything.',
  ),
  report_period_s: key(
    z.int().min(5).max(86_400).default(3_600),
    's',
    'The candidate is compared and drift is judged over so long.',
  ),
  drift_threshold: key(
    z
      .record(z.string().regex(/^(hellinger|kullback_leibler|average_pairwise)$/), z.number().min(0).max(1_000))
      .default({}),
    'none',
    "Distance from the model's reference from which a feature has drifted, instead of the model's own, for instance {hellinger: 0.5}; average_pairwise is in shares of the feature's range.",
  ),
  drift_min_windows: key(
    z.int().min(10).max(1_000_000).default(2_400),
    'count',
    'Drift is not judged over fewer windows than this.',
  ),
});

const ugM3 = z.number().min(5).max(1_000);
const share = z.number().min(0.01).max(1);

const air = section('Smoke and bad air in the cabin, found by the particle sensor and the gas sensor.', {
  enabled: key(z.boolean().default(true), 'none', 'Whether the air is judged.'),
  clips: key(
    z.boolean().default(true),
    'none',
    'Whether an event of the air gets a clip, of the length of a snapshot.',
  ),
  raised_ugm3: key(
    ugM3.default(35.5),
    'µg/m³',
    'PM2.5 above what is usual from which the air is bad; this and the next are where the air quality index of the EPA (2024) begins to be unhealthy for sensitive groups, very unhealthy and hazardous.',
  ),
  high_ugm3: key(ugM3.default(125.5), 'µg/m³', 'From this the level is high.'),
  very_high_ugm3: key(ugM3.default(225.5), 'µg/m³', 'From this the level is very high.'),
  baseline_limit_ugm3: key(
    ugM3.default(35.4),
    'µg/m³',
    'What is usual follows the air over hours, but is never taken for more than this.',
  ),
  raised_gas_ratio: key(
    share.default(0.5),
    'ratio',
    'Gas resistance by what is usual from which downwards the air is bad.',
  ),
  high_gas_ratio: key(share.default(0.3), 'ratio', 'From this downwards the level is high.'),
  very_high_gas_ratio: key(share.default(0.15), 'ratio', 'From this downwards the level is very high.'),
  humid_ratio: key(
    share.default(0.85),
    'ratio',
    'From this relative humidity on particles may be droplets, and count only where the gas sensor agrees.',
  ),
  particle_warm_up_s: key(
    z.number().min(0).max(3_600).default(30),
    's',
    'The particle sensor is not judged so long after its start: its fan needs 30 s.',
  ),
  gas_warm_up_s: key(
    z.number().min(0).max(86_400).default(600),
    's',
    'The gas sensor is not judged so long after its start: its resistance rises while it burns in.',
  ),
  end_after_s: key(
    z.number().min(1).max(3_600).default(60),
    's',
    'An event is over when the air was half way back to what is usual for so long.',
  ),
  longest_s: key(
    z.number().min(60).max(86_400).default(7_200),
    's',
    'An event that lasts longer is ended, and the air of then is taken for usual.',
  ),
}).refine(
  (air) =>
    air.raised_ugm3 <= air.high_ugm3 &&
    air.high_ugm3 <= air.very_high_ugm3 &&
    air.raised_gas_ratio >= air.high_gas_ratio &&
    air.high_gas_ratio >= air.very_high_gas_ratio,
  'levels in order: raised, high, very high (particles rising, gas ratios falling)',
);

const outbox = section('The durable buffer of what central does not have yet.', {
  max_bytes: key(
    z.int().min(1_000_000).default(2_000_000_000),
    'B',
    'Largest size of the buffer; beyond it the least important records go.',
  ),
  max_file_bytes: key(
    z.int().min(1_000_000).default(8_000_000_000),
    'B',
    'Largest sum of the files waiting for upload; beyond it the least important go.',
  ),
  group_commit_ms: key(
    z.int().min(1).max(10_000).default(500),
    'ms',
    'Records are committed together at most this long after they came; events are committed at once.',
  ),
});

const sync = section('The connection to the central service.', {
  enabled: key(z.boolean().default(true), 'none', 'Whether anything is sent to central.'),
  url: key(
    z
      .string()
      .regex(/^mqtts?:\/\/[^/]+/, 'an mqtt:// or mqtts:// URL')
      .default('mqtt://127.0.0.1:1883'),
    'none',
    'The MQTT broker, mqtt:// or mqtts://.',
  ),
  tls: section('Certificates, needed with mqtts://.', {
    ca: key(z.string().default(''), 'none', 'File of the certificate authority that signed the broker, PEM.'),
    cert: key(
      z.string().default(''),
      'none',
      'File of the certificate of this vehicle, PEM; its common name is vehicle.id.',
    ),
    key: key(z.string().default(''), 'none', 'File of the private key of this vehicle, PEM.'),
  }),
});

const health = section('The state of the machine and of the agent.', {
  listen: section('Where Prometheus metrics are served.', {
    host: key(z.string().min(1).default('127.0.0.1'), 'none', 'Address to listen on.'),
    port: key(z.int().min(0).max(65535).default(9464), 'port', 'Port of /metrics; 0 takes any free one.'),
  }),
  period_s: key(z.number().min(0.2).max(3600).default(5), 's', 'Time between two health reports.'),
});

/** A ROS 2 name: absolute, of words between slashes. */
const rosName = z.string().regex(/^(\/[A-Za-z_][A-Za-z0-9_]*)+$/, 'an absolute ROS name like /imu/data');

const foreignTopic = z.strictObject({
  topic: key(rosName, 'none', 'The topic.'),
  type: key(
    z.string().regex(/^[a-z][a-z0-9_]*\/msg\/[A-Za-z][A-Za-z0-9]*$/, 'a message type like sensor_msgs/msg/Imu'),
    'none',
    'Its message type.',
  ),
  reliability: key(z.enum(['auto', 'reliable', 'best_effort']).default('auto'), 'none', 'auto: what publishers offer.'),
  durability: key(
    z.enum(['auto', 'volatile', 'transient_local']).default('auto'),
    'none',
    'auto: what publishers offer.',
  ),
  depth: key(z.int().min(1).max(10_000).default(200), 'count', 'Messages that may wait in the middleware.'),
});

const graph = section('How the nodes talk to each other.', {
  kind: key(
    z.enum(['in_process', 'ros2']).default('in_process'),
    'none',
    'The middleware: ros2 shows the nodes in ROS 2, which must be sourced; the spine is always in process.',
  ),
  ros2: section('The nodes in ROS 2, when graph.kind is ros2.', {
    namespace: key(rosName.default('/fender'), 'none', 'Namespace of the nodes.'),
    arguments: key(
      z.array(z.string()).max(200).default([]),
      'none',
      'What is said to ROS 2 behind --ros-args, for instance ["-r", "/uma8/audio:=/front/audio"].',
    ),
    topics: key(
      z
        .array(foreignTopic)
        .max(200)
        .default([])
        .refine((topics) => new Set(topics.map(({ topic }) => topic)).size === topics.length, 'topics named once each'),
      'none',
      'Further ROS topics to record, for instance [{topic: /imu/data, type: sensor_msgs/msg/Imu}].',
    ),
    queue_bytes: key(
      z.int().min(1_000_000).max(256_000_000).default(16_000_000),
      'B',
      'What may wait between the agent and ROS 2, each way; beyond it messages are dropped and counted.',
    ),
    hang_timeout_s: key(
      z.number().min(1).max(600).default(5),
      's',
      'A ROS process that gives no sign of life for this time is restarted.',
    ),
    start_timeout_s: key(
      z.number().min(1).max(600).default(60),
      's',
      'A ROS process whose nodes are not up after this time is restarted.',
    ),
  }),
});

/** What is synchronised where no topics are given, as far as it is on. */
const sensorTopics = [
  '/uma8/audio',
  '/plantower/particulate',
  '/sds011/particulate',
  '/sps30/particulate',
  '/bme680/temperature',
];

const synchroniser = section(
  'The messages of several topics that belong together in time, as an index on /fender/sets.',
  {
    enabled: key(z.boolean().default(true), 'none', 'Whether sets are made.'),
    policy: key(
      z.enum(['approximate', 'exact']).default('approximate'),
      'none',
      'How, as in ROS 2 message_filters: approximate is its ApproximateTime, exact wants equal stamps and knows no slop, penalty or bounds.',
    ),
    topics: key(
      z
        .array(rosName)
        .refine((topics) => topics.length === 0 || (topics.length >= 2 && topics.length <= 9), 'none, or 2 to 9 topics')
        .refine((topics) => new Set(topics).size === topics.length, 'each topic once')
        .refine((topics) => !topics.includes('/fender/sets'), 'other topics than the sets themselves')
        .default([]),
      'none',
      'The topics, also of graph.ros2.topics; none for the sound, the particulate sensor and the temperature, as far as they are on.',
    ),
    queue_size: key(
      z.int().min(1).max(200).default(100),
      'count',
      'Messages of each topic that may wait for their set: more than the fastest topic sends while those of another are on their way.',
    ),
    slop_ms: key(
      z.number().min(0).max(3_600_000).default(600),
      'ms',
      'Longest time between the messages of one set; two sensors read once a second are up to 500 ms apart.',
    ),
    age_penalty: key(
      z.number().min(0).max(1000).default(0.1),
      'ratio',
      'A later set replaces an earlier one only when it is shorter by this share of the time between them.',
    ),
    inter_message_lower_bounds_ms: key(
      z.record(rosName, z.number().min(0).max(3_600_000)).default({}),
      'ms',
      'Per synchronised topic, the time that its messages are apart at least, for instance {/uma8/audio: 99}; lets a set be published earlier, and a topic slower than each 10 s be waited for.',
    ),
  },
).superRefine(({ topics, inter_message_lower_bounds_ms: bounds }, context) => {
  const synchronised = topics.length > 0 ? topics : sensorTopics;
  for (const topic of Object.keys(bounds)) {
    if (synchronised.includes(topic)) continue;
    const message = `bounds of synchronised topics only (${synchronised.join(', ')})`;
    context.addIssue({ code: 'custom', path: ['inter_message_lower_bounds_ms', topic], message });
  }
});

/** The whole configuration file. */
export const agentConfigSchema = section('Configuration of the Fender agent, the process in the vehicle.', {
  vehicle: section('The vehicle that carries this device.', {
    id: key(
      vehicleId.default('vehicle-1'),
      'none',
      'Name of the vehicle: lower-case letters, digits and hyphens, unique in the fleet.',
    ),
  }),
  data_dir: key(
    path.default('/var/lib/fender'),
    'none',
    'Folder of recordings, clips and the outbox; one agent at a time.',
  ),
  clock: section('How the system clock is watched.', {
    quality_period_s: key(
      z.number().min(1).max(3600).default(30),
      's',
      'Time between two questions to chrony or timesyncd.',
    ),
    step_threshold_ms: key(
      z.int().min(5).max(10_000).default(50),
      'ms',
      'A jump of the system clock of this size or more begins a new recording; a smaller one is caught up with at 500 ppm.',
    ),
  }),
  sensors: section('The devices.', { particulate, bme680, uma8 }),
  graph,
  synchroniser,
  recorder,
  detector,
  air,
  outbox,
  sync,
  health,
  log: section('What the agent says about itself on standard error.', {
    level: key(
      z.enum(['debug', 'info', 'warn', 'error']).default('info'),
      'none',
      'The least important lines that are written.',
    ),
  }),
});

/** A checked configuration, every key present. */
export type AgentConfig = z.infer<typeof agentConfigSchema>;
