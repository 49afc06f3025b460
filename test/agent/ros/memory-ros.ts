/**
 * A ROS 2 in memory behind the interface of rclnodejs: publishers and subscriptions of one process meet when their QoS does,
 * services can be called, parameters set and overridden.
 */
import type {
  RosEndpoint,
  RosLibrary,
  RosNode,
  RosParameter,
  RosPublisher,
  RosQos,
  RosResponse,
  RosTypeClass,
} from '../../../agent/ros/rclnodejs.ts';
import { RMW } from '../../../agent/ros/rclnodejs.ts';

interface Subscription {
  readonly topic: string;
  readonly type: string;
  readonly qos: RosQos;
  readonly take: (cdr: Buffer) => void;
}

type Check = (parameters: readonly RosParameter[]) => { readonly successful: boolean; readonly reason: string };
type Call = (request: unknown, response: RosResponse) => void;

const FOREVER = { seconds: 9_223_372_036n, nanoseconds: 854_775_807 };

/** The middleware that all nodes of one process share. */
export class MemoryRos {
  readonly nodes: MemoryNode[] = [];
  readonly publishers: { readonly topic: string; readonly type: string; readonly qos: RosQos }[] = [];
  readonly subscriptions: Subscription[] = [];
  readonly services = new Map<string, Call>();
  /** Value of `node.parameter` as a command line would override it. */
  readonly overrides = new Map<string, unknown>();
  /** Types that nobody has built. */
  readonly unknownTypes = new Set<string>();
  /** Sees each published message. */
  onPublish: (topic: string, cdr: Buffer) => void = () => {};
  argv: readonly string[] = [];
  isShutDown = false;

  readonly library: RosLibrary;

  constructor() {
    const ros = this;
    this.library = {
      Node: class extends MemoryNode {
        constructor(name: string, namespace: string) {
          super(ros, name, namespace);
        }
      },
      QoS: class {
        readonly history: number;
        readonly depth: number;
        readonly reliability: number;
        readonly durability: number;

        constructor(history: number, depth: number, reliability: number, durability: number) {
          this.history = history;
          this.depth = depth;
          this.reliability = reliability;
          this.durability = durability;
        }
      },
      Parameter: class {
        readonly name: string;
        readonly type: number;
        readonly value: unknown;

        constructor(name: string, type: number, value: unknown) {
          this.name = name;
          this.type = type;
          this.value = value;
        }
      },
      ParameterDescriptor: class {
        readonly name: string;
        readonly readOnly: boolean;

        constructor(name: string, _type: number, _description: string, readOnly: boolean) {
          this.name = name;
          this.readOnly = readOnly;
        }
      },
      ParameterType: { PARAMETER_BOOL: 1, PARAMETER_DOUBLE: 3, PARAMETER_STRING: 4 },
      init: async (_context, argv) => {
        ros.argv = argv;
      },
      shutdown: () => {
        ros.isShutDown = true;
      },
      removeSignalHandlers: () => {},
    };
  }

  /** A publisher of somebody else. */
  publisher(topic: string, type: string, qos: { reliable: boolean; latched?: boolean }): (cdr: Buffer) => void {
    const profile = {
      history: RMW.history.keep_last,
      depth: 7,
      reliability: qos.reliable ? RMW.reliability.reliable : RMW.reliability.best_effort,
      durability: qos.latched ? RMW.durability.transient_local : RMW.durability.volatile,
    };
    this.publishers.push({ topic, type, qos: profile });
    return (cdr) => this.deliver(topic, type, profile, cdr);
  }

  /** Calls a service by its full name. */
  call(name: string): Promise<{ readonly success: boolean; readonly message: string }> {
    return new Promise((resolve, reject) => {
      const call = this.services.get(name);
      if (call === undefined) reject(new Error(`no service ${name}`));
      else call({}, { send: resolve });
    });
  }

  deliver(topic: string, type: string, offered: RosQos, cdr: Buffer): void {
    for (const subscription of this.subscriptions) {
      if (subscription.topic !== topic || subscription.type !== type) continue;
      const { reliable } = RMW.reliability;
      const tooWeak = subscription.qos.reliability === reliable && offered.reliability !== reliable;
      if (!tooWeak) subscription.take(Buffer.from(cdr));
    }
  }

