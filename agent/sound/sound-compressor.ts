/**
 * Stands in front of a recording and turns its sound into FLAC. A chunk that the encoder does not give back in time goes on as it
 * came, so that trouble with the encoder costs room on the disk and never sound; the order of the sound is kept.
 */

import type { Diagnostic } from '../../drivers/sample.ts';
import type { Message } from '../messages/message.ts';
import { type FlacLink, type FlacListener, startFlacThread } from './flac-link.ts';
import type { ThreadAnswer } from './flac-thread.ts';
import { compressedAudioType, flacTopicOf, rawAudioType } from './raw-audio.ts';

/** Why sound was recorded as it came. */
export interface PlainSound {
  /** The encoder was not ready: it starts, or starts again. */
  starting: number;
  /** It did not answer in time, or too much waited for it. */
  late: number;
  /** It refused the chunk. */
  refused: number;
}

/** What was done since the start. */
export interface CompressorStats {
  readonly state: 'starting' | 'compressing' | 'late' | 'failed';
  readonly compressed: number;
  readonly plain: Readonly<PlainSound>;
  readonly plainBytes: number;
  readonly compressedBytes: number;
  /** Chunks that wait for the encoder. */
  readonly waiting: number;
}

/** How to compress; times in milliseconds. */
export interface CompressorOptions {
  /** Takes every message in its turn, compressed or not. */
  readonly write: (message: Message) => void;
  readonly onDiagnostic?: (diagnostic: Diagnostic) => void;
  /** A chunk waits this long for the encoder, and so this much longer for the disk. */
  readonly deadlineMs?: number;
  /** The encoder is given up when it has not answered for this long. */
  readonly hangMs?: number;
  /** The first pause before it is started again; it doubles each time, up to a minute. */
  readonly restartMs?: number;
  /** Puts another encoder in the place of the thread, for tests; it must not call the listener before it returns. */
  readonly startEncoder?: (listener: FlacListener) => FlacLink;
}

const defaults = { deadlineMs: 50, hangMs: 5_000, restartMs: 1_000, startEncoder: startFlacThread };
const longestRestartMs = 60_000;
/** More unanswered chunks than this are not given to the encoder: it has fallen behind. */
const maxUnanswered = 4;
/** After this many answers in a row the encoder counts as well again. */
const wellAfter = 50;

/** A chunk in its turn: `out` is what goes on, null while the encoder has it. */
interface Turn {
  readonly message: Message;
  readonly sinceMs: number;
  out: Message | null;
}

/** Compresses the sound among the messages of one recording at a time. */
export class SoundCompressor {
  readonly #options: CompressorOptions & typeof defaults;
  readonly #plain: PlainSound = { starting: 0, late: 0, refused: 0 };
  #link: FlacLink | null = null;
  #state: CompressorStats['state'] = 'starting';
  #ready = false;
  #turns: Turn[] = [];
  /** Sent and not answered, in order; those that went on as they came are answered too. */
  #unanswered: Turn[] = [];
  #answeredMs = 0;
  #wellInARow = 0;
  #restarts = 0;
  #timer: NodeJS.Timeout | null = null;
  #restartTimer: NodeJS.Timeout | null = null;
  #drained: (() => void)[] = [];
  #closed = false;
  #compressed = 0;
  #plainBytes = 0;
  #compressedBytes = 0;

  constructor(options: CompressorOptions) {
    this.#options = { ...defaults, ...options };
  }

