/**
 * The sound on its way through a detector process: what waits, what the process has, and what it heard last, so that the next process
 * can hear again what this one had not decided. Bounded; what is given up is counted in windows.
 */
import type { AudioChunk } from '../../drivers/sample.ts';
import { WindowLedger } from './window-ledger.ts';

interface QueuedChunk {
  readonly chunk: AudioChunk;
  /** Frames of sound before it since the agent started. */
  readonly position: number;
  /** Of the monotonic clock. */
  readonly startNs: bigint;
  readonly endNs: bigint;
  /** Sound is missing before it. */
  readonly afterGap: boolean;
  /** Processes that died while they had it. */
  deaths: number;
  /** Whether a process before had heard it already. */
  again: boolean;
  /** Position where the process began to cut windows when it got this. */
  gridStart: number;
}

/** A chunk that was with two dying processes is not given to a third: it may be what kills them. */
const MAX_DEATHS = 2;
/** As models/detector.ts: a larger jump of the stamps ends what was heard before. */
const GAP_NS = 50_000_000n;
/** After a window, so long until its event is sure; and some to begin where windows begin. */
const UNDECIDED_S = 0.6;
const GRID_SLACK_S = 0.5;
/** Until the first model has told its window. */
const USUAL_WINDOW_S = 1;

/** The queue of one detector. */
export class ChunkQueue {
  readonly ledger = new WindowLedger();
  readonly #capacity: number;
  readonly #queue: QueuedChunk[] = [];
  /** The latest chunks that the process is done with, oldest first. */
  readonly #heard: QueuedChunk[] = [];
  /** How many at the head of the queue the process has. */
  #sent = 0;
  /** The chunk that the process got last; null for a new process. */
  #lastSent: QueuedChunk | null = null;
  #position = 0;
  #endNs: bigint | null = null;
  #windowS = USUAL_WINDOW_S;
  #hopS: number | null = null;
  #ambienceS = 0;
  #processed = 0;
  #missed = 0;
  /** Given up behind what the process still has. */
  #givenUp: QueuedChunk[] = [];

  /** At most `capacity` chunks wait that were never heard. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get length(): number {
    return this.#queue.length;
  }

  get sent(): number {
    return this.#sent;
  }

  /** Chunks heard, each counted once. */
  get processed(): number {
    return this.#processed;
  }

  /** Chunks never heard. */
  get missed(): number {
    return this.#missed;
  }

  /** What the model that listens from now on hears, in seconds: a window, each hop, beside the ambience of so much sound before it. */
  setGrid(windowS: number, hopS: number, ambienceS: number): void {
    this.#windowS = windowS;
    this.#hopS = hopS;
    this.#ambienceS = ambienceS;
    this.ledger.setGrid(windowS, hopS);
  }

