/** Judges from the figures whether sets come as they should: ok, incomplete, or stalled, and what to do about it. */
import type { Diagnostic } from '../../drivers/sample.ts';
import { completenessOf } from './synchroniser-figures.ts';

/** What is known of the sets at one moment. */
export interface SetsNow {
  readonly sets: number;
  readonly missedSets: number;
  readonly slopNs: bigint;
  /** When sets are due each, in ns; null while unknown. */
  readonly periodNs: number | null;
  /** Since when there was no set; null while none is due. */
  readonly waitingNs: bigint | null;
  /** Topics that should have been heard by now and were not. */
  readonly silentTopics: readonly string[];
}

/** Completeness is judged over the last minute. */
const WINDOW_LOOKS = 60;
const LEAST_COMPLETENESS = 0.9;
/** Below so many due sets in the window, one missing says nothing. */
const LEAST_DUE_SETS = 5;
/** No set for so many periods, and for so long at least, is a stall. */
const STALL_PERIODS = 5;
const STALL_NS = 5_000_000_000;

/** Remembers a minute of looks. */
export class SetWatch {
  readonly #window: { readonly sets: number; readonly missedSets: number }[] = [];

  /** The synchroniser's diagnostic; null while there is nothing to say yet. Called once a second. */
  look(now: SetsNow): Diagnostic | null {
    this.#window.push({ sets: now.sets, missedSets: now.missedSets });
    if (this.#window.length > WINDOW_LOOKS) this.#window.shift();
    const { sets = 0, missedSets = 0 } = this.#window[0] ?? {};
    const recentSets = now.sets - sets;
    const recentMissed = now.missedSets - missedSets;
    const completeness = completenessOf(recentSets, recentMissed);
    const values = {
      sets: now.sets,
      missed_sets: now.missedSets,
      completeness: Math.round(completeness * 1000) / 1000,
    };
    const about = { source: 'synchroniser', values };
    const cure = cureOf(now);
    const waitingNs = Number(now.waitingNs ?? 0n);
    if (now.periodNs !== null && waitingNs > Math.max(STALL_NS, STALL_PERIODS * now.periodNs)) {
      const message = `expected ${expectedPace(now)}, found none for ${(waitingNs / 1e9).toFixed(0)} s${silence(now)}`;
      return { ...about, level: 'warn', code: 'stalled', message, cure };
    }
    if (recentSets + recentMissed >= LEAST_DUE_SETS && completeness < LEAST_COMPLETENESS) {
      const found = `${recentSets} of ${recentSets + recentMissed} in the last minute`;
      return {
        ...about,
        level: 'warn',
        code: 'incomplete',
        message: `expected ${expectedPace(now)}, found ${found}`,
        cure,
      };
    }
    if (now.sets === 0) return null;
    return { ...about, level: 'ok', code: 'ok', message: 'the topics come together in sets', cure: '' };
  }
}

function expectedPace({ periodNs }: SetsNow): string {
  return periodNs === null ? 'sets of all topics' : `a set of all topics each ${(periodNs / 1e9).toFixed(1)} s`;
}

function silence({ silentTopics }: SetsNow): string {
  return silentTopics.length === 0 ? '' : `; nothing on ${silentTopics.join(', ')}`;
}

function cureOf({ silentTopics, slopNs }: SetsNow): string {
  return silentTopics.length > 0
    ? `See what is with ${silentTopics.join(', ')}, take it out of synchroniser.topics or, where it is so slow, give its synchroniser.inter_message_lower_bounds_ms.`
    : `Raise synchroniser.slop_ms (${Number(slopNs) / 1e6} now) or synchroniser.queue_size: the messages are there, but not close enough together.`;
}
