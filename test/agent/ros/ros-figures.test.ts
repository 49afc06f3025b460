import { expect, test } from 'vitest';
import { Exposition } from '../../../agent/health/exposition.ts';
import { addRosFigures } from '../../../agent/ros/ros-figures.ts';

test('health tells what the ROS 2 side published, missed, received and lost', () => {
  const out = new Exposition('fender_');
  addRosFigures(out, {
    state: 'running',
    pid: 7,
    restarts: 2,
    published: 30,
    missed: 3,
    received: 20,
    lost: 1,
    distro: 'jazzy',
    middleware: 'rmw_fastrtps_cpp',
  });
  expect(
    out
      .text()
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#')),
  ).toEqual([
    'fender_ros_running 1',
    'fender_ros_restarts_total 2',
    'fender_ros_published_messages_total 30',
    'fender_ros_missed_messages_total 3',
    'fender_ros_received_messages_total 20',
    'fender_ros_lost_messages_total 1',
  ]);
});
