/** Owns one topic over all files of a bag: where its messages are, how they are read, and what its numbers mean. */
import type { McapTypes } from '@mcap/core';
import type { FieldInfo, TopicInfo } from './bag-model.ts';
import { type Decoded, decodeMessages, decodeNumbers, decodeSound } from './decoded.ts';
import { fieldInfo, soundField } from './field-info.ts';
import { type MessageType, messageType, type NumericField, numericFields } from './flatten.ts';
import type { OverviewPart } from './overview.ts';
import { isSound, type SoundBlock, soundReader } from './sound.ts';

type Message = McapTypes.TypedMcapRecords['Message'];

/** Types that are shown as lists of lines. */
const listTypes: ReadonlySet<string> = new Set(['diagnostic_msgs/msg/DiagnosticArray', 'rcl_interfaces/msg/Log']);
const eventType = 'fender_msgs/msg/Impact';
/** Much of what makes a topic is not known before its first message. */
const emptyFields: readonly NumericField[] = [];

/** Compressed sound is recorded beside the topic that it was heard on. */
function soundTopic(topic: string): string {
  return topic.replace(/\/flac$/, '');
}

/** What channels are joined by: topic and type; all sound of one microphone array is one. */
export function trackKey(channel: McapTypes.Channel, schema: McapTypes.Schema | undefined): string {
  const type = schema?.name ?? '';
  return JSON.stringify(isSound(type) ? [soundTopic(channel.topic)] : [channel.topic, type, channel.messageEncoding]);
}

export class Track {
  readonly id: number;
  readonly name: string;
  readonly type: string;
  kind: TopicInfo['kind'];
  reason = '';
  messages: number | null = 0;
  /** Numbers of its chunks in the bag, by start; with their starts and ends, s. */
  chunks: number[] = [];
  starts = new Float64Array();
  ends = new Float64Array();
  longestS = 0;
  fields: readonly NumericField[] = emptyFields;
  infos: readonly FieldInfo[] = [];
  rateHz = 0;
  channels = 0;
  /** Seconds that one sound message lasts. */
  blockS = 0;
  /** By field. */
  overview: ReadonlyMap<string, readonly OverviewPart[]> = new Map();
  #messageType: MessageType | null = null;
  /** Sound of one microphone array may be compressed in parts: types, each with its reader. */
  readonly #soundTypes = new Set<string>();
  readonly #readSound = new Map<string, (data: Uint8Array) => SoundBlock>();

  constructor(id: number, channel: McapTypes.Channel, schema: McapTypes.Schema | undefined) {
    this.id = id;
    this.type = schema?.name ?? '';
    this.name = isSound(this.type) ? soundTopic(channel.topic) : channel.topic;
    this.kind = isSound(this.type)
      ? 'sound'
      : listTypes.has(this.type)
        ? 'list'
        : this.type === eventType
          ? 'events'
          : 'numbers';
    if (this.kind === 'sound') {
      this.alsoOf(this.type);
      return;
    }
    try {
      this.#messageType = messageType(
        channel.messageEncoding,
        schema?.encoding ?? '',
        schema?.data ?? new Uint8Array(),
      );
    } catch (error) {
      this.cannot(error);
    }
  }

  /** Sound comes in messages of this type too. */
  alsoOf(type: string): void {
    this.#soundTypes.add(type);
  }

  /** Nothing of it can be shown, because of `error`. */
  cannot(error: unknown): void {
    this.kind = 'none';
    this.reason = error instanceof Error ? error.message : String(error);
  }

  /** Learns from a first message, of `type`, what is in it. */
  async discover(message: Message, type: string): Promise<void> {
    try {
      if (this.kind === 'sound') {
        for (const one of this.#soundTypes) this.#readSound.set(one, await soundReader(one));
        const block = this.#soundOf(message.data, type);
        this.rateHz = block.rateHz;
        this.channels = block.channels;
        this.blockS = block.samples.length / block.channels / block.rateHz;
        this.infos = Array.from({ length: block.channels }, (_, channel) => soundField(channel));
      } else if (this.kind === 'numbers' && this.#messageType !== null) {
        const { read, definitions } = this.#messageType;
        this.fields = numericFields(read(message.data), definitions);
        this.infos = this.fields.map(({ name, whole }) => fieldInfo(this.type, name, whole));
        if (this.fields.length === 0) throw new Error('there are no numbers in it');
      }
    } catch (error) {
      this.cannot(error);
    }
  }

  /** @param typeOf a channel's type. @throws Error for messages that do not fit it. */
  decode(messages: readonly Message[], originNs: bigint, typeOf: (channelId: number) => string): Decoded | null {
    if (this.kind === 'sound') {
      return decodeSound(messages, originNs, ({ data, channelId }) => this.#soundOf(data, typeOf(channelId)));
    }
    const read = this.#messageType?.read;
    if (read === undefined || this.kind === 'none') return null;
    if (this.kind === 'numbers') return decodeNumbers(messages, originNs, read, this.fields);
    return decodeMessages(messages, originNs, read);
  }

  #soundOf(data: Uint8Array, type: string): SoundBlock {
    const read = this.#readSound.get(type);
    if (read === undefined) throw new Error(`expected sound, found ${type}`);
    return read(data);
  }

  /** Places in `chunks` of those that touch a span. */
  within(fromS: number, toS: number): number[] {
    const found: number[] = [];
    for (let at = this.#firstFrom(fromS - this.longestS - this.blockS); at < this.chunks.length; at += 1) {
      if ((this.starts[at] ?? 0) > toS) break;
      if ((this.ends[at] ?? 0) + this.blockS >= fromS) found.push(at);
    }
    return found;
  }

  #firstFrom(timeS: number): number {
    let low = 0;
    let high = this.chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.starts[middle] ?? 0) < timeS) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Usual distance of messages, s; 0 when unknown. */
  get periodS(): number {
    const spanS = (this.ends.at(-1) ?? 0) - (this.starts[0] ?? 0);
    return this.messages !== null && this.messages > 1 ? spanS / (this.messages - 1) : 0;
  }

  /** The recorded overview of a field, where there is one. */
  overviewOf(field: number): readonly OverviewPart[] {
    const { name = '' } = this.infos[field] ?? {};
    return this.overview.get(name) ?? [];
  }

  get info(): TopicInfo {
    const { id, name, type, kind, reason, messages, infos, rateHz, channels } = this;
    return { id, name, type, kind, reason, messages, fields: infos, rateHz, channels };
  }
}