  endpoints(topic: string): RosEndpoint[] {
    return this.publishers
      .filter((publisher) => publisher.topic === topic)
      .map(({ type, qos }) => ({
        topic_type: type,
        qos_profile: {
          ...qos,
          lifespan: FOREVER,
          deadline: FOREVER,
          liveliness: RMW.liveliness.automatic,
          liveliness_lease_duration: FOREVER,
          avoid_ros_namespace_conventions: false,
        },
      }));
  }
}

/** A node in memory. */
class MemoryNode implements RosNode {
  readonly #ros: MemoryRos;
  readonly #name: string;
  readonly #namespace: string;
  readonly parameters = new Map<string, unknown>();
  readonly #readOnly = new Set<string>();
  readonly #checks: Check[] = [];
  readonly #changes: ((parameters: readonly RosParameter[]) => RosParameter[])[] = [];
  isSpinning = false;

  constructor(ros: MemoryRos, name: string, namespace: string) {
    this.#ros = ros;
    this.#name = name;
    this.#namespace = namespace;
    ros.nodes.push(this);
  }

  name(): string {
    return this.#name;
  }

  namespace(): string {
    return this.#namespace;
  }

  createPublisher(type: RosTypeClass, topic: string, { qos }: { readonly qos: RosQos }): RosPublisher {
    const name = this.#typeName(type);
    this.#ros.publishers.push({ topic, type: name, qos });
    return {
      publish: (cdr) => {
        this.#ros.onPublish(topic, cdr);
        this.#ros.deliver(topic, name, qos, cdr);
      },
    };
  }

  createSubscription(
    type: RosTypeClass,
    topic: string,
    { qos }: { readonly qos: RosQos; readonly isRaw: true },
    take: (cdr: Buffer) => void,
  ): unknown {
    const subscription = { topic, type: this.#typeName(type), qos, take };
    this.#ros.subscriptions.push(subscription);
    return subscription;
  }

  destroySubscription(subscription: unknown): void {
    const { subscriptions } = this.#ros;
    subscriptions.splice(subscriptions.indexOf(subscription as Subscription), 1);
  }

  createService(_type: string, name: string, _options: Readonly<Record<string, never>>, call: Call): unknown {
    this.#ros.services.set(name.replace('~', `${this.#namespace}/${this.#name}`), call);
    return name;
  }

  createGuardCondition() {
    return { trigger: () => {} };
  }

  declareParameter(parameter: RosParameter, descriptor: unknown, ignoreOverride: boolean): RosParameter {
    const override = this.#ros.overrides.get(`${this.#name}.${parameter.name}`);
    const given = ignoreOverride || override === undefined ? parameter.value : override;
    const value = this.#changed({ name: parameter.name, value: given }).value;
    if (typeof value !== typeof parameter.value) throw new Error(`Parameter ${parameter.name} does not  readonly`);
    this.parameters.set(parameter.name, value);
    if ((descriptor as { readOnly: boolean }).readOnly) this.#readOnly.add(parameter.name);
    return { name: parameter.name, value };
  }

  #changed(parameter: RosParameter): RosParameter {
    return this.#changes.reduce((now, change) => change([now])[0] ?? now, parameter);
  }

  setParameter(parameter: RosParameter): { successful: boolean; reason: string } {
    const { name, value } = this.#changed(parameter);
    if (this.#readOnly.has(name)) return { successful: false, reason: `Parameter ${name} is readonly` };
    for (const check of this.#checks) {
      const result = check([{ name, value }]);
      if (!result.successful) return result;
    }
    this.parameters.set(name, value);
    return { successful: true, reason: '' };
  }

  addPreSetParametersCallback(change: (parameters: readonly RosParameter[]) => RosParameter[]): void {
    this.#changes.push(change);
  }

  addOnSetParametersCallback(check: Check): void {
    this.#checks.push(check);
  }

  getPublishersInfoByTopic(topic: string): readonly RosEndpoint[] {
    return this.#ros.endpoints(topic);
  }

  resolveTopicName(topic: string): string {
    return topic;
  }

  spin(): void {
    this.isSpinning = true;
  }

  destroy(): void {
    this.isSpinning = false;
  }

  #typeName(type: RosTypeClass): string {
    const { pkgName, subFolder, interfaceName } = type.type();
    const name = `${pkgName}/${subFolder}/${interfaceName}`;
    if (this.#ros.unknownTypes.has(name)) throw new Error(`${pkgName} is not found, at /somewhere/in/rcl.c:12`);
    return name;
  }
}
