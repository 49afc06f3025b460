/**
 * Subscribes to the topics of others and hands their messages up as they came: CDR bytes and the time of their receipt. Lives in
 * the ROS process. Like rosbag2, it takes the QoS that the publishers offer unless the configuration names one.
 */
import type { ForeignSubscription, RosReport } from './protocol.ts';
import { RMW, type RosDuration, type RosEndpoint, type RosLibrary, type RosNode } from './rclnodejs.ts';
import { firstLine, qosOf, typeClass } from './ros-nodes.ts';

/** Takes a message of the channel, before which `lostBefore` had to be dropped; false when this one has to be, too. */
export type TakeForeign = (channel: number, monotonicNs: bigint, cdr: Buffer, lostBefore: number) => boolean;

/** How often publishers are looked for. */
const LOOK_PERIOD_MS = 500;
/** Encapsulation header and at least one byte. */
const LEAST_BYTES = 5;

type Reliability = keyof typeof RMW.reliability;
type Durability = keyof typeof RMW.durability;

interface Watched {
  readonly wanted: ForeignSubscription;
  readonly channel: number;
  subscribed: { readonly handle: unknown; readonly reliability: Reliability; readonly durability: Durability } | null;
  /** Messages dropped since the latest that was handed up. */
  droppedCount: number;
  offered: string;
  trouble: string;
}

/** The subscriptions of one node. */
export class ForeignTopics {
  readonly #library: RosLibrary;
  readonly #node: RosNode;
  readonly #take: TakeForeign;
  readonly #report: (report: RosReport) => void;
  readonly #wake: () => void;
  readonly #watched: Watched[];
  received = 0;
  lost = 0;

  constructor(
    library: RosLibrary,
    node: RosNode,
    wanted: readonly ForeignSubscription[],
    take: TakeForeign,
    report: (report: RosReport) => void,
    wake: () => void,
  ) {
    this.#wake = wake;
    this.#library = library;
    this.#node = node;
    this.#take = take;
    this.#report = report;
    this.#watched = wanted.map((each, channel) => ({
      wanted: each,
      channel,
      subscribed: null,
      droppedCount: 0,
      offered: '',
      trouble: '',
    }));
  }

  /** Subscribes to what is configured whole at once, to the rest as soon as somebody publishes it; goes on until the process ends. */
  start(): void {
    for (const watched of this.#watched) {
      const { reliability, durability } = watched.wanted;
      if (reliability !== 'auto' && durability !== 'auto') this.#subscribe(watched, reliability, durability);
    }
    if (this.#watched.length > 0) setInterval(() => this.look(), LOOK_PERIOD_MS).unref();
  }

  /** Looks once at who publishes the topics. */
  look(): void {
    for (const watched of this.#watched) {
      try {
        this.#lookAt(watched);
      } catch (error) {
        this.#tell(watched, `${watched.wanted.topic}: ${firstLine(error)}`, '');
      }
    }
  }

  #lookAt(watched: Watched): void {
    const { topic, type } = watched.wanted;
    const all = this.#node.getPublishersInfoByTopic(this.#node.resolveTopicName(topic));
    const fitting = all.filter((endpoint) => endpoint.topic_type === type);
    const [other] = all;
    if (fitting.length === 0) {
      if (other === undefined) return;
      const message = `${topic}: expected type ${type}, found a publisher of ${other.topic_type}`;
      this.#tell(watched, message, 'Correct its type in graph.ros2.topics.');
      return;
    }
    const reliability = reliabilityFor(watched.wanted, fitting);
    const durability = durabilityFor(watched.wanted, fitting);
    const before = watched.subscribed;
    // Somebody offers less than all before: with `auto` the subscription asks for less, too, or would never hear them.
    const isWeaker =
      (before?.reliability === 'reliable' && reliability === 'best_effort') ||
      (before?.durability === 'transient_local' && durability === 'volatile');
    if (before === null || isWeaker) this.#subscribe(watched, reliability, durability);
    this.#tellOffered(watched, fitting);
    if (watched.subscribed !== null) this.#tellUnmet(watched, watched.subscribed, fitting);
  }

  #subscribe(watched: Watched, reliability: Reliability, durability: Durability): void {
    const { topic, type, depth } = watched.wanted;
    try {
      const qos = qosOf(this.#library, reliability, durability, depth);
      this.#wake();
      if (watched.subscribed !== null) this.#node.destroySubscription(watched.subscribed.handle);
      watched.subscribed = null;
      const handle = this.#node.createSubscription(typeClass(type), topic, { qos, isRaw: true }, (cdr) =>
        this.#received(watched, cdr),
      );
      watched.subscribed = { handle, reliability, durability };
    } catch (error) {
      const [pkgName = ''] = type.split('/');
      const message = `${topic} cannot be recorded: ${firstLine(error)}`;
      this.#tell(watched, message, `Source a workspace that has the package ${pkgName} with ${type}.`);
    }
  }

  /** An exception here would end the process. */
  #received(watched: Watched, cdr: Buffer): void {
    try {
      const monotonicNs = process.hrtime.bigint();
      if (cdr.length >= LEAST_BYTES && this.#take(watched.channel, monotonicNs, cdr, watched.droppedCount)) {
        this.received += 1;
        watched.droppedCount = 0;
        return;
      }
    } catch (error) {
      this.#tell(watched, `${watched.wanted.topic}: ${firstLine(error)}`, '');
    }
    this.lost += 1;
    watched.droppedCount += 1;
  }

  #tellOffered(watched: Watched, endpoints: readonly RosEndpoint[]): void {
    const qos = endpoints.map(asRosbag2);
    const text = JSON.stringify(qos);
    if (text === watched.offered) return;
    watched.offered = text;
    this.#report({ kind: 'offered', channel: watched.channel, qos });
  }

  /** A reliable subscription never meets a best-effort publisher, and neither says so: the user is told here. */
  #tellUnmet(
    watched: Watched,
    { reliability, durability }: NonNullable<Watched['subscribed']>,
    all: readonly RosEndpoint[],
  ): void {
    const { topic } = watched.wanted;
    const unmet = all.filter(({ qos_profile: offered }) => {
      const tooWeak = reliability === 'reliable' && offered.reliability === RMW.reliability.best_effort;
      return tooWeak || (durability === 'transient_local' && offered.durability === RMW.durability.volatile);
    });
    if (unmet.length === 0) {
      if (watched.trouble !== '') this.#report({ kind: 'well', subject: topic });
      watched.trouble = '';
      return;
    }
    const message = `${topic}: ${unmet.length} of ${all.length} publishers offer less than ${reliability}, ${durability}`;
    this.#tell(watched, message, 'Ask for less in graph.ros2.topics: reliability: auto, durability: auto.');
  }

  #tell(watched: Watched, message: string, cure: string): void {
    if (watched.trouble === message) return;
    watched.trouble = message;
    this.#report({ kind: 'trouble', subject: watched.wanted.topic, message, cure });
  }
}

