/** Looks whether ROS 2 is usable, when the configuration asks for it: sourced, rclnodejs built for it, and all types there. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentConfig } from '../config/schema.ts';
import { readRosDefinition } from '../ros/definitions.ts';
import { findRos, type RosInstallation, type RosSurroundings, rosSurroundings } from '../ros/environment.ts';
import { type Check, failed, ok, reasonOf, warn } from './check.ts';

const LOAD_TIMEOUT_MS = 10_000;
/** Packages without which some of our own topics cannot be published. */
const OWN_PACKAGES: Readonly<Record<string, string>> = {
  fender_msgs: 'Build it (agent/messages/fender-msgs/README.md) and source its workspace.',
  foxglove_msgs: 'Install it (sudo apt install ros-$ROS_DISTRO-foxglove-msgs): it has the type of sound.',
  diagnostic_msgs: 'Install it: sudo apt install ros-$ROS_DISTRO-diagnostic-msgs',
  sensor_msgs: 'Install it: sudo apt install ros-$ROS_DISTRO-sensor-msgs',
};

/** `surroundings`: tests look elsewhere. */
export async function checkRos(
  { kind, ros2 }: AgentConfig['graph'],
  surroundings: RosSurroundings = rosSurroundings(),
): Promise<Check> {
  if (kind !== 'ros2') return ok('ros', 'not configured (graph.kind)');
  const found = findRos(surroundings);
  if ('problem' in found) return failed('ros', found.problem.message, found.problem.cure);
  const { ros } = found;
  const fault = await loadFault(ros);
  if (fault !== null) {
    const cure = 'Source the ROS 2 for which it was built, or build it again: npm run build:ros -- --force';
    return failed('ros', `rclnodejs does not load with ROS 2 ${ros.distro}: ${fault}`, cure);
  }
  for (const [name, cure] of Object.entries(OWN_PACKAGES)) {
    if (!ros.prefixes.some((prefix) => existsSync(join(prefix, 'share', name)))) {
      return warn('ros', `the package ${name} is not in the sourced ROS 2 ${ros.distro}`, cure);
    }
  }
  try {
    for (const { type } of ros2.topics) readRosDefinition(type, ros.prefixes);
  } catch (error) {
    return warn('ros', reasonOf(error), 'Correct graph.ros2.topics, or source the workspace that has its package.');
  }
  return ok('ros', `ROS 2 ${ros.distro}, middleware ${ros.middleware}, ${ros2.topics.length} further topics`);
}

/** Loads the addon in a process of its own, which it may end; null when it loads. */
function loadFault({ addonPath }: RosInstallation): Promise<string | null> {
  return new Promise((resolve) => {
    const load = ['-e', 'require(process.argv[1])', addonPath];
    execFile(process.execPath, load, { timeout: LOAD_TIMEOUT_MS }, (error, _stdout, stderr) => {
      if (error === null) resolve(null);
      else resolve(/^(?:\w*Error): (.*)$/m.exec(stderr)?.[1] ?? error.message.split('\n', 1)[0] ?? 'unknown');
    });
  });
}
