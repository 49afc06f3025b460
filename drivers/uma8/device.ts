/**
 * Owns the array's device loop: opens the stream of sound, hands it on in stamped chunks, and when the stream fails to start, ends,
 * stalls or runs at a wrong rate, says so and opens it again. Frames are counted; what never came is measured.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { DriverError } from '../error.ts';
import type { AudioChunk, Clock, Device, Diagnostic, Sink } from '../sample.ts';
import { AudioTimeline } from './audio-timeline.ts';
import { ChunkCutter, type CutChunk } from './chunk-cutter.ts';
import { faultCure } from './fault-cure.ts';
import type { OpenSoundSource, SoundSource } from './sound-source.ts';

export interface Uma8Options {
  /** Hz; default 48000. */
  readonly sampleRateHz: number;
  /** Default 8. */
  readonly channels: number;
  /** Length of a chunk; default 100 ms. The last chunk of a stream may be shorter. */
  readonly chunkMs: number;
  /** Without a byte for so long, the stream has stalled; default 1500 ms, three times arecord's buffer. */
  readonly silenceMs: number;
  /** So long after opening the first byte may take; default 3000 ms. */
  readonly startMs: number;
  /** First wait before opening again; it doubles at each failure up to `mostBackoffMs`; default 250 ms. */
  readonly firstBackoffMs: number;
  /** Default 1500 ms: with `startMs` it keeps a return within 5 s of the device's, even when one opening hangs. */
  readonly mostBackoffMs: number;
  /** How often counters are reported while nothing changes; default 10 000 ms. */
  readonly reportMs: number;
  /** Length of the windows in which the byte rate is judged; two bad ones in a row are a fault; default 6000 ms. */
  readonly rateWindowMs: number;
}

const DEFAULTS: Uma8Options = {
  sampleRateHz: 48_000,
  channels: 8,
  chunkMs: 100,
  silenceMs: 1500,
  startMs: 3000,
  firstBackoffMs: 250,
  mostBackoffMs: 1500,
  reportMs: 10_000,
  rateWindowMs: 6000,
};

/** A byte rate off by more than this is the wrong stream (44.1 kHz is 8 % off); crystals are off by 0.01 %. */
const RATE_TOLERANCE = 0.05;
/** All eight capsules exactly zero for so long is a muted or unsuitable device. */
const DIGITAL_SILENCE_MS = 5000;
/**
 * Stamps only ever rise: a chunk begins this much of its length after the one before at least, also when it is seen to have come earlier
 * than the ones before were taken for.
 */
const LEAST_ADVANCE = 0.1;
/** A gap stays the news for so long. */
const GAP_NEWS_MS = 5000;
const TICK_MS = 200;

/** One opened stream and what is known of it. */
interface Stream {
  readonly source: SoundSource;
  readonly cutter: ChunkCutter;
  readonly timeline: AudioTimeline;
  lastDataNs: bigint;
  lastCheckNs: bigint;
  windowStartNs: bigint;
  windowFrames: number;
  /** What the timeline said last of frames that never came. */
  lostFrames: number;
  /** −1 after a window with too few bytes, 1 after one with too many, else 0. */
  lastWrong: number;
  chunks: number;
  zeroMs: number;
}

/** The 8-microphone array as a device. Nothing that the world does to it rejects `run`. */
export class Uma8Device implements Device {
  readonly #options: Uma8Options;
  readonly #open: OpenSoundSource;
  readonly #clock: Clock;
  readonly #sink: Sink<AudioChunk>;
  readonly #counts = { frames: 0, restarts: 0, gaps: 0, lost_frames: 0, dropped_bytes: 0 };
  #lastGapNs = 0n;
  #gapNewsUntilNs = 0n;
  #streamEndNs: bigint | null = null;
  /** The timeline of the last stream: the next one is of the same crystal. */
  #timeline: AudioTimeline | null = null;
  #earliestNs = 0n;
  #silentChannels: readonly number[] = [];
  #rateHz = 0;
  #driftPpm = 0;
  #driftDoubtPpm = 0;
  #shown: Diagnostic | null = null;
  #shownNs = 0n;

  constructor(
    options: Partial<Uma8Options>,
    parts: { readonly open: OpenSoundSource; readonly clock: Clock },
    sink: Sink<AudioChunk>,
  ) {
    this.#options = { ...DEFAULTS, ...options };
    this.#open = parts.open;
    this.#clock = parts.clock;
    this.#sink = sink;
  }

