/** Ranking metrics of a detector: pure functions over scores and truths. */

/**
 * Area under the ROC curve: the probability that a random positive scores above a random negative, ties counting one
 * half (Mann-Whitney U; Hanley & McNeil, Radiology 143, 1982). Null when either kind is missing. NaN scores are refused
 * with a RangeError.
 */
export function rocAuc(scores: readonly number[], positive: readonly boolean[]): number | null {
  const { positives, negatives } = split(scores, positive);
  if (positives.length === 0 || negatives.length === 0) {
    return null;
  }
  negatives.sort((a, b) => a - b);
  let wins = 0;
  for (const score of positives) {
    wins += (countBelow(negatives, score, false) + countBelow(negatives, score, true)) / 2;
  }
  return wins / (positives.length * negatives.length);
}

/**
 * The highest share of positives with score ≥ t over all thresholds t at which the share of negatives with
 * score ≥ t is at most `fpr` (0 to 1). No interpolation; equal scores fall on the same side of every threshold, so
 * a tie with a negative that cannot be afforded is not counted as recalled. Null when either kind is missing.
 */
export function recallAtFpr(scores: readonly number[], positive: readonly boolean[], fpr: number): number | null {
  const { positives, negatives } = split(scores, positive);
  if (positives.length === 0 || negatives.length === 0) {
    return null;
  }
  negatives.sort((a, b) => b - a);
  // A small slack so that 0.05 × 20 affords one negative in binary floating point too.
  const affordable = Math.floor(fpr * negatives.length + 1e-9);
  const firstTooMany = negatives[affordable];
  const recalled = firstTooMany === undefined ? positives : positives.filter((score) => score > firstTooMany);
  return recalled.length / positives.length;
}

function split(scores: readonly number[], positive: readonly boolean[]): { positives: number[]; negatives: number[] } {
  if (scores.length !== positive.length) {
    throw new RangeError(`expected as many truths as scores, found ${positive.length} for ${scores.length}`);
  }
  if (scores.some(Number.isNaN)) {
    throw new RangeError(`expected numbers, found NaN at score ${scores.findIndex(Number.isNaN)}`);
  }
  const positives = scores.filter((_, i) => positive[i] === true);
  return { positives, negatives: scores.filter((_, i) => positive[i] !== true) };
}

/** How many of the ascending numbers are below `value`, or not above it. */
function countBelow(ascending: readonly number[], value: number, orEqual: boolean): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const found = ascending[middle] as number;
    if (found < value || (orEqual && found === value)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}