  /** Adds a chunk; false when the oldest that waits had to be given up for it. */
  push(chunk: AudioChunk): boolean {
    const startNs = chunk.stamp.monotonicNs;
    const jumpNs = this.#endNs === null ? 0n : startNs - this.#endNs;
    const afterGap = jumpNs > GAP_NS || jumpNs < -GAP_NS;
    const endNs = startNs + BigInt(Math.round((chunk.frames / chunk.sampleRateHz) * 1e9));
    const position = this.#position;
    this.#position += chunk.frames;
    this.#endNs = endNs;
    this.#queue.push({ chunk, position, startNs, endNs, afterGap, deaths: 0, again: false, gridStart: position });
    const fresh = this.#queue.findIndex(({ again }, index) => !again && index >= this.#sent);
    const waiting = this.#queue.length - Math.max(fresh, 0) + this.#freshSent();
    if (waiting <= this.#capacity) return true;
    this.#giveUp(this.#queue.splice(fresh, 1));
    return false;
  }

  /** The next chunk for the process, of which it then has at most `window`; null when there is none to send just now. */
  next(window: number): AudioChunk | null {
    const queued = this.#queue[this.#sent];
    if (queued === undefined || this.#sent >= window) return null;
    // Sound that was with a dying process goes alone, so that only what kills is given up.
    const before = this.#queue[this.#sent - 1];
    if (before !== undefined && (queued.deaths > 0 || before.deaths > 0)) return null;
    const last = this.#lastSent;
    const follows = last !== null && !queued.afterGap && last.position + last.chunk.frames === queued.position;
    queued.gridStart = follows ? last.gridStart : queued.position;
    this.#lastSent = queued;
    this.#sent += 1;
    return queued.chunk;
  }

  /** The process is done with the next `count`; returns how many of them were new to any process. */
  retire(count: number): number {
    const retired = this.#queue.splice(0, Math.min(Math.max(0, count), this.#sent));
    this.#sent -= retired.length;
    const fresh = retired.filter(({ again }) => !again);
    this.#processed += fresh.length;
    for (const queued of fresh) this.#passed(queued);
    this.#settle();
    this.#heard.push(...retired);
    this.#heard.splice(0, this.#heard.length - this.#keptChunks(retired.at(-1) ?? this.#heard.at(-1)));
    return fresh.length;
  }

  /**
   * Makes ready for another process: what was undecided comes again, and before it what its ambience is made of, from where a window
   * began. `died`: the process before died, with what it had. Returns the time, of the monotonic clock, before which all was decided.
   */
  rewind(died: boolean): bigint | null {
    const last = this.#heard.at(-1);
    if (died) for (const queued of this.#queue.slice(0, this.#sent)) queued.deaths += 1;
    this.#sent = 0;
    this.#lastSent = null;
    const heard = this.#alignedHeard().map((queued) => ({ ...queued, again: true }));
    this.#heard.length = 0;
    const all = [...heard, ...this.#queue];
    const deadly = all.filter(({ deaths }) => deaths >= MAX_DEATHS);
    this.#queue.splice(0, this.#queue.length, ...all.filter(({ deaths }) => deaths < MAX_DEATHS));
    this.#giveUp(deadly);
    this.#settle();
    return last === undefined ? null : last.endNs - BigInt(Math.round(this.#undecidedS * 1e9));
  }

  get #undecidedS(): number {
    return this.#windowS + UNDECIDED_S + GRID_SLACK_S;
  }

  /** Of what was heard last, that which begins where a window did, so that the next process cuts the same windows. */
  #alignedHeard(): readonly QueuedChunk[] {
    const last = this.#heard.at(-1);
    if (last === undefined) return [];
    const run = this.#heard.filter(({ gridStart }) => gridStart === last.gridStart);
    const hopFrames = Math.round((this.#hopS ?? 0) * last.chunk.sampleRateHz);
    const at = run.findIndex(({ position, gridStart }) => hopFrames > 0 && (position - gridStart) % hopFrames === 0);
    return run.slice(Math.max(0, at));
  }

  #keptChunks(latest: QueuedChunk | undefined): number {
    if (latest === undefined) return 0;
    const { frames, sampleRateHz } = latest.chunk;
    return Math.ceil(((this.#undecidedS + this.#ambienceS) * sampleRateHz) / frames);
  }

  #freshSent(): number {
    return this.#queue.slice(0, this.#sent).filter(({ again }) => !again).length;
  }

  #giveUp(chunks: readonly QueuedChunk[]): void {
    const fresh = chunks.filter(({ again }) => !again);
    this.#missed += fresh.length;
    this.#givenUp.push(...fresh);
    this.#settle();
  }

  /** Sound given up counts once all before it is through. */
  #settle(): void {
    const oldest = this.#sent > 0 ? this.#queue[0]?.position : undefined;
    while (this.#givenUp.length > 0) {
      const first = this.#givenUp[0] as QueuedChunk;
      if (oldest !== undefined && first.position > oldest) return;
      this.#passed(first);
      this.#givenUp.shift();
    }
  }

  #passed({ startNs, endNs, afterGap }: QueuedChunk): void {
    this.ledger.passed(startNs, endNs, afterGap);
  }
}
