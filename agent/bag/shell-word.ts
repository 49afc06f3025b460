/** Owns paths in commands that people copy into a shell. */

/** What helps against damage; `path` is the bag's file or folder. */
export function recoverCure(path: string): string {
  const out = /\.mcap(\.active)?$/.test(path) ? 'NEW.mcap' : 'NEW';
  return `\`fender bag recover ${shellWord(path)} ${out}\` writes all that is readable as a whole bag`;
}

/** A path as one word of a POSIX shell, and never an option. */
export function shellWord(path: string): string {
  const word = path.startsWith('-') ? `./${path}` : path;
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
