/** Owns what `fender bag merge` notes in a bag: where in time the recordings begin that it was made of, as each counts its messages anew. */

/** The metadata record's name. */
export const mergeMetadata = 'fender.merge';
const key = 'beginnings_ns';
/** More recordings than anybody merges: a made text must not cost memory. */
const maxBeginnings = 10_000;

/** Log times in nanoseconds as the record has them, under `beginnings_ns`. */
export function writeBeginnings(beginnings: readonly bigint[]): string {
  return [...beginnings].sort((a, b) => (a < b ? -1 : 1)).join(' ');
}

/** What `writeBeginnings` wrote; nothing of what is none. */
export function readBeginnings(metadata: ReadonlyMap<string, string>): bigint[] {
  const words = (metadata.get(key) ?? '').split(' ', maxBeginnings);
  return words.filter((word) => /^\d{1,20}$/.test(word)).map(BigInt);
}
