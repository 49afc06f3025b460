/**
 * The schema of the agent's one configuration file: every key with its default, meaning and unit. Types, the commented
 * default file and the error messages all come from here.
 */
import { z } from 'zod';
import { air, detector } from './judging-schema.ts';
import { key, path, section } from './keys.ts';

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