  /** Starts the encoder; until it is ready, sound goes on as it comes. */
  start(): void {
    this.#ready = false;
    this.#unanswered = [];
    let link: FlacLink | null = null;
    // What an encoder that was given up still says, means nothing.
    const current = (): boolean => link !== null && link === this.#link;
    link = this.#options.startEncoder({
      ready: () => {
        if (!current()) return;
        this.#ready = true;
        this.#answeredMs = performance.now();
        if (this.#state === 'starting') this.#state = 'compressing';
      },
      answer: (answer) => {
        if (current()) this.#answered(answer);
      },
      ended: (problem) => {
        if (current()) this.#failed(problem);
      },
    });
    this.#link = link;
  }

  /** Takes a message; never waits and never throws. Its data must not change any more. */
  write(message: Message): void {
    if (message.type !== rawAudioType || this.#closed) {
      this.#options.write(message);
      return;
    }
    const turn: Turn = { message, sinceMs: performance.now(), out: null };
    this.#turns.push(turn);
    if (!this.#ready) this.#goAsItCame(turn, 'starting');
    else if (this.#unanswered.length >= maxUnanswered) this.#goAsItCame(turn, 'late');
    else this.#send(turn);
    this.#release();
  }

  /** Resolves when everything taken so far has gone on; that is within the deadline. */
  async drain(): Promise<void> {
    if (this.#turns.length > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  stats(): CompressorStats {
    return {
      state: this.#state,
      compressed: this.#compressed,
      plain: { ...this.#plain },
      plainBytes: this.#plainBytes,
      compressedBytes: this.#compressedBytes,
      waiting: this.#turns.length,
    };
  }

  /** Lets everything go on, as it came where the encoder still has it, and ends the encoder. What comes later goes on as it comes. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#restartTimer !== null) clearTimeout(this.#restartTimer);
    for (const turn of this.#turns) if (turn.out === null) this.#goAsItCame(turn, 'late');
    this.#release();
    const link = this.#link;
    this.#link = null;
    await link?.end();
  }

  #send(turn: Turn): void {
    this.#unanswered.push(turn);
    // The encoder gets a copy of its own: others hold the message.
    this.#link?.send(new Uint8Array(turn.message.data));
    this.#timer ??= setTimeout(() => this.#timeUp(), this.#options.deadlineMs);
  }

  #answered(answer: ThreadAnswer): void {
    const turn = this.#unanswered.shift();
    if (turn === undefined) return;
    const nowMs = performance.now();
    this.#answeredMs = nowMs;
    this.#wellInARow += 1;
    if (this.#wellInARow >= wellAfter) this.#well();
    if (turn.out !== null) return;
    if ('compressed' in answer) {
      const { message } = turn;
      const data = answer.compressed;
      this.#compressed += 1;
      this.#compressedBytes += data.byteLength;
      turn.out = { ...message, topic: flacTopicOf(message.topic), type: compressedAudioType, data };
    } else {
      this.#goAsItCame(turn, 'refused');
      if (this.#state !== 'failed') this.#tell('failed', 'flac-refused', answer.problem);
    }
    this.#release();
  }

  #goAsItCame(turn: Turn, reason: keyof PlainSound): void {
    turn.out = turn.message;
    this.#plain[reason] += 1;
    this.#plainBytes += turn.message.data.byteLength;
    if (reason !== 'starting') this.#wellInARow = 0;
    if (reason === 'late' && this.#state === 'compressing' && !this.#closed) {
      this.#tell('late', 'flac-late', `expected FLAC within ${this.#options.deadlineMs} ms, found none`);
    }
  }

  /** Hands on what has its turn. */
  #release(): void {
    while (this.#turns[0]?.out) this.#options.write((this.#turns.shift() as Turn).out as Message);
    if (this.#turns.length > 0) return;
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  #timeUp(): void {
    this.#timer = null;
    const nowMs = performance.now();
    const { deadlineMs, hangMs } = this.#options;
    for (const turn of this.#turns) {
      if (turn.out === null && nowMs - turn.sinceMs >= deadlineMs - 1) this.#goAsItCame(turn, 'late');
    }
    this.#release();
    const [oldest] = this.#unanswered;
    if (oldest === undefined) return;
    if (nowMs - Math.max(oldest.sinceMs, this.#answeredMs) >= hangMs) {
      this.#failed(`it did not answer for ${Math.round(nowMs - oldest.sinceMs)} ms`);
    } else {
      const next = this.#turns.find(({ out }) => out === null);
      const waitMs = next === undefined ? deadlineMs : Math.max(1, next.sinceMs + deadlineMs - nowMs);
      this.#timer = setTimeout(() => this.#timeUp(), waitMs);
    }
  }

  /** The encoder is of no use any more: everything goes on as it came until another one is ready. */
  #failed(problem: string): void {
    const link = this.#link;
    this.#link = null;
    this.#ready = false;
    this.#unanswered = [];
    this.#state = 'failed';
    for (const turn of this.#turns) if (turn.out === null) this.#goAsItCame(turn, 'late');
    this.#release();
    void link?.end();
    if (this.#closed) return;
    this.#tell('failed', 'flac-failed', problem);
    const waitMs = Math.min(longestRestartMs, this.#options.restartMs * 2 ** this.#restarts);
    this.#restarts = Math.min(this.#restarts + 1, 16);
    this.#restartTimer = setTimeout(() => this.start(), waitMs);
    this.#restartTimer.unref();
  }

  #well(): void {
    this.#restarts = 0;
    if (this.#state === 'compressing') return;
    this.#tell('compressing', 'ok', 'sound is recorded as FLAC again');
  }

  #tell(state: CompressorStats['state'], code: string, problem: string): void {
    this.#state = state;
    const { compressed, plain } = this.stats();
    const values = { compressed, plain: plain.starting + plain.late + plain.refused };
    const well = state === 'compressing';
    this.#options.onDiagnostic?.({
      source: 'recorder-sound',
      level: well ? 'ok' : 'warn',
      code,
      message: well ? problem : `sound is recorded uncompressed: ${problem}`,
      cure: well ? '' : 'Nothing is lost; if it goes on, set recorder.sound: pcm, or give the machine less to do.',
      values,
    });
  }
}
