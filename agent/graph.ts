/**
 * The in-process graph: topics, publishers and subscriptions. It is the spine that recording depends on; a ROS 2 bridge
 * is one more subscriber and publisher on it.
 */
import type { Stamp } from '../drivers/sample.ts';
import type { Message } from './messages/message.ts';

/** A message whose decoded value travels beside its bytes; subscribers must not change the value. */
export interface TopicMessage<Value> extends Message {
  readonly value: Value;
}

/** A topic's name, its ROS type, and how its values become CDR. */
export interface Topic<Value> {
  readonly name: string;
  readonly type: string;
  encode(value: Value): Uint8Array;
}

/** Publishes one value, synchronously and in order, to every subscriber of the topic. Never throws. */
export type Publish<Value> = (stamp: Stamp, value: Value) => void;

/** What went through a topic. */
export interface TopicStatistics {
  readonly topic: string;
  readonly published: number;
  /** Calls of a subscriber that threw; the message still reached the others. */
  readonly subscriberErrors: number;
  /** Values that their topic could not encode; they reached nobody. */
  readonly encodeErrors: number;
}

/** Told of each subscriber or encoder that threw, so that it can be logged. */
export type OnGraphError = (where: string, error: unknown) => void;

interface Subscription {
  readonly name: string;
  readonly handle: (message: TopicMessage<never>) => void;
}

/** Replaced rather than changed, so that a subscriber may come or go while a message is being delivered. */
interface Subscribers {
  list: readonly Subscription[];
}

interface TopicState {
  readonly type: string;
  readonly subscribers: Subscribers;
  published: number;
  subscriberErrors: number;
  encodeErrors: number;
}

/** Topics and who listens to them. Delivery is a plain function call: cheap, ordered, and isolated per subscriber. */
export class Graph {
  readonly #topics = new Map<string, TopicState>();
  readonly #everything: Subscribers = { list: [] };
  readonly #onError: OnGraphError;

  constructor(onError: OnGraphError = () => {}) {
    this.#onError = onError;
  }

  /**
   * Makes the topic known and returns the function that publishes to it. Several nodes may advertise one topic; its
   * sequence counts across them. Throws when the topic exists with another type.
   */
  advertise<Value>(topic: Topic<Value>): Publish<Value> {
    const state = this.#state(topic.name, topic.type);
    return (stamp, value) => {
      let data: Uint8Array;
      try {
        data = topic.encode(value);
      } catch (error) {
        state.encodeErrors += 1;
        this.#onError(`encoding ${topic.name}`, error);
        return;
      }
      const message = { topic: topic.name, type: topic.type, sequence: state.published, stamp, data, value };
      state.published += 1;
      this.#deliver(state, state.subscribers, message);
      this.#deliver(state, this.#everything, message);
    };
  }

  /**
   * Publishes a message that is encoded already, of a topic that nobody here encodes; only `subscribeAll` sees it. `lostBefore` messages
   * of the topic did not get here since the one before: its sequence leaves them out. Throws when the topic exists with another type.
   */
  inject(message: Omit<Message, 'sequence'>, lostBefore = 0): void {
    const state = this.#state(message.topic, message.type);
    const sequence = state.published + lostBefore;
    state.published = sequence + 1;
    this.#deliver(state, this.#everything, { ...message, sequence } as TopicMessage<unknown>);
  }

  /** Calls `handle` with each message of the topic, before any `subscribeAll`; returns the function that ends it. */
  subscribe<Value>(topic: Topic<Value>, name: string, handle: (message: TopicMessage<Value>) => void): () => void {
    const { subscribers } = this.#state(topic.name, topic.type);
    return add(subscribers, { name, handle: handle as Subscription['handle'] });
  }

  /** Calls `handle` with each message of every topic, now and in future; returns the function that ends it. */
  subscribeAll(name: string, handle: (message: Message) => void): () => void {
    return add(this.#everything, { name, handle });
  }

  /** What went through each topic so far. */
  statistics(): TopicStatistics[] {
    return [...this.#topics].map(([topic, { published, subscriberErrors, encodeErrors }]) => ({
      topic,
      published,
      subscriberErrors,
      encodeErrors,
    }));
  }

  #state(name: string, type: string): TopicState {
    const known = this.#topics.get(name);
    if (known === undefined) {
      const state = { type, subscribers: { list: [] }, published: 0, subscriberErrors: 0, encodeErrors: 0 };
      this.#topics.set(name, state);
      return state;
    }
    if (known.type !== type) {
      throw new TypeError(`topic ${name}: expected type ${known.type}, found ${type}`);
    }
    return known;
  }

  #deliver(state: TopicState, subscribers: Subscribers, message: TopicMessage<unknown>): void {
    for (const subscription of subscribers.list) {
      try {
        subscription.handle(message as TopicMessage<never>);
      } catch (error) {
        state.subscriberErrors += 1;
        this.#onError(`${subscription.name} on ${message.topic}`, error);
      }
    }
  }
}

function add(subscribers: Subscribers, subscription: Subscription): () => void {
  subscribers.list = [...subscribers.list, subscription];
  return () => {
    subscribers.list = subscribers.list.filter((each) => each !== subscription);
  };
}
