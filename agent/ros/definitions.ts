/** Finds message definitions in the sourced ROS 2, for topics that nobody here encodes. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSchemaText } from '../messages/schema-text.ts';

/**
 * The complete definition (`ros2msg`) of a type from the first of `prefixes` (folders of AMENT_PREFIX_PATH) that has it.
 * @param type `package/msg/Name`
 * @throws Error whose message names what is missing and where it was looked for.
 */
export function readRosDefinition(type: string, prefixes: readonly string[]): string {
  return readSchemaText(type, (packageName, name) => {
    for (const prefix of prefixes) {
      try {
        return readFileSync(join(prefix, 'share', packageName, 'msg', `${name}.msg`), 'utf8');
      } catch {
        // The next prefix may have it.
      }
    }
    const where = prefixes.join(', ') || 'nowhere: AMENT_PREFIX_PATH is not set';
    throw new Error(`${type}: expected ${packageName}/msg/${name}.msg in a sourced ROS 2, looked in ${where}`);
  });
}
