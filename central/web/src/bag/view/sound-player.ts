/** Owns what is heard: takes the sound of one channel from the bag a second at a time, just ahead of the ear. */
import type { SeriesKey } from '../reading/bag-model.ts';
import type { BagClient } from './bag-client.ts';
import type { Stage } from './stage.ts';

const pieceS = 1;
/** Sound is fetched this far ahead. */
const aheadS = 2.5;

export class SoundPlayer {
  playing = false;
  readonly #client: BagClient;
  readonly #stage: Stage;
  readonly #watchers = new Set<() => void>();
  #context: AudioContext | null = null;
  #output: GainNode | null = null;
  /** Rises with every start and stop: what was asked for before is not played. */
  #run = 0;
  /** The context's time at the bag's second 0. */
  #zeroAt = 0;

  constructor(client: BagClient, stage: Stage) {
    this.#client = client;
    this.#stage = stage;
  }

  subscribe = (changed: () => void): (() => void) => {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  };

  /** Plays from the cursor on, until the end of the bag. */
  async play(key: SeriesKey): Promise<void> {
    this.stop();
    this.#run += 1;
    const run = this.#run;
    this.#context ??= new AudioContext();
    const context = this.#context;
    await context.resume();
    const stage = this.#stage;
    const startS = stage.cursorS >= stage.durationS - 0.01 ? 0 : stage.cursorS;
    let nextS = startS;
    const first = await this.#client.sound(key, nextS, Math.min(stage.durationS, nextS + pieceS));
    if (run !== this.#run || first === null) return;
    const output = context.createGain();
    output.connect(context.destination);
    this.#output = output;
    this.#zeroAt = context.currentTime + 0.03 - startS;
    this.#set(true);
    this.#follow(run);
    for (let piece = first; run === this.#run; ) {
      if (piece.samples.length > 0) schedule(context, output, piece.samples, piece.rateHz, this.#zeroAt + piece.fromS);
      nextS = Math.min(stage.durationS, nextS + pieceS);
      if (nextS >= stage.durationS - 1e-6) return;
      const waitS = nextS - aheadS - (context.currentTime - this.#zeroAt);
      if (waitS > 0) await new Promise((resolve) => setTimeout(resolve, waitS * 1000));
      if (run !== this.#run) return;
      const next = await this.#client.sound(key, nextS, Math.min(stage.durationS, nextS + pieceS));
      if (next === null) return;
      piece = next;
    }
  }

  stop(): void {
    this.#run += 1;
    this.#output?.disconnect();
    this.#output = null;
    if (this.playing) this.#set(false);
  }

  close(): void {
    this.stop();
    this.#watchers.clear();
    void this.#context?.close();
    this.#context = null;
  }

  /** The cursor goes with the sound. */
  #follow(run: number): void {
    const context = this.#context;
    if (run !== this.#run || context === null) return;
    const timeS = context.currentTime - this.#zeroAt;
    if (timeS > 0) this.#stage.moveCursor(timeS, true);
    if (timeS >= this.#stage.durationS) this.stop();
    else requestAnimationFrame(() => this.#follow(run));
  }

  #set(playing: boolean): void {
    this.playing = playing;
    for (const changed of this.#watchers) changed();
  }
}

function schedule(
  context: AudioContext,
  output: AudioNode,
  samples: Float32Array<ArrayBuffer>,
  rateHz: number,
  at: number,
): void {
  const buffer = context.createBuffer(1, samples.length, rateHz);
  buffer.copyToChannel(samples, 0);
  const source = context.createBufferSource();
  source.buffer = buffer;
  source.connect(output);
  const late = Math.max(0, context.currentTime - at);
  if (late < buffer.duration) source.start(Math.max(at, context.currentTime), late);
}
