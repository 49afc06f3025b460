/**
 * Connects the in-process graph with ROS 2: what the spine publishes is published there as the same bytes, the topics of others
 * come into the spine undecoded, services and parameters reach the agent's parts. Without a usable ROS 2 it says so and does
 * nothing else.
 */
import type { Clock, Diagnostic } from '../../drivers/sample.ts';
import type { AgentConfig } from '../config/schema.ts';
import type { Graph } from '../graph.ts';
import type { ForeignTopic } from '../messages/message.ts';
import { readRosDefinition } from './definitions.ts';
import { findRos, type RosSurroundings, rosPrefixes } from './environment.ts';
import {
  HEALTH_NODE,
  plannedNodes,
  plannedTopic,
  plannedTopics,
  RECORDER_NODE,
  type RosNodeDescription,
} from './node-plan.ts';
import type { CallAnswer, ForeignSubscription, ParameterValue, RosPlan } from './protocol.ts';
import { type RosStatistics, RosSupervisor, type RosSupervisorOptions } from './supervisor.ts';

/** Serves a call of `/<namespace>/<node>/<service>`; a rejection is told to the caller. */
export type ServeCall = (node: string, service: string) => Promise<Omit<CallAnswer, 'id'>>;

/** What the bridge is connected to. */
export interface RosBridgeParts {
  readonly graph: Pick<Graph, 'subscribeAll' | 'inject'>;
  readonly clock: Clock;
  readonly report: (diagnostic: Diagnostic) => void;
  readonly serve: ServeCall;
}

/** What the bridge is. */
export interface RosBridgeOptions {
  readonly settings: AgentConfig['graph']['ros2'];
  readonly nodes: readonly RosNodeDescription[];
  /** The node that publishes topics which no description names. */
  readonly otherTopicsNode?: string;
  /** Where ROS 2 is looked for. */
  readonly surroundings: RosSurroundings;
  /** Tests put another process in its place. */
  readonly process?: Partial<Pick<RosSupervisorOptions, 'entry' | 'execArgv'>>;
}

/** A ROS that was not usable is looked for again so often: what its cure asks for may have been done. */
const LOOK_AGAIN_MS = 60_000;
/** The process's own garbage is small; as in the detector's process, whose compile cache it shares. */
const PROCESS_FLAGS: readonly string[] = ['--max-semi-space-size=1', '--optimize-for-size', '--v8-pool-size=1'];
/** Of no use to ROS, and too large for an environment to be handed on. */
const PRIVATE_VARIABLES = ['FENDER_CHECKED', 'NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'];

interface Foreign {
  readonly subscription: ForeignSubscription;
  readonly schemaText: string;
  topic: ForeignTopic;
  /** Messages lost since the latest that came. */
  lostCount: number;
}

/** The bridge of one agent, or of one sensor node that runs alone. */
export class RosBridge {
  readonly #options: RosBridgeOptions;
  readonly #parts: RosBridgeParts;
  readonly #supervisor: RosSupervisor;
  readonly #foreign: Foreign[] = [];
  readonly #refused: Diagnostic[] = [];
  #unsubscribe: () => void = () => {};
  #lookingAgain: NodeJS.Timeout | null = null;