  async run(signal: AbortSignal): Promise<void> {
    let backoffMs = this.#options.firstBackoffMs;
    while (!signal.aborted) {
      const healthy = await this.#listen(signal);
      if (signal.aborted) return;
      this.#counts.restarts++;
      if (healthy) backoffMs = this.#options.firstBackoffMs;
      await delay(backoffMs, undefined, { signal }).catch(() => {});
      backoffMs = Math.min(this.#options.mostBackoffMs, backoffMs * 2);
    }
  }

  /** Listens to one stream until it fails or the signal aborts. True when it gave sound for a while. */
  async #listen(signal: AbortSignal): Promise<boolean> {
    let source: SoundSource;
    try {
      source = await this.#open();
    } catch (error) {
      this.#showFault(error);
      return false;
    }
    const now = this.#clock.monotonicNs();
    const { sampleRateHz, channels, chunkMs } = this.#options;
    const stream: Stream = {
      source,
      cutter: new ChunkCutter(Math.round((sampleRateHz * chunkMs) / 1000), channels),
      timeline: new AudioTimeline(sampleRateHz, this.#timeline),
      lastDataNs: now,
      lastCheckNs: now,
      windowStartNs: now,
      windowFrames: 0,
      lostFrames: 0,
      lastWrong: 0,
      chunks: 0,
      zeroMs: 0,
    };
    const fault = await this.#hear(stream, signal);
    await source.stop().catch(() => {});
    this.#finish(stream);
    if (!signal.aborted) this.#showFault(fault ?? new DriverError('ended', 'the stream of sound came to its end'));
    return stream.chunks * chunkMs > 3000;
  }

  /** Resolves with the fault that ends the stream; null at a plain end or when the signal aborts. */
  #hear(stream: Stream, signal: AbortSignal): Promise<Error | null> {
    return new Promise((resolve) => {
      const done = (error: Error | null) => {
        clearInterval(timer);
        signal.removeEventListener('abort', onAbort);
        resolve(error);
      };
      const onAbort = () => done(null);
      const timer = setInterval(() => {
        const fault = this.#check(stream);
        if (fault !== null) done(fault);
      }, TICK_MS);
      signal.addEventListener('abort', onAbort, { once: true });
      stream.source.onEnd(done);
      stream.source.onData((bytes) => this.#take(stream, bytes));
      if (signal.aborted) done(null);
    });
  }

  #take(stream: Stream, bytes: Uint8Array): void {
    const now = this.#clock.monotonicNs();
    stream.lastDataNs = now;
    const first = stream.cutter.receivedFrames === 0;
    const chunks = stream.cutter.push(bytes);
    if (first) {
      // The rate is judged from the first bytes on: opening takes its time.
      stream.windowStartNs = now;
      stream.windowFrames = stream.cutter.receivedFrames;
    }
    const gap = stream.timeline.observe(stream.cutter.receivedFrames, now);
    const { lostFrames } = stream.timeline;
    this.#counts.lost_frames += lostFrames - stream.lostFrames;
    stream.lostFrames = lostFrames;
    for (const chunk of chunks) this.#emit(stream, chunk);
    if (gap !== null) this.#noteGap(gap.gapNs, gap.gapFrames, 'while the stream ran');
  }

  #emit(stream: Stream, chunk: CutChunk): void {
    let beginNs = stream.timeline.timeOf(chunk.firstFrame);
    if (beginNs < this.#earliestNs) beginNs = this.#earliestNs;
    this.#earliestNs =
      beginNs + BigInt(Math.round((LEAST_ADVANCE * chunk.frames * 1e9) / this.#options.sampleRateHz)) + 1n;
    if (stream.chunks === 0 && this.#streamEndNs !== null) {
      const gapNs = beginNs - this.#streamEndNs;
      const frames = Math.round((Number(gapNs) * this.#options.sampleRateHz) / 1e9);
      if (frames > 0) {
        this.#counts.lost_frames += frames;
        this.#noteGap(gapNs, frames, 'between two streams');
      }
      this.#streamEndNs = null;
    }
    stream.chunks++;
    this.#counts.frames += chunk.frames;
    this.#driftPpm = stream.timeline.driftPpm;
    this.#driftDoubtPpm = stream.timeline.drift.doubt * 1e6;
    this.#silentChannels = silentChannels(chunk.pcm, this.#options.channels);
    const allSilent = this.#silentChannels.length === this.#options.channels;
    stream.zeroMs = allSilent ? stream.zeroMs + this.#options.chunkMs : 0;
    this.#sink.sample({
      stamp: this.#clock.at(beginNs),
      firstFrame: BigInt(chunk.firstFrame),
      sampleRateHz: this.#options.sampleRateHz,
      channels: this.#options.channels,
      frames: chunk.frames,
      pcm: chunk.pcm,
    });
    if (stream.chunks === 1) this.#showHealth(stream);
  }

  /** Gives out the whole frames that are left and remembers when the stream ended. */
  #finish(stream: Stream): void {
    const { chunk, droppedBytes } = stream.cutter.finish();
    this.#counts.dropped_bytes += droppedBytes;
    if (chunk !== null) this.#emit(stream, chunk);
    if (stream.chunks === 0) return;
    this.#streamEndNs = stream.timeline.timeOf(stream.cutter.receivedFrames);
    this.#timeline = stream.timeline;
  }

  /** Looks for what bytes do not tell: their absence and their rate. */
  #check(stream: Stream): DriverError | null {
    const now = this.#clock.monotonicNs();
    const sinceCheckMs = Number(now - stream.lastCheckNs) / 1e6;
    stream.lastCheckNs = now;
    // This process itself was held up: what came meanwhile is still to be read, so nothing can be said of the device.
    if (sinceCheckMs > 3 * TICK_MS) return null;
    const silentMs = Number(now - stream.lastDataNs) / 1e6;
    const { silenceMs, startMs, chunkMs } = this.#options;
    const began = stream.cutter.receivedFrames > 0;
    if (silentMs > (began ? silenceMs : startMs)) {
      const found = `no byte came for ${(silentMs / 1000).toFixed(1)} s`;
      return began
        ? new DriverError('stalled', `expected a chunk every ${chunkMs} ms, ${found}`)
        : new DriverError('no-sound', `expected sound within ${startMs} ms of opening, ${found}`);
    }
    const windowS = Number(now - stream.windowStartNs) / 1e9;
    if (stream.chunks > 0 && windowS * 1000 >= this.#options.rateWindowMs) {
      const fault = this.#judgeRate(stream, windowS);
      stream.windowStartNs = now;
      stream.windowFrames = stream.cutter.receivedFrames;
      if (fault !== null) return fault;
    }
    if (stream.chunks > 0) this.#showHealth(stream);
    return null;
  }

