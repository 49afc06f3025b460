import { describe, expect, test } from 'vitest';
import { Graph } from '../../../agent/graph.ts';
import { ForeignTopics, type TakeForeign } from '../../../agent/ros/foreign-topics.ts';
import type { ForeignSubscription, RosReport } from '../../../agent/ros/protocol.ts';
import { RMW } from '../../../agent/ros/rclnodejs.ts';
import { MemoryRos } from './memory-ros.ts';

const TYPE = 'sensor_msgs/msg/Imu';
const cdr = (value: number): Buffer => Buffer.from([0, 1, 0, 0, value]);

/** One topic of others, wanted as `wanted` says; what was taken as `[value, lostBefore]`, and what was told. */
function watch(wanted: Partial<ForeignSubscription> = {}, accept: (value: number) => boolean = () => true) {
  const ros = new MemoryRos();
  const taken: [number, number][] = [];
  const told: RosReport[] = [];
  const take: TakeForeign = (_channel, _time, bytes, lostBefore) => {
    const value = bytes[4] as number;
    if (!accept(value)) return false;
    taken.push([value, lostBefore]);
    return true;
  };
  const subscription = { topic: '/imu', type: TYPE, reliability: 'auto', durability: 'auto', depth: 5 } as const;
  const node = new ros.library.Node('recorder', '/fender');
  let awake = false;
  const topics = new ForeignTopics(
    ros.library,
    node,
    [{ ...subscription, ...wanted }],
    take,
    (each) => told.push(each),
    () => {
      awake = true;
    },
  );
  topics.start();
  return { ros, topics, taken, told, isAwake: () => awake };
}

describe('a topic of others', () => {
  test('is heard of all its publishers: as best effort when one of them is', () => {
    const { ros, topics, taken } = watch();
    const reliable = ros.publisher('/imu', TYPE, { reliable: true });
    const hasty = ros.publisher('/imu', TYPE, { reliable: false });
    topics.look();
    reliable(cdr(1));
    hasty(cdr(2));
    expect(taken.map(([value]) => value)).toEqual([1, 2]);
    expect(ros.subscriptions.map(({ qos }) => qos)).toMatchObject([
      { reliability: RMW.reliability.best_effort, durability: RMW.durability.volatile, depth: 5 },
    ]);
  });

  test('is asked for what was said before when all its publishers keep it', () => {
    const { ros, topics, told } = watch();
    topics.look();
    expect(ros.subscriptions).toEqual([]);
    ros.publisher('/imu', TYPE, { reliable: true, latched: true });
    topics.look();
    topics.look();
    expect(ros.subscriptions.map(({ qos }) => qos)).toMatchObject([
      { reliability: RMW.reliability.reliable, durability: RMW.durability.transient_local },
    ]);
    expect(told).toMatchObject([
      { kind: 'offered', qos: [{ reliability: 'reliable', durability: 'transient_local', depth: 7 }] },
    ]);
  });

  test('is asked for less when somebody comes who offers less', () => {
    const { ros, topics, taken, told } = watch();
    const latched = ros.publisher('/imu', TYPE, { reliable: true, latched: true });
    topics.look();
    const hasty = ros.publisher('/imu', TYPE, { reliable: false });
    hasty(cdr(1));
    topics.look();
    latched(cdr(2));
    hasty(cdr(3));
    expect(taken.map(([value]) => value)).toEqual([2, 3]);
    expect(ros.subscriptions.map(({ qos }) => qos)).toMatchObject([
      { reliability: RMW.reliability.best_effort, durability: RMW.durability.volatile },
    ]);
    // Nothing is asked for again when the weak one goes: what was said before would come twice.
    ros.publishers.pop();
    const [subscription] = ros.subscriptions;
    topics.look();
    expect(ros.subscriptions).toEqual([subscription]);
    expect(told.filter(({ kind }) => kind === 'trouble')).toEqual([]);
  });

  test('wakes the thread of its node before it is subscribed to, or all would wait for it', () => {
    const { ros, topics, isAwake } = watch();
    topics.look();
    expect(isAwake()).toBe(false);
    ros.publisher('/imu', TYPE, { reliable: true });
    topics.look();
    expect(isAwake()).toBe(true);
  });

  test('that a reliable subscription would never hear is told, until it is heard', () => {
    const { ros, topics, told } = watch({ reliability: 'reliable', durability: 'volatile' });
    expect(ros.subscriptions).toHaveLength(1);
    ros.publisher('/imu', TYPE, { reliable: false });
    topics.look();
    topics.look();
    const troubles = told.filter(({ kind }) => kind === 'trouble');
    expect(troubles).toMatchObject([
      { subject: '/imu', message: '/imu: 1 of 1 publishers offer less than reliable, volatile' },
    ]);
    ros.publishers.splice(0);
    ros.publisher('/imu', TYPE, { reliable: true });
    topics.look();
    expect(told.filter(({ kind }) => kind === 'well')).toHaveLength(1);
  });

  test('of another type than configured is told', () => {
    const { ros, topics, told } = watch();
    ros.publisher('/imu', 'std_msgs/msg/String', { reliable: true });
    topics.look();
    expect(told).toMatchObject([
      { kind: 'trouble', message: `/imu: expected type ${TYPE}, found a publisher of std_msgs/msg/String` },
    ]);
    expect(ros.subscriptions).toEqual([]);
  });

  test('of a type that nobody has built is told with its package, and harms nothing', () => {
    const { ros, topics, told } = watch();
    ros.unknownTypes.add(TYPE);
    ros.publisher('/imu', TYPE, { reliable: true });
    topics.look();
    expect(told[0]).toMatchObject({
      message: '/imu cannot be recorded: sensor_msgs is not found',
      cure: `Source a workspace that has the package sensor_msgs with ${TYPE}.`,
    });
  });

  test('loses nothing uncounted: what had to be dropped is told with the next message', () => {
    const { ros, topics, taken } = watch({}, (value) => {
      if (value === 3) throw new Error('no room');
      return value > 3 || value === 1;
    });
    const publish = ros.publisher('/imu', TYPE, { reliable: true });
    topics.look();
    for (const value of [1, 2, 3]) publish(cdr(value));
    publish(Buffer.from([0, 1]));
    for (const value of [4, 5]) publish(cdr(value));
    expect(taken).toEqual([
      [1, 0],
      [4, 3],
      [5, 0],
    ]);
    expect({ received: topics.received, lost: topics.lost }).toEqual({ received: 3, lost: 3 });
  });

  test('has a sequence in the graph that leaves out what was lost', () => {
    const graph = new Graph();
    const sequences: number[] = [];
    graph.subscribeAll('test', ({ sequence }) => sequences.push(sequence));
    const stamp = { capturedAtNs: 0n, monotonicNs: 0n, bootId: '', synchronised: false, estimatedErrorNs: null };
    const message = { topic: '/imu', type: TYPE, stamp, data: cdr(1) };
    graph.inject(message);
    graph.inject(message, 3);
    graph.inject(message);
    expect(sequences).toEqual([0, 4, 5]);
    expect(() => graph.inject({ ...message, type: 'std_msgs/msg/String' })).toThrow(/expected type sensor_msgs/);
  });
});
