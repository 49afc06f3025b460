/** Owns the numbers of topics and types in a recording, the same in all of its segments, and their QoS as rosbag2 notes it. */

import type { Channel, Schema } from '@mcap/core';
import { stringify } from 'yaml';
import type { ForeignTopic } from '../messages/message.ts';
import { type MessageType, schemaTexts } from '../messages/messages.ts';
import { typeHashOrNone } from '../messages/type-hash.ts';

/** A topic with its number and the number of its type. */
export interface ChannelEntry {
  readonly channel: Channel;
  readonly schema: Schema;
  readonly foreign?: ForeignTopic;
}

const forever = { sec: 9_223_372_036, nsec: 854_775_807 };
/** What waits for a slow reader of a best-effort topic: 20 s of sound. */
const soundDepth = 200;
const soundTypes = new Set(['foxglove_msgs/msg/RawAudio', 'fender_msgs/msg/CompressedAudio']);

/**
 * The QoS that this vehicle offers for a type, as rosbag2's metadata version 9 writes it: sound as sensor data (best effort) with an
 * explicit depth, diagnostics as diagnostic_updater publishes them (reliable, depth 1), the rest reliable with ROS's usual depth.
 */
export function offeredQos(type: string): readonly Record<string, unknown>[] {
  const isSound = soundTypes.has(type);
  return [
    {
      history: 'keep_last',
      depth: isSound ? soundDepth : type === 'diagnostic_msgs/msg/DiagnosticArray' ? 1 : 10,
      reliability: isSound ? 'best_effort' : 'reliable',
      durability: 'volatile',
      deadline: forever,
      lifespan: forever,
      liveliness: 'automatic',
      liveliness_lease_duration: forever,
      avoid_ros_namespace_conventions: false,
    },
  ];
}

/** Numbers topics and types in order of their first message, from 1. */
export class ChannelTable {
  readonly byId = new Map<number, ChannelEntry>();
  readonly #byTopic = new Map<string, ChannelEntry>();
  readonly #schemas = new Map<string, Schema>();
  readonly #schemaText: (type: string) => string | undefined;

  /** @param schemaText gives the `ros2msg` text of types that are not this vehicle's own. */
  constructor(schemaText: (type: string) => string | undefined = () => undefined) {
    this.#schemaText = schemaText;
  }

  /**
   * The numbers of a topic and its type.
   * @param foreign what is known of a topic of others. What its publishers offer may change: segments begun after that say so.
   */
  entry(topic: string, type: string, foreign?: ForeignTopic): ChannelEntry {
    const key = `${topic} ${type}`;
    const known = this.#byTopic.get(key);
    if (known !== undefined && (foreign === undefined || foreign === known.foreign)) return known;
    const schema = this.#schema(type, foreign);
    const hash = foreign?.typeHash ?? typeHashOrNone(type, new TextDecoder().decode(schema.data));
    const metadata = new Map([
      ['offered_qos_profiles', stringify(foreign?.offeredQos ?? offeredQos(type), { aliasDuplicateObjects: false })],
      ['topic_type_hash', hash],
    ]);
    const id = known?.channel.id ?? this.byId.size + 1;
    const channel = { id, schemaId: schema.id, topic, messageEncoding: 'cdr', metadata };
    const entry = { channel, schema, ...(foreign && { foreign }) };
    this.byId.set(id, entry);
    this.#byTopic.set(key, entry);
    return entry;
  }

  #schema(type: string, foreign?: ForeignTopic): Schema {
    const known = this.#schemas.get(type);
    if (known !== undefined) return known;
    const text = schemaTexts[type as MessageType] ?? foreign?.schemaText ?? this.#schemaText(type) ?? '';
    const schema = {
      id: this.#schemas.size + 1,
      name: type,
      // MCAP: a schema without encoding is one that nobody knows.
      encoding: text === '' ? '' : 'ros2msg',
      data: new TextEncoder().encode(text),
    };
    this.#schemas.set(type, schema);
    return schema;
  }
}
