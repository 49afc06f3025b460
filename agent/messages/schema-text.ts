/**
 * Owns the definitions of the recorded message types: finds each type's .msg text and joins it with the texts of the
 * types it uses, in the form that bags carry as `ros2msg`.
 */

import { readFileSync } from 'node:fs';

/** Standard ROS packages come as .msg files of Jazzy with this package. */
const standardDefinitions = new URL(
  'msgdefs/ros2jazzy/',
  import.meta.resolve('@foxglove/rosmsg-msgs-common/package.json'),
);
const ownPackages: Readonly<Record<string, string>> = {
  fender_msgs: './fender-msgs/msg/',
  foxglove_msgs: './foxglove-msgs/msg/',
};
const separator = '='.repeat(80);
const primitives = new Set(
  'bool byte char int8 uint8 int16 uint16 int32 uint32 int64 uint64 float32 float64 string wstring'.split(' '),
);

/** Gives the text of one type, which may have its dependencies behind it; throws when there is none. */
export type ReadDefinition = (packageName: string, name: string) => string;

/** The definitions that come with this program. */
function shippedDefinition(packageName: string, name: string): string {
  const own = ownPackages[packageName];
  const file =
    own === undefined
      ? new URL(`${packageName}/msg/${name}.msg`, standardDefinitions)
      : new URL(`${own}${name}.msg`, import.meta.url);
  return readFileSync(file, 'utf8');
}

/** The text of one type without its dependencies; `type` is `package/Name`. */
function ownText(type: string, read: ReadDefinition): string {
  const [packageName = '', name = ''] = type.split('/');
  const [text = ''] = read(packageName, name).split(separator);
  return `${text.trim()}\n`;
}

/** Types used by a text, as `package/Name`, in order. */
function usedTypes(text: string, packageName: string): string[] {
  const used: string[] = [];
  for (const line of text.split('\n')) {
    const [type = ''] = line.replace(/#.*/, '').trim().split(/\s+/);
    const base = type.replace(/\[.*\]$/, '').replace(/<=.*$/, '');
    if (base !== '' && !primitives.has(base)) used.push(base.includes('/') ? base : `${packageName}/${base}`);
  }
  return used;
}

/**
 * The complete definition of a ROS 2 message type, as MCAP's `ros2msg` schema encoding wants it: its own text, then each
 * type it uses once, breadth first, under a line of 80 `=` and `MSG: package/Name`.
 * @param type `package/msg/Name`
 * @param read where definitions come from; by default from this program.
 * @throws Error (ENOENT) when there is no definition of the type.
 */
export function readSchemaText(type: string, read: ReadDefinition = shippedDefinition): string {
  const root = type.replace('/msg/', '/');
  const seen = new Set([root]);
  const queue = [root];
  const parts: string[] = [];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const text = ownText(next, read);
    parts.push(next === root ? text : `${separator}\nMSG: ${next}\n${text}`);
    for (const used of usedTypes(text, next.split('/')[0] ?? '')) {
      if (seen.has(used)) continue;
      seen.add(used);
      queue.push(used);
    }
  }
  return parts.join('');
}
