/** The ROS nodes of a plan: their publishers, parameters and services. Lives in the ROS process. */
import type {
  CallAnswer,
  ParameterScalar,
  ParameterValue,
  PlannedNode,
  PlannedParameter,
  PlannedTopic,
  RosPlan,
  RosReport,
} from './protocol.ts';
import {
  RMW,
  type RosGuardCondition,
  type RosLibrary,
  type RosNode,
  type RosParameter,
  type RosPublisher,
  type RosQos,
  type RosResponse,
  type RosTypeClass,
} from './rclnodejs.ts';

/** Calls that may wait for the agent's answer; more are refused at once. */
const MAX_CALLS = 16;
/** How often a node's thread looks up at least, in ms. Data and requests wake it at once; for other changes see `wake`. */
const SPIN_MS = 1_000;

/** The type of that name; its class is not loaded. @throws RangeError when it is not `package/msg/Name`. */
export function typeClass(type: string): RosTypeClass {
  const [pkgName, subFolder, interfaceName, more] = type.split('/');
  if (pkgName === undefined || subFolder !== 'msg' || interfaceName === undefined || more !== undefined) {
    throw new RangeError(`message type: expected package/msg/Name, found ${type}`);
  }
  // rclnodejs wants a class here and asks it for nothing but its type.
  return Object.assign(() => {}, { type: () => ({ pkgName, subFolder: 'msg', interfaceName }) });
}

/** A QoS profile that keeps the last `depth` messages. */
export function qosOf(
  library: RosLibrary,
  reliability: keyof typeof RMW.reliability,
  durability: keyof typeof RMW.durability,
  depth: number,
): RosQos {
  const { history, liveliness } = RMW;
  return new library.QoS(
    history.keep_last,
    depth,
    RMW.reliability[reliability],
    RMW.durability[durability],
    liveliness.automatic,
  );
}

/** The nodes; made whole by the constructor, which throws when ROS refuses a node. */
export class RosNodes {
  readonly #library: RosLibrary;
  readonly #report: (report: RosReport) => void;
  readonly #nodes = new Map<string, RosNode>();
  readonly #guards = new Map<RosNode, RosGuardCondition>();
  readonly #publishers: (RosPublisher | null)[] = [];
  readonly #calls = new Map<number, RosResponse>();
  #lastCall = 0;
  /** Whether a parameter is being set by the agent and not by a user. */
  #isRestoring = false;
  published = 0;
  publishErrors = 0;

  constructor(library: RosLibrary, plan: RosPlan, report: (report: RosReport) => void) {
    this.#library = library;
    this.#report = report;
    for (const node of plan.nodes) this.#add(node, plan);
    plan.topics.forEach((topic, channel) => {
      this.advertise(channel, topic);
    });
  }

  /** The node of that name in the plan. */
  node(name: string): RosNode {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new RangeError(`node ${name}: expected one of the plan's, found none`);
    return node;
  }