  constructor(options: RosBridgeOptions, parts: RosBridgeParts) {
    this.#options = options;
    this.#parts = parts;
    const { settings, process: other, surroundings } = options;
    this.#supervisor = new RosSupervisor(
      {
        plan: ({ isFirst }) => this.#plan(isFirst),
        queueBytes: settings.queue_bytes,
        hangTimeoutMs: settings.hang_timeout_s * 1_000,
        startTimeoutMs: settings.start_timeout_s * 1_000,
        entry: other?.entry ?? new URL('./ros-process.ts', import.meta.url),
        execArgv: other?.execArgv ?? PROCESS_FLAGS,
        env: Object.fromEntries(Object.entries(surroundings.env).filter(([name]) => !PRIVATE_VARIABLES.includes(name))),
      },
      {
        received: (index, monotonicNs, data) => this.#receive(index, monotonicNs, data),
        dropped: (index, count) => this.#countLost(index, count),
        offered: (index, qos) => this.#takeOffered(index, qos),
        parameter: (parameter) => this.#setParameter(parameter),
        call: parts.serve,
        diagnostic: (diagnostic) => this.#tell(diagnostic),
      },
    );
  }

  /** Starts the ROS process when ROS 2 is there, and goes on looking for it when it is not. */
  start(): void {
    const found = findRos(this.#options.surroundings);
    if ('problem' in found) {
      const { code, message, cure } = found.problem;
      this.#parts.report({ source: 'ros', level: 'error', code, message, cure, values: {} });
      // What was not sourced when this process started never will be.
      if (code === 'not-sourced') return;
      this.#lookingAgain = setTimeout(() => this.start(), LOOK_AGAIN_MS).unref();
      return;
    }
    this.#findDefinitions();
    const planned = new Map(plannedTopics(this.#options.nodes).map((each) => [each.topic, each]));
    const otherNode = this.#options.otherTopicsNode ?? HEALTH_NODE;
    this.#unsubscribe = this.#parts.graph.subscribeAll('ros', ({ topic, type, data, foreign }) => {
      if (foreign !== undefined) return;
      this.#supervisor.publish(topic, data, () => planned.get(topic) ?? plannedTopic(otherNode, topic, type));
    });
    this.#supervisor.start();
  }

  statistics(): RosStatistics {
    return this.#supervisor.statistics();
  }

  /** Takes the nodes out of ROS in at most `timeoutMs`. */
  async stop(timeoutMs: number): Promise<void> {
    if (this.#lookingAgain !== null) clearTimeout(this.#lookingAgain);
    this.#unsubscribe();
    await this.#supervisor.stop(timeoutMs);
  }

  #plan(isFirst: boolean): RosPlan {
    const { settings, nodes } = this.#options;
    return {
      namespace: settings.namespace,
      rosArguments: settings.arguments,
      nodes: plannedNodes(nodes),
      topics: plannedTopics(nodes),
      foreign: this.#foreign.map(({ subscription }) => subscription),
      foreignNode: RECORDER_NODE,
      queueBytes: settings.queue_bytes,
      hearsOverrides: isFirst,
    };
  }

  #findDefinitions(): void {
    const own = new Set(plannedTopics(this.#options.nodes).map(({ topic }) => topic));
    for (const subscription of this.#options.settings.topics) {
      const { topic, type } = subscription;
      try {
        if (own.has(topic)) throw new Error(`${topic} is published by this vehicle itself and recorded anyway`);
        const schemaText = readRosDefinition(type, rosPrefixes(this.#options.surroundings.env));
        this.#foreign.push({
          subscription,
          schemaText,
          topic: { schemaText, offeredQos: assumedQos(subscription) },
          lostCount: 0,
        });
      } catch (error) {
        this.#refuse(topic, error);
      }
    }
  }

  #refuse(topic: string, error: unknown): void {
    const message = `${topic} is not recorded: ${error instanceof Error ? error.message : String(error)}`;
    if (this.#refused.some((each) => each.message === message)) return;
    const cure = 'Correct graph.ros2.topics, or source the workspace that has its package.';
    this.#refused.push({ source: 'ros', level: 'warn', code: 'topics', message, cure, values: {} });
  }

  #receive(index: number, monotonicNs: bigint, data: Uint8Array): void {
    const foreign = this.#foreign[index];
    if (foreign === undefined) return;
    const { topic, type } = foreign.subscription;
    const message = { topic, type, stamp: this.#parts.clock.at(monotonicNs), data, foreign: foreign.topic };
    try {
      this.#parts.graph.inject(message, foreign.lostCount);
      foreign.lostCount = 0;
    } catch (error) {
      // Another part has a topic of this name and another type. An exception in here would end the ROS process, again and again.
      foreign.lostCount += 1;
      this.#refuse(topic, error);
    }
  }

  #countLost(index: number, count: number): void {
    const foreign = this.#foreign[index];
    if (foreign !== undefined) foreign.lostCount += count;
  }

  #takeOffered(index: number, offeredQos: readonly Record<string, unknown>[]): void {
    const foreign = this.#foreign[index];
    if (foreign !== undefined) foreign.topic = { schemaText: foreign.schemaText, offeredQos };
  }

  #setParameter({ node, name, value }: ParameterValue): boolean {
    const description = this.#options.nodes.find((each) => each.name === node);
    return description?.parameters.find((each) => each.name === name)?.write(value) ?? false;
  }

  /** Topics that cannot be recorded are not forgotten because all else is well. */
  #tell(diagnostic: Diagnostic): void {
    const [refused] = this.#refused;
    if (diagnostic.level !== 'ok' || refused === undefined) this.#parts.report(diagnostic);
    else this.#parts.report({ ...refused, values: diagnostic.values });
  }
}

/** What a publisher that was not asked yet is taken to offer: what the subscription asks for. */
function assumedQos({ reliability, durability, depth }: ForeignSubscription): Record<string, unknown>[] {
  const forever = { sec: 9_223_372_036, nsec: 854_775_807 };
  return [
    {
      history: 'keep_last',
      depth,
      reliability: reliability === 'auto' ? 'reliable' : reliability,
      durability: durability === 'auto' ? 'volatile' : durability,
      deadline: forever,
      lifespan: forever,
      liveliness: 'automatic',
      liveliness_lease_duration: forever,
      avoid_ros_namespace_conventions: false,
    },
  ];
}