/** Reliable only if all publishers are: so every one of them is heard. */
function reliabilityFor(wanted: ForeignSubscription, endpoints: readonly RosEndpoint[]): Reliability {
  if (wanted.reliability !== 'auto') return wanted.reliability;
  const { reliable } = RMW.reliability;
  return endpoints.every(({ qos_profile: qos }) => qos.reliability === reliable) ? 'reliable' : 'best_effort';
}

function durabilityFor(wanted: ForeignSubscription, endpoints: readonly RosEndpoint[]): Durability {
  if (wanted.durability !== 'auto') return wanted.durability;
  const { transient_local: latched } = RMW.durability;
  return endpoints.every(({ qos_profile: qos }) => qos.durability === latched) ? 'transient_local' : 'volatile';
}

/** The profile as rosbag2 writes it. */
function asRosbag2({ qos_profile: qos }: RosEndpoint): Record<string, unknown> {
  const { history, reliability, durability } = RMW;
  return {
    // Endpoints do not tell their history on every middleware.
    history:
      qos.history === history.keep_all ? 'keep_all' : qos.history === history.keep_last ? 'keep_last' : 'unknown',
    depth: qos.depth,
    reliability: qos.reliability === reliability.best_effort ? 'best_effort' : 'reliable',
    durability: qos.durability === durability.transient_local ? 'transient_local' : 'volatile',
    deadline: duration(qos.deadline),
    lifespan: duration(qos.lifespan),
    liveliness: qos.liveliness === RMW.liveliness.automatic ? 'automatic' : 'manual_by_topic',
    liveliness_lease_duration: duration(qos.liveliness_lease_duration),
    avoid_ros_namespace_conventions: qos.avoid_ros_namespace_conventions,
  };
}

function duration({ seconds, nanoseconds }: RosDuration): { sec: number; nsec: number } {
  return { sec: Number(seconds), nsec: nanoseconds };
}
