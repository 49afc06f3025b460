/**
 * Brings together what the active model and the candidate say of the same moments: each window with the one of the other model that ends
 * nearest, each event with the other's of the same onset. Both come late and out of step; what waits for its partner is bounded.
 */
import { Agreement, type AgreementFigures, type Side } from './agreement.ts';
import type { ScoredWindow } from './window-reports.ts';

interface Waiting {
  readonly endNs: bigint;
  readonly window: ScoredWindow;
}

/** Windows that may wait for the other model; so far it may be behind before its windows are compared no more. */
const MAX_WAITING = 256;
/** Onsets of the two models that are this close are one event. */
const SAME_EVENT_NS = 250_000_000n;
/** An event that the other model has not raised when it has scored so much more sound is this model's alone. */
const EVENT_PATIENCE_NS = 5_000_000_000n;
const MAX_EVENTS = 256;

/** Compares two models that hear the same sound; times are nanoseconds of its monotonic clock. */
export class Comparison {
  /** Everything since the beginning. */
  readonly #total = new Agreement();
  #recent = new Agreement();
  readonly #waiting: Record<Side, Waiting[]> = { active: [], candidate: [] };
  readonly #events: { readonly side: Side; readonly onsetNs: bigint }[] = [];
  readonly #hopS: Record<Side, number> = { active: 0, candidate: 0 };
  readonly #heardNs: Record<Side, bigint> = { active: 0n, candidate: 0n };

  /** The distance of this model's windows, in seconds. */
  setHop(side: Side, hopS: number): void {
    this.#hopS[side] = hopS;
  }

  /** Windows of one model, in the order of their time. */
  windows(side: Side, windows: readonly ScoredWindow[]): void {
    for (const window of windows) {
      const endNs = BigInt(window.end_ns);
      this.#waiting[side].push({ endNs, window });
      if (endNs > this.#heardNs[side]) this.#heardNs[side] = endNs;
    }
    this.#match();
    this.#settleEvents();
  }

  /** An event of one model. */
  event(side: Side, onsetNs: bigint): void {
    const partner = this.#events.findIndex(
      (event) => event.side !== side && distance(event.onsetNs, onsetNs) <= SAME_EVENT_NS,
    );
    if (partner >= 0) {
      this.#events.splice(partner, 1);
      this.#count((agreement) => agreement.event('both'));
      return;
    }
    this.#events.push({ side, onsetNs });
    if (this.#events.length > MAX_EVENTS) this.#giveUpEvent(0);
  }

  /** Forgets what waits: one of the two begins anew. */
  restart(): void {
    this.#waiting.active.length = 0;
    this.#waiting.candidate.length = 0;
    this.#events.length = 0;
  }

  total(): AgreementFigures {
    return this.#total.figures();
  }

  /** What was found since it was asked last. */
  takeRecent(): AgreementFigures {
    const figures = this.#recent.figures();
    this.#recent = new Agreement();
    return figures;
  }

  #match(): void {
    const { active, candidate } = this.#waiting;
    const nearNs = BigInt(Math.round((Math.max(this.#hopS.active, this.#hopS.candidate) / 2) * 1e9));
    while (active.length > 0 && candidate.length > 0) {
      const [a, c] = [active[0] as Waiting, candidate[0] as Waiting];
      const isNear = distance(a.endNs, c.endNs) <= nearNs;
      const nextIsNearer = isNear && this.#nextIsNearer(a, c);
      if (isNear && !nextIsNearer) {
        active.shift();
        candidate.shift();
        this.#count((agreement) => agreement.pair(a.window, c.window));
      } else {
        this.#giveUp(a.endNs < c.endNs ? 'active' : 'candidate');
      }
    }
    for (const side of ['active', 'candidate'] as const) {
      while (this.#waiting[side].length > MAX_WAITING) this.#giveUp(side);
    }
  }

  /** Whether of the model whose window ends first the next one fits better: of two hops the shorter has more than one to choose from. */
  #nextIsNearer(a: Waiting, c: Waiting): boolean {
    const isActiveFirst = a.endNs < c.endNs;
    const next = this.#waiting[isActiveFirst ? 'active' : 'candidate'][1];
    const other = isActiveFirst ? c : a;
    return next !== undefined && distance(next.endNs, other.endNs) < distance(a.endNs, c.endNs);
  }

  #giveUp(side: Side): void {
    const first = this.#waiting[side].shift();
    if (first !== undefined) this.#count((agreement) => agreement.single(side, first.window));
  }

  #settleEvents(): void {
    for (let i = this.#events.length - 1; i >= 0; i -= 1) {
      const event = this.#events[i];
      const other = event?.side === 'active' ? 'candidate' : 'active';
      if (event !== undefined && this.#heardNs[other] > event.onsetNs + EVENT_PATIENCE_NS) this.#giveUpEvent(i);
    }
  }

  #giveUpEvent(index: number): void {
    const [event] = this.#events.splice(index, 1);
    if (event !== undefined) this.#count((agreement) => agreement.event(event.side));
  }

  #count(take: (agreement: Agreement) => void): void {
    take(this.#total);
    take(this.#recent);
  }
}

function distance(a: bigint, b: bigint): bigint {
  return a < b ? b - a : a - b;
}