  #judgeRate(stream: Stream, windowS: number): DriverError | null {
    const nominal = this.#options.sampleRateHz;
    this.#rateHz = (stream.cutter.receivedFrames - stream.windowFrames) / windowS;
    const ratio = this.#rateHz / nominal;
    const wrong = Math.abs(ratio - 1) > RATE_TOLERANCE ? Math.sign(ratio - 1) : 0;
    // Twice in the same direction: bytes that are merely late make one window short and the next one long.
    const again = wrong !== 0 && wrong === stream.lastWrong;
    stream.lastWrong = wrong;
    if (!again) return null;
    const bytes = this.#options.channels * 2;
    const code = ratio < 1 ? 'short-rate' : 'excess-rate';
    const found = Math.round(this.#rateHz * bytes);
    return new DriverError(
      code,
      `expected ${nominal * bytes} bytes/s, found ${found} for ${(2 * windowS).toFixed(0)} s`,
    );
  }

  #noteGap(gapNs: bigint, frames: number, where: string): void {
    this.#counts.gaps += Math.sign(frames);
    this.#lastGapNs = gapNs;
    const now = this.#clock.monotonicNs();
    this.#gapNewsUntilNs = now + BigInt(GAP_NEWS_MS) * 1_000_000n;
    const size = `${Math.abs(frames)} frames (${Math.abs(Number(gapNs) / 1e6).toFixed(1)} ms) of sound`;
    const message = frames > 0 ? `${size} are missing ${where}` : `${size} came late and are not missing after all`;
    this.#show('warn', 'gap', message, true);
  }

  #showHealth(stream: Stream): void {
    if (this.#clock.monotonicNs() < this.#gapNewsUntilNs) return;
    if (stream.zeroMs >= DIGITAL_SILENCE_MS) {
      this.#show('warn', 'digital-silence', `every sample was exactly 0 for ${DIGITAL_SILENCE_MS / 1000} s`, false);
    } else this.#show('ok', 'ok', 'sound is coming in', false);
  }

  #showFault(error: unknown): void {
    const code = error instanceof DriverError ? error.code : 'failed';
    const level = code === 'stalled' || code === 'no-sound' ? 'stale' : 'error';
    this.#show(level, code, error instanceof Error ? error.message : String(error), false);
  }

  /** Reports news at once, the same again only when it is due or `always`. */
  #show(level: Diagnostic['level'], code: string, message: string, always: boolean): void {
    const now = this.#clock.monotonicNs();
    const due = Number(now - this.#shownNs) / 1e6 >= this.#options.reportMs;
    if (!always && !due && this.#shown?.code === code) return;
    this.#shown = {
      source: 'uma8',
      level,
      code,
      message,
      cure: faultCure(code),
      values: {
        ...this.#counts,
        rate_hz: Math.round(this.#rateHz),
        drift_ppm: Math.round(this.#driftPpm * 100) / 100,
        drift_doubt_ppm: Math.round(this.#driftDoubtPpm * 100) / 100,
        last_gap_ns: this.#lastGapNs.toString(),
        silent_channels: this.#silentChannels.join(' '),
      },
    };
    this.#shownNs = now;
    this.#sink.diagnostic(this.#shown);
  }
}

/** The channels of [frames × channels] that are exactly zero throughout. */
function silentChannels(pcm: Int16Array, channels: number): number[] {
  const silent: number[] = [];
  for (let channel = 0; channel < channels; channel++) {
    let at = channel;
    while (at < pcm.length && pcm[at] === 0) at += channels;
    if (at >= pcm.length) silent.push(channel);
  }
  return silent;
}
