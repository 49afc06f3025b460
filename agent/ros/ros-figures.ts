/** The ROS side's figures for Prometheus. */
import type { Exposition } from '../health/exposition.ts';
import type { RosStatistics } from './supervisor.ts';

/** Adds them to a scrape. */
export function addRosFigures(out: Exposition, ros: RosStatistics): void {
  out.gauge('ros_running', 'Whether the nodes are in ROS 2.', ros.state === 'running' ? 1 : 0);
  out.counter('ros_restarts_total', 'Restarts of the ROS process.', ros.restarts);
  out.counter('ros_published_messages_total', 'Messages published in ROS 2.', ros.published);
  out.counter('ros_missed_messages_total', 'Messages that ROS 2 was not given.', ros.missed);
  out.counter('ros_received_messages_total', 'Messages of other topics received from ROS 2.', ros.received);
  out.counter('ros_lost_messages_total', 'Messages of other topics dropped on their way here.', ros.lost);
}
