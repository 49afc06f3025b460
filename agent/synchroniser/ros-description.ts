/** The synchroniser as ROS users see it: a node with its topic, and its settings as parameters. */
import { synchronizedSetTopic } from '../nodes/topics.ts';
import type { NodeParameter, RosNodeDescription } from '../ros/node-plan.ts';
import type { SynchroniserNode } from './synchroniser-node.ts';

/** As the configuration allows it. */
const SLOP_RANGE_MS: readonly [number, number] = [0, 3_600_000];

/** The node `synchroniser`; `slop_ms` may be set at any time, with the approximate policy. */
export function synchroniserDescription(node: SynchroniserNode): RosNodeDescription {
  const { options } = node;
  const isApproximate = options.policy === 'approximate';
  const slop: NodeParameter = {
    name: 'slop_ms',
    description: 'Longest time between the messages of one set in ms.',
    readOnly: !isApproximate,
    range: SLOP_RANGE_MS,
    read: () => Number(node.slopNs) / 1e6,
    write: (value) => {
      if (typeof value !== 'number' || !isApproximate) return false;
      node.slopNs = BigInt(Math.round(value * 1e6));
      return true;
    },
  };
  return {
    name: 'synchroniser',
    topics: [synchronizedSetTopic],
    parameters: [
      fixed('policy', options.policy, 'approximate or exact.'),
      fixed('topics', options.topics.join(' '), 'The topics that are put together.'),
      slop,
      fixed('queue_size', options.queueSize, 'Messages of each topic that may wait.'),
      fixed('age_penalty', options.agePenalty, 'By how much a later set must be shorter.'),
    ],
    triggers: [],
  };
}

function fixed(name: string, value: string | number, description: string): NodeParameter {
  return { name, description, readOnly: true, read: () => value, write: () => false };
}
