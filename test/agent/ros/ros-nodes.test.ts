import { expect, test, vi } from 'vitest';
import type { RosPlan, RosReport } from '../../../agent/ros/protocol.ts';
import { RosNodes } from '../../../agent/ros/ros-nodes.ts';
import { MemoryRos } from './memory-ros.ts';

const PLAN: RosPlan = {
  namespace: '/fender',
  rosArguments: [],
  nodes: [
    {
      name: 'bme680',
      parameters: [
        { name: 'period_s', value: 1, description: 'Period.', readOnly: false, range: [0.5, 3600] },
        { name: 'device', value: '/dev/a', description: 'Device.', readOnly: true, isOverridable: true },
        { name: 'address', value: 118, description: 'Address.', readOnly: true },
      ],
      triggers: ['start'],
    },
  ],
  topics: [
    { node: 'bme680', topic: '/gas', type: 'fender_msgs/msg/GasResistance', reliability: 'reliable', depth: 10 },
    { node: 'bme680', topic: '/audio', type: 'foxglove_msgs/msg/RawAudio', reliability: 'best_effort', depth: 200 },
  ],
  foreign: [],
  foreignNode: 'bme680',
  queueBytes: 1,
  hearsOverrides: true,
};

function make(ros: MemoryRos, plan: RosPlan = PLAN) {
  const told: RosReport[] = [];
  const nodes = new RosNodes(ros.library, plan, (report) => told.push(report));
  return { nodes, told };
}

test('a type that ROS does not know costs its topic and no other', () => {
  const ros = new MemoryRos();
  ros.unknownTypes.add('foxglove_msgs/msg/RawAudio');
  const published: string[] = [];
  ros.onPublish = (topic) => published.push(topic);
  const { nodes, told } = make(ros);
  nodes.publish(0, Buffer.alloc(8));
  nodes.publish(1, Buffer.alloc(8));
  expect(published).toEqual(['/gas']);
  expect({ published: nodes.published, publishErrors: nodes.publishErrors }).toEqual({
    published: 1,
    publishErrors: 1,
  });
  expect(told).toMatchObject([
    { kind: 'trouble', subject: '/audio', cure: expect.stringContaining('the package foxglove_msgs') },
  ]);
});

test('what the command line overrides is told, where it may be overridden and is within bounds', () => {
  const ros = new MemoryRos();
  ros.overrides.set('bme680.period_s', 2).set('bme680.device', '/dev/b').set('bme680.address', 119);
  const { told } = make(ros);
  expect(told).toEqual([
    { kind: 'parameter', node: 'bme680', name: 'period_s', value: 2 },
    { kind: 'parameter', node: 'bme680', name: 'device', value: '/dev/b' },
  ]);
  expect([...(ros.nodes[0]?.parameters.entries() ?? [])]).toEqual([
    ['period_s', 2],
    ['device', '/dev/b'],
    ['address', 118],
  ]);
});

test('an override out of bounds is told and does not hold; a restarted process hears none', () => {
  const ros = new MemoryRos();
  ros.overrides.set('bme680.period_s', 0.1);
  expect(make(ros).told).toMatchObject([{ kind: 'trouble', message: expect.stringContaining('from 0.5 to 3600') }]);
  expect(ros.nodes[0]?.parameters.get('period_s')).toBe(1);
  expect(make(ros, { ...PLAN, hearsOverrides: false }).told).toEqual([]);
});

test('a whole number is a number, at the start and later; an override of another type is told and does not hold', () => {
  const ros = new MemoryRos();
  ros.overrides.set('bme680.period_s', 2n).set('bme680.device', true);
  const { told } = make(ros);
  expect(told).toMatchObject([
    { kind: 'parameter', name: 'period_s', value: 2 },
    { kind: 'trouble', message: 'device: expected a string', cure: 'It stays /dev/a.' },
  ]);
  expect(ros.nodes[0]?.setParameter({ name: 'period_s', value: 3n })).toMatchObject({ successful: true });
  expect(told.at(-1)).toMatchObject({ name: 'period_s', value: 3 });
});

test('whoever calls and is gone before the answer harms nobody', () => {
  const ros = new MemoryRos();
  const { nodes } = make(ros);
  const send = vi.fn(() => {
    throw new Error('client will not receive response');
  });
  ros.services.get('/fender/bme680/start')?.({}, { send });
  nodes.answer({ id: 1, success: true, message: '' });
  expect(send).toHaveBeenCalledTimes(1);
});

test('a call waits for the answer of the agent; more than can wait are refused at once', async () => {
  const ros = new MemoryRos();
  const { nodes, told } = make(ros);
  const calls = Array.from({ length: 17 }, () => ros.call('/fender/bme680/start'));
  expect(await calls[16]).toEqual({ success: false, message: '16 calls wait already' });
  expect(told.filter(({ kind }) => kind === 'call')).toHaveLength(16);
  nodes.answer({ id: 2, success: true, message: 'second' });
  expect(await calls[1]).toEqual({ success: true, message: 'second' });
});

test('all nodes are served, and taken out of ROS at the end', () => {
  const ros = new MemoryRos();
  const { nodes } = make(ros);
  nodes.spin();
  expect(ros.nodes.map(({ isSpinning }) => isSpinning)).toEqual([true]);
  nodes.close();
  expect(ros.nodes.map(({ isSpinning }) => isSpinning)).toEqual([false]);
});
