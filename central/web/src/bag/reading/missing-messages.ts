/** Counts messages that were lost, by the numbers that recorders give them. */

/** Messages of one topic in one recording. */
export interface Numbered {
  readonly t: number[];
  readonly sequence: number[];
}

/** A number further back is a new beginning; a nearer one is a message that came late. */
const lateMessages = 100;
/** A wider jump is a new beginning too. */
const widestJump = 100_000;

/**
 * Numbers left out while they rise. Each recording counts anew, and so does whatever goes down or back to its start within one, as
 * in a merged bag: a stop between two recordings is no loss. Null where all numbers are the same: then nobody counted.
 */
export function missingOf(recordings: Iterable<Numbered>): number | null {
  let missing = 0;
  let isCounted = false;
  let known: number | undefined;
  for (const recording of recordings) {
    for (const run of runsOf(recording)) {
      known ??= run[0];
      isCounted ||= run.some((sequence) => sequence !== known);
      missing += leftOut(run);
    }
  }
  return isCounted ? missing : null;
}

/** Numbers in order of time, cut where they begin anew. */
function runsOf({ t, sequence }: Numbered): number[][] {
  const order = Uint32Array.from(t, (_, row) => row);
  const isRising = t.every((at, row) => row === 0 || at >= (t[row - 1] as number));
  if (!isRising) order.sort((one, other) => (t[one] as number) - (t[other] as number) || one - other);
  const runs: number[][] = [];
  let greatest = 0;
  for (const row of order) {
    const number = sequence[row] as number;
    const run = runs.at(-1);
    const first = run?.[0] ?? Number.POSITIVE_INFINITY;
    // All the same is nobody's count, and no new beginning with each message.
    const isAnew = (number <= first && number < greatest) || number + lateMessages < greatest;
    if (run === undefined || isAnew || number - greatest > widestJump) {
      runs.push([number]);
      greatest = number;
    } else {
      run.push(number);
      greatest = Math.max(greatest, number);
    }
  }
  return runs;
}

function leftOut(run: readonly number[]): number {
  const ordered = Uint32Array.from(run).toSorted();
  return ordered.reduce((sum, number, at) => sum + Math.max(0, number - (ordered[at - 1] ?? number) - 1), 0);
}
