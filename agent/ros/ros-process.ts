/** The ROS process: finds the sourced ROS 2, loads rclnodejs and serves the agent. */
import { writeFile } from 'node:fs/promises';
import { findRos, rosSurroundings } from './environment.ts';
import { loadRclnodejs } from './rclnodejs.ts';
import { type OpenRos, RosFailure, serveRos } from './serve.ts';

const openRos: OpenRos = async () => {
  const found = findRos(rosSurroundings());
  if ('problem' in found) throw new RosFailure(found.problem.code, found.problem.message, found.problem.cure);
  const { distro, middleware, addonPath } = found.ros;
  try {
    return { library: await loadRclnodejs(addonPath), distro, middleware };
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error);
    const cure = `Source the same ROS 2 for which it was built, or build it again: npm run build:ros -- --force`;
    throw new RosFailure('not-loading', `rclnodejs does not load with ROS 2 ${distro}: ${reason}`, cure);
  }
};

// Being imported to be compiled ahead, it does nothing.
if (import.meta.main) {
  // When memory is short, this process goes and not the recording; the agent starts it again.
  writeFile('/proc/self/oom_score_adj', '500').catch(() => {});
  // The agent ends this process by closing the socket; a Ctrl-C in its terminal must not end it before the agent is done.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
  process.exit(await serveRos(openRos));
}
