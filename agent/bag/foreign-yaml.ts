/** Owns reading YAML that somebody else wrote: what is odd in it is nobody's concern, and it may not fill the memory. */

import { parse } from 'yaml';

/** Numbers without a point are bigints. @throws what `yaml` throws for text that is no YAML, or has too many aliases. */
export function parseForeignYaml(text: string): unknown {
  // With warnings, an unknown tag in a bag would be told in the terminal, by the library's name.
  return parse(text, { intAsBigInt: true, maxAliasCount: 100, logLevel: 'error' });
}
