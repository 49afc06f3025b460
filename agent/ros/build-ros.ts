/**
 * `npm run build:ros`: makes rclnodejs ready for the ROS 2 that is sourced. Compiles its addon unless a binary that came with it
 * loads, for the Node that runs this and against the headers inside the pinned Node package; then writes its message classes, for
 * all interface packages in AMENT_PREFIX_PATH. Needs a C++ compiler, make and Python 3 where it compiles.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { addonPathIn, rclnodejsFolder, readCodename, rosPrefixes } from './environment.ts';

const require = createRequire(import.meta.url);

function build(force: boolean): number {
  const folder = rclnodejsFolder();
  if (folder === null) return fail('expected the package rclnodejs, found none', 'npm ci');
  const distro = process.env.ROS_DISTRO ?? '';
  const prefixes = rosPrefixes(process.env);
  if (distro === '' || prefixes.length === 0) {
    return fail(
      'expected ROS 2 to be sourced, found no ROS_DISTRO or AMENT_PREFIX_PATH',
      'source /opt/ros/…/setup.bash',
    );
  }
  const addon = addonPathIn(folder, `${distro}-${readCodename()}-${process.arch}`);
  if (force || addon === null || !loads(addon)) {
    const status = compile(folder);
    if (status !== 0) return status;
  } else {
    console.log(`rclnodejs: ${addon} loads`);
  }
  const generated = spawnSync(process.execPath, [join(folder, 'scripts', 'generate_messages.cjs')], {
    cwd: folder,
    stdio: 'inherit',
  });
  if (generated.status !== 0) return fail('message classes could not be written', `make ${folder} writable`);
  for (const name of ['fender_msgs', 'foxglove_msgs']) {
    if (existsSync(join(folder, 'generated', name))) continue;
    console.warn(`rclnodejs: ${name} is not in AMENT_PREFIX_PATH: its topics stay inside Fender until it is`);
  }
  return 0;
}

/** Tries the addon in a fresh process: it may end the process that loads it. */
function loads(path: string): boolean {
  return spawnSync(process.execPath, ['-e', 'require(process.argv[1])', path]).status === 0;
}

function compile(folder: string): number {
  const nodePackage = join(dirname(require.resolve('node-gyp/package.json')), '..', `node-linux-${process.arch}`);
  if (!existsSync(join(nodePackage, 'include', 'node', 'node.h'))) {
    return fail(`expected the headers of Node in ${nodePackage}, found none`, 'npm ci');
  }
  if (spawnSync('sh', ['-c', 'command -v ros2']).status !== 0) {
    const cure = `sudo apt install ros-${process.env.ROS_DISTRO}-ros2cli, and source it again`;
    return fail('expected the command ros2, by which rclnodejs finds what to compile against, found none', cure);
  }
  const gyp = join(dirname(require.resolve('node-gyp/package.json')), 'bin', 'node-gyp.js');
  const compiled = spawnSync(process.execPath, [gyp, 'rebuild', `--nodedir=${nodePackage}`], {
    cwd: folder,
    stdio: 'inherit',
    // npm hands its own settings down, and node-gyp believes them more than its arguments.
    env: { ...process.env, npm_config_nodedir: nodePackage },
  });
  return compiled.status === 0 ? 0 : fail('building failed', 'sudo apt install build-essential python3');
}

function fail(message: string, cure: string): number {
  console.error(`rclnodejs: ${message}; ${cure}`);
  return 1;
}

process.exitCode = build(process.argv.includes('--force'));
