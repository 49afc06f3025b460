/** Repeatable random numbers for tests: the seed is printed, and `FENDER_SEED` replays a run. */

export interface SeededRandom {
  readonly seed: number;
  /** From 0 (inclusive) to 1 (exclusive). */
  next(): number;
  /** The items in a random order. */
  shuffle<Item>(items: readonly Item[]): Item[];
}

/** The generator is mulberry32; the seed comes from `FENDER_SEED`, or from the clock. */
export function seededRandom(): SeededRandom {
  const seed = Number(process.env.FENDER_SEED ?? Date.now() % 1_000_000);
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    seed,
    next,
    shuffle: (items) =>
      items
        .map((item) => ({ item, key: next() }))
        .sort((a, b) => a.key - b.key)
        .map(({ item }) => item),
  };
}