  /** Begins to serve all nodes. */
  spin(): void {
    for (const node of this.#nodes.values()) {
      this.#guards.set(
        node,
        node.createGuardCondition(() => {}),
      );
      node.spin(SPIN_MS);
    }
  }

  /**
   * Wakes the node's thread: whoever adds a subscription or takes one away while it sleeps waits for it, up to `SPIN_MS` each time, and
   * with it everything that is published.
   */
  wake(name: string): void {
    this.#guards.get(this.node(name))?.trigger();
  }

  /** Takes the nodes out of the graph. Each one's thread is woken first, or it would be waited for. */
  close(): void {
    for (const node of this.#nodes.values()) {
      this.#guards.get(node)?.trigger();
      node.destroy();
    }
    this.#nodes.clear();
  }

  /** Makes the publisher of a channel. A type that ROS does not know is reported; its messages are then counted as errors. */
  advertise(channel: number, { node, topic, type, reliability, depth }: PlannedTopic): void {
    try {
      const qos = qosOf(this.#library, reliability, 'volatile', depth);
      this.#publishers[channel] = this.node(node).createPublisher(typeClass(type), topic, { qos });
    } catch (error) {
      this.#publishers[channel] = null;
      const [pkgName = ''] = type.split('/');
      this.#report({
        kind: 'trouble',
        subject: topic,
        message: `${topic} cannot be published: ${firstLine(error)}`,
        cure: `Source a workspace that has the package ${pkgName} with ${type}.`,
      });
    }
  }

  /** Publishes CDR on a channel; never throws. */
  publish(channel: number, cdr: Buffer): void {
    try {
      const publisher = this.#publishers[channel];
      if (publisher == null) {
        this.publishErrors += 1;
        return;
      }
      publisher.publish(cdr);
      this.published += 1;
    } catch (error) {
      this.publishErrors += 1;
      if (this.publishErrors > 1) return;
      const message = `a message could not be published: ${firstLine(error)}`;
      this.#report({ kind: 'trouble', subject: 'publishing', message, cure: '' });
    }
  }

  /** Sends the agent's answer to whoever called. */
  answer({ id, success, message }: CallAnswer): void {
    const response = this.#calls.get(id);
    this.#calls.delete(id);
    if (response !== undefined) reply(response, success, message);
  }

  /** Gives a parameter the value that the agent says it has. */
  restore({ node, name, value }: ParameterValue): void {
    this.#isRestoring = true;
    try {
      this.#nodes.get(node)?.setParameter(this.#parameter(name, value));
    } finally {
      this.#isRestoring = false;
    }
  }

  #add(planned: PlannedNode, plan: RosPlan): void {
    const node = new this.#library.Node(planned.name, plan.namespace);
    this.#nodes.set(planned.name, node);
    const byName = new Map(planned.parameters.map((parameter) => [parameter.name, parameter]));
    // Before overrides are looked at, too. Nobody means another number by 2 than by 2.0.
    node.addPreSetParametersCallback((parameters) =>
      parameters.map((each) => {
        const isNumber = typeof byName.get(each.name)?.value === 'number';
        return isNumber && typeof each.value === 'bigint' ? this.#parameter(each.name, Number(each.value)) : each;
      }),
    );
    for (const parameter of planned.parameters) this.#declare(node, planned.name, parameter, plan.hearsOverrides);
    node.addOnSetParametersCallback((parameters) => {
      if (this.#isRestoring) return { successful: true, reason: '' };
      for (const { name, value } of parameters) {
        const reason = refusal(byName.get(name), value);
        if (reason !== null) return { successful: false, reason };
      }
      for (const { name, value } of parameters) {
        if (byName.has(name)) this.#tellParameter(planned.name, name, value as ParameterScalar);
      }
      return { successful: true, reason: '' };
    });
    for (const service of planned.triggers) {
      const call = (_request: unknown, response: RosResponse) => this.#call(planned.name, service, response);
      node.createService('std_srvs/srv/Trigger', `~/${service}`, {}, call);
    }
  }

  #declare(node: RosNode, nodeName: string, parameter: PlannedParameter, hearsOverrides: boolean): void {
    const { name, value, readOnly, isOverridable = !readOnly } = parameter;
    const { ParameterDescriptor } = this.#library;
    const descriptor = new ParameterDescriptor(name, this.#typeOf(value), describe(parameter), readOnly);
    const own = this.#parameter(name, value);
    const refuse = (message: string): void => {
      this.#report({ kind: 'trouble', subject: `${nodeName} ${name}`, message, cure: `It stays ${value}.` });
    };
    let declared: RosParameter;
    try {
      declared = node.declareParameter(own, descriptor, !(hearsOverrides && isOverridable));
    } catch {
      // An override of another type.
      node.declareParameter(own, descriptor, true);
      refuse(`${name}: expected a ${typeof value}`);
      return;
    }
    if (declared.value === value) return;
    const reason = refusal(parameter, declared.value, true);
    if (reason === null) {
      this.#tellParameter(nodeName, name, declared.value as ParameterScalar);
      return;
    }
    refuse(reason);
    node.setParameter(own);
  }

  #tellParameter(node: string, name: string, value: ParameterScalar): void {
    this.#report({ kind: 'parameter', node, name, value });
  }

  #call(node: string, service: string, response: RosResponse): void {
    if (this.#calls.size >= MAX_CALLS) {
      reply(response, false, `${MAX_CALLS} calls wait already`);
      return;
    }
    this.#lastCall += 1;
    this.#calls.set(this.#lastCall, response);
    this.#report({ kind: 'call', id: this.#lastCall, node, service });
  }

  #parameter(name: string, value: ParameterScalar) {
    return new this.#library.Parameter(name, this.#typeOf(value), value);
  }

  #typeOf(value: ParameterScalar): number {
    const { PARAMETER_BOOL, PARAMETER_DOUBLE, PARAMETER_STRING } = this.#library.ParameterType;
    if (typeof value === 'number') return PARAMETER_DOUBLE;
    return typeof value === 'boolean' ? PARAMETER_BOOL : PARAMETER_STRING;
  }
}

/** Answers, unless whoever called is gone: some middlewares throw then. */
function reply(response: RosResponse, success: boolean, message: string): void {
  try {
    response.send({ success, message });
  } catch {
    // Nobody is left to be told.
  }
}

/** Why a value is refused, or null when it is taken. `isOverride`: the node starts, and read-only parameters may change. */
export function refusal(parameter: PlannedParameter | undefined, value: unknown, isOverride = false): string | null {
  // A parameter that is not ours: use_sim_time and the like.
  if (parameter === undefined) return null;
  const { name, readOnly, range } = parameter;
  if (readOnly && !isOverride) return `${name} can be set only when the node starts`;
  if (typeof value !== typeof parameter.value) return `${name}: expected a ${typeof parameter.value}, found ${value}`;
  if (range === undefined || typeof value !== 'number') return null;
  const [from, to] = range;
  return value >= from && value <= to ? null : `${name}: expected a number from ${from} to ${to}, found ${value}`;
}

function describe({ description, range }: PlannedParameter): string {
  return range === undefined ? description : `${description} From ${range[0]} to ${range[1]}.`;
}

/** The first line of an error's message: rcl adds where in its source it happened. */
export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0]?.replace(/, at \/.*$/, '') ?? '';
}
