/**
 * Measures the synchroniser: the policy alone on three topics of equal rate, which makes the most sets, and the whole node with the
 * vehicle's own rates, from the graph to the published set.
 */
import { Graph } from '../../agent/graph.ts';
import { ApproximateTime } from '../../agent/synchroniser/approximate-time.ts';
import { SynchroniserNode } from '../../agent/synchroniser/synchroniser-node.ts';
import type { Clock, Stamp } from '../../drivers/sample.ts';

/** What a run of the benchmark gives. */
export interface SynchroniserBench {
  /** Messages a second through the policy alone: three topics of equal rate, a third as many sets. */
  readonly policyPerS: number;
  /** Messages a second through the node: sound 10 times as often as the two others, a twelfth as many sets. */
  readonly nodePerS: number;
  readonly policySets: number;
  readonly nodeSets: number;
  readonly messages: number;
}

const TOPICS = ['/uma8/audio', '/plantower/particulate', '/bme680/temperature'] as const;
const SLOP_NS = 600_000_000n;
const MESSAGES = 1_200_000;
const QUEUE_SIZE = 100;

interface Arrival {
  readonly topic: number;
  readonly stampNs: bigint;
}

/** Messages of periodic topics with some jitter, in the order of their stamps. */
function arrivals(periodsNs: readonly number[], count: number): Arrival[] {
  const nextNs = periodsNs.map((periodNs, topic) => 1e9 + periodNs / (topic + 2));
  let random = 12_345;
  return Array.from({ length: count }, () => {
    let topic = 0;
    for (const [index, ns] of nextNs.entries()) if (ns < (nextNs[topic] as number)) topic = index;
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    const stampNs = BigInt(Math.round(nextNs[topic] as number) + (random % 1_000_000));
    nextNs[topic] = (nextNs[topic] as number) + (periodsNs[topic] as number);
    return { topic, stampNs };
  });
}

/** Best of five: what other processes take of the machine says nothing about the synchroniser. */
function fastest(run: () => number): { readonly perS: number; readonly sets: number } {
  let perS = 0;
  let sets = 0;
  for (let round = 0; round < 5; round += 1) {
    const startedMs = performance.now();
    sets = run();
    perS = Math.max(perS, (1000 * MESSAGES) / (performance.now() - startedMs));
  }
  return { perS, sets };
}

function throughPolicy(messages: readonly Arrival[]): number {
  const policy = new ApproximateTime<number>({ topics: 3, queueSize: QUEUE_SIZE, maxIntervalNs: SLOP_NS });
  let sets = 0;
  for (const { topic, stampNs } of messages) sets += policy.push(topic, stampNs, topic).length;
  return sets;
}

function throughNode(messages: readonly Arrival[]): number {
  let nowNs = 0n;
  const at = (monotonicNs: bigint): Stamp => ({
    capturedAtNs: 1_764_000_000_000_000_000n + monotonicNs,
    monotonicNs,
    bootId: 'bench',
    synchronised: true,
    estimatedErrorNs: null,
  });
  const clock: Clock = { monotonicNs: () => nowNs, now: () => at(nowNs), at };
  const graph = new Graph();
  const node = new SynchroniserNode(
    { graph, clock, report: () => {} },
    {
      policy: 'approximate',
      topics: TOPICS,
      queueSize: QUEUE_SIZE,
      slopNs: SLOP_NS,
      agePenalty: 0.1,
      lowerBoundsNs: {},
    },
  );
  const stopping = new AbortController();
  void node.run(stopping.signal);
  const data = new Uint8Array(4);
  for (const { topic, stampNs } of messages) {
    nowNs = stampNs;
    graph.inject({ topic: TOPICS[topic] as string, type: 'std_msgs/msg/Empty', stamp: at(stampNs), data });
  }
  stopping.abort();
  return node.figures().sets;
}

/** Runs both, about 10 s. */
export function benchSynchroniser(): SynchroniserBench {
  const equal = arrivals([100e6, 100e6, 100e6], MESSAGES);
  const policy = fastest(() => throughPolicy(equal));
  const vehicle = arrivals([100e6, 1000e6, 1000e6], MESSAGES);
  const node = fastest(() => throughNode(vehicle));
  return {
    policyPerS: policy.perS,
    nodePerS: node.perS,
    policySets: policy.sets,
    nodeSets: node.sets,
    messages: MESSAGES,
  };
}
