/** The arguments of a ROS 2 program: what stands between `--ros-args` and `--` (or the end) is for ROS, the rest is ours. */

/** The arguments apart; `ros` is null when there is no `--ros-args`. */
export function splitRosArguments(argv: readonly string[]): { own: string[]; ros: string[] | null } {
  const own: string[] = [];
  let ros: string[] | null = null;
  let isRos = false;
  for (const argument of argv) {
    if (argument === '--ros-args') {
      isRos = true;
      ros ??= [];
    } else if (isRos && argument === '--') isRos = false;
    else if (isRos) ros?.push(argument);
    else own.push(argument);
  }
  return { own, ros };
}
