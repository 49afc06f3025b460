/** Owns the numbers of topics and types in a recording, the same in all of its segments, and their QoS as rosbag2 notes it. */

import type { Channel, Schema } from '@mcap/core';
import { stringify } from 'yaml';
import { type MessageType, schemaTexts } from '../messages/messages.ts';
import { typeHashOrNone } from '../messages/type-hash.ts';

/** A topic with its number and the number of its type. */
export interface ChannelEntry {
  readonly channel: Channel;
  readonly schema: Schema;
}

const forever = { sec: 9_223_372_036, nsec: 854_775_807 };
const soundType = 'foxglove_msgs/msg/RawAudio';

/**
 * The QoS offered for a type, as rosbag2's metadata version 9 writes it: sound as sensor data (best effort, depth 200: 20 s),
 * the rest reliable.
 */
export function offeredQos(type: string): readonly Record<string, unknown>[] {
  return [
    {
      history: 'keep_last',
      depth: type === soundType ? 200 : 10,
      reliability: type === soundType ? 'best_effort' : 'reliable',
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

  entry(topic: string, type: string): ChannelEntry {
    const key = `${topic} ${type}`;
    const known = this.#byTopic.get(key);
    if (known !== undefined) return known;
    const schema = this.#schema(type);
    const metadata = new Map([
      ['offered_qos_profiles', stringify(offeredQos(type), { aliasDuplicateObjects: false })],
      ['topic_type_hash', typeHashOrNone(type, new TextDecoder().decode(schema.data))],
    ]);
    const id = this.byId.size + 1;
    const entry = { channel: { id, schemaId: schema.id, topic, messageEncoding: 'cdr', metadata }, schema };
    this.byId.set(id, entry);
    this.#byTopic.set(key, entry);
    return entry;
  }

  #schema(type: string): Schema {
    const known = this.#schemas.get(type);
    if (known !== undefined) return known;
    const text = schemaTexts[type as MessageType] ?? this.#schemaText(type) ?? '';
    const schema = {
      id: this.#schemas.size + 1,
      name: type,
      encoding: 'ros2msg',
      data: new TextEncoder().encode(text),
    };
    this.#schemas.set(type, schema);
    return schema;
  }
}
