/**
 * Looks whether ROS 2 can be used by this process: sourced, with its middleware, and with an rclnodejs that is built for it. All of
 * it by reading files: importing rclnodejs to find out could start a build, delete a good one, or end the process.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';

/** Why ROS 2 cannot be used, and what a person can do about it. */
export interface RosProblem {
  readonly code: 'not-sourced' | 'middleware' | 'rclnodejs' | 'not-built' | 'messages';
  readonly message: string;
  readonly cure: string;
}

/** A ROS 2 that can be used as far as files tell. */
export interface RosInstallation {
  readonly distro: string;
  /** Folders of AMENT_PREFIX_PATH, the first wins. */
  readonly prefixes: readonly string[];
  /** The name of the middleware, or `default`. */
  readonly middleware: string;
  /** The rclnodejs addon that will be loaded. */
  readonly addonPath: string;
}

/** What is looked at; tests put others in its place. */
export interface RosSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The folder of the package rclnodejs; null when it is not installed. */
  readonly packageFolder: string | null;
  /** As in /etc/os-release; empty when unknown. */
  readonly ubuntuCodename: string;
}

/** The types that the ROS process itself needs, whatever is published. */
const NEEDED_MESSAGES = ['rcl_interfaces', 'std_srvs', 'builtin_interfaces'];

const BUILD_CURE = 'In a shell where ROS 2 is sourced, run: npm run build:ros';

/** This machine's own. */
export function rosSurroundings(): RosSurroundings {
  return { env: process.env, packageFolder: rclnodejsFolder(), ubuntuCodename: readCodename() };
}

/** The installation, or why there is none that can be used. */
export function findRos({
  env,
  packageFolder,
  ubuntuCodename,
}: RosSurroundings): { readonly ros: RosInstallation } | { readonly problem: RosProblem } {
  const distro = env.ROS_DISTRO ?? '';
  const prefixes = rosPrefixes(env);
  if (distro === '' || prefixes.length === 0) return { problem: notSourced(env) };
  const middleware = env.RMW_IMPLEMENTATION ?? '';
  if (middleware !== '' && !prefixes.some((prefix) => existsSync(join(prefix, 'lib', `lib${middleware}.so`)))) {
    return { problem: noMiddleware(middleware, prefixes, distro) };
  }
  if (packageFolder === null) {
    const message = 'ROS 2 is configured, but the package rclnodejs is not installed';
    return { problem: { code: 'rclnodejs', message, cure: 'Install with optional packages: npm ci' } };
  }
  const addonPath = addonPathIn(packageFolder, `${distro}-${ubuntuCodename}-${process.arch}`);
  if (addonPath === null) {
    const message = `rclnodejs has no addon for ROS 2 ${distro} on this system`;
    return { problem: { code: 'not-built', message, cure: BUILD_CURE } };
  }
  const missing = NEEDED_MESSAGES.filter((name) => !existsSync(join(packageFolder, 'generated', name)));
  if (missing.length > 0 || !existsSync(join(packageFolder, 'generated', 'generator.json'))) {
    const message = `rclnodejs has no message classes yet for ${missing.join(', ') || 'this ROS 2'}`;
    return { problem: { code: 'messages', message, cure: BUILD_CURE } };
  }
  return { ros: { distro, prefixes, middleware: middleware || 'default', addonPath } };
}

/** The folders in AMENT_PREFIX_PATH. */
export function rosPrefixes(env: Readonly<Record<string, string | undefined>>): string[] {
  return (env.AMENT_PREFIX_PATH ?? '').split(delimiter).filter((prefix) => prefix !== '');
}

/** The folder of the installed rclnodejs, or null. */
export function rclnodejsFolder(): string | null {
  try {
    return dirname(createRequire(import.meta.url).resolve('rclnodejs/package.json'));
  } catch {
    return null;
  }
}

/** The version codename of this system, `noble`. */
export function readCodename(): string {
  try {
    return /^VERSION_CODENAME=(.*)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1]?.trim() ?? '';
  } catch {
    return '';
  }
}

/** Where rclnodejs looks: first a binary that came with it for exactly this system, then one that was built here. */
export function addonPathIn(packageFolder: string, system: string): string | null {
  const shipped = join(packageFolder, 'prebuilds', `linux-${process.arch}`, `${system}-node-rclnodejs.node`);
  const built = join(packageFolder, 'build', 'Release', 'rclnodejs.node');
  return [shipped, built].find((path) => existsSync(path)) ?? null;
}

function notSourced(env: RosSurroundings['env']): RosProblem {
  const installed = installedDistros();
  const missing = ['ROS_DISTRO', 'AMENT_PREFIX_PATH'].filter((name) => !env[name]);
  const file = `/opt/ros/${installed[0] ?? '<distro>'}/setup.bash`;
  const cure =
    installed.length === 0
      ? `Install ROS 2 (docs.ros.org), then source it before starting: source ${file}`
      : `Source it before starting: source ${file}`;
  const message = `ROS 2 is configured, but not sourced: ${missing.join(' and ')} not set`;
  return { code: 'not-sourced', message, cure: `${cure}, and the workspace with fender_msgs.` };
}

function noMiddleware(middleware: string, prefixes: readonly string[], distro: string): RosProblem {
  const there = prefixes
    .flatMap((prefix) => namesIn(join(prefix, 'lib')))
    .map((name) => /^lib(rmw_[a-z0-9]+(?:_dynamic)?_cpp|rmw_connextdds)\.so$/.exec(name)?.[1])
    .filter((name) => name !== undefined);
  const cure =
    there.length === 0
      ? `Install it: sudo apt install ros-${distro}-${middleware.replaceAll('_', '-')}`
      : `Set RMW_IMPLEMENTATION to one that is there (${[...new Set(there)].join(', ')}), or unset it.`;
  return { code: 'middleware', message: `RMW_IMPLEMENTATION names ${middleware}, which is not installed`, cure };
}

function installedDistros(): string[] {
  return namesIn('/opt/ros').sort();
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
