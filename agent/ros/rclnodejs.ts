/**
 * The part of rclnodejs that is used here, typed by hand: its own types are generated where ROS 2 is sourced, and importing it
 * before the checks of environment.ts can end the process. Tests put another library behind the same interface.
 */
import { createRequire } from 'node:module';

/** Values of rmw/types.h. */
export const RMW = {
  history: { keep_last: 1, keep_all: 2 },
  reliability: { reliable: 1, best_effort: 2 },
  durability: { transient_local: 1, volatile: 2 },
  liveliness: { automatic: 1 },
} as const;

/** A QoS profile in rmw's numbers; opaque but for these. */
export interface RosQos {
  readonly history: number;
  readonly depth: number;
  readonly reliability: number;
  readonly durability: number;
}

/** A duration as endpoints tell it; infinite ones are very large. */
export interface RosDuration {
  readonly seconds: bigint;
  readonly nanoseconds: number;
}

/** A publisher or subscription of anybody on a topic. */
export interface RosEndpoint {
  readonly topic_type: string;
  readonly qos_profile: RosQos & {
    readonly lifespan: RosDuration;
    readonly deadline: RosDuration;
    readonly liveliness: number;
    readonly liveliness_lease_duration: RosDuration;
    readonly avoid_ros_namespace_conventions: boolean;
  };
}

/** Names a message type without loading its class, which raw messages have no use for. */
export interface RosTypeClass {
  type(): { readonly pkgName: string; readonly subFolder: string; readonly interfaceName: string };
}

export interface RosPublisher {
  /** Publishes CDR with its encapsulation header; throws when the middleware refuses. */
  publish(cdr: Buffer): void;
}

export interface RosParameter {
  readonly name: string;
  readonly value: unknown;
}

/** A request that is answered by `send`. */
export interface RosResponse {
  send(response: { readonly success: boolean; readonly message: string }): void;
}

export interface RosGuardCondition {
  trigger(): void;
}

export interface RosNode {
  name(): string;
  namespace(): string;
  createPublisher(type: RosTypeClass, topic: string, options: { readonly qos: RosQos }): RosPublisher;
  /** An exception in `take` ends the process. */
  createSubscription(
    type: RosTypeClass,
    topic: string,
    options: { readonly qos: RosQos; readonly isRaw: true },
    take: (cdr: Buffer) => void,
  ): unknown;
  destroySubscription(subscription: unknown): void;
  createService(
    type: 'std_srvs/srv/Trigger',
    name: string,
    options: Readonly<Record<string, never>>,
    call: (request: unknown, response: RosResponse) => void,
  ): unknown;
  createGuardCondition(handle: () => void): RosGuardCondition;
  declareParameter(parameter: RosParameter, descriptor: unknown, ignoreOverride: boolean): RosParameter;
  setParameter(parameter: RosParameter): { readonly successful: boolean; readonly reason: string | null };
  /** Sees, and may change, what is about to be set or declared. */
  addPreSetParametersCallback(change: (parameters: readonly RosParameter[]) => RosParameter[]): void;
  addOnSetParametersCallback(
    check: (parameters: readonly RosParameter[]) => { readonly successful: boolean; readonly reason: string },
  ): void;
  getPublishersInfoByTopic(topic: string): readonly RosEndpoint[];
  resolveTopicName(topic: string): string;
  /** Serves the node in a thread of its own that looks up at least each `timeoutMs`. */
  spin(timeoutMs: number): void;
  /** Ends its thread, waiting for it, and all that it has. */
  destroy(): void;
}

export interface RosLibrary {
  readonly Node: new (name: string, namespace: string) => RosNode;
  readonly QoS: new (
    history: number,
    depth: number,
    reliability: number,
    durability: number,
    liveliness: number,
  ) => RosQos;
  readonly Parameter: new (name: string, type: number, value: unknown) => RosParameter;
  readonly ParameterDescriptor: new (name: string, type: number, description: string, readOnly: boolean) => unknown;
  readonly ParameterType: {
    readonly PARAMETER_BOOL: number;
    readonly PARAMETER_DOUBLE: number;
    readonly PARAMETER_STRING: number;
  };
  init(context: undefined, argv: readonly string[]): Promise<void>;
  shutdown(): void;
  removeSignalHandlers(): void;
}

/** Loads rclnodejs. Only after `findRos` found it, and only in a process that may end: loading the addon may end it. */
export async function loadRclnodejs(addonPath: string): Promise<RosLibrary> {
  // Loaded here first: when that fails, rclnodejs would delete the addon and build it anew.
  createRequire(import.meta.url)(addonPath);
  const name: string = 'rclnodejs';
  const { default: library } = (await import(name)) as { default: RosLibrary };
  // SIGINT is the agent's business.
  library.removeSignalHandlers();
  return library;
}
