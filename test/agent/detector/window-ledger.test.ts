import { describe, expect, it } from 'vitest';
import { ChunkQueue } from '../../../agent/detector/chunk-queue.ts';
import { ImpactTimes } from '../../../agent/detector/impact-times.ts';
import type { AudioChunk } from '../../../drivers/sample.ts';

const RATE = 48_000;
const FRAMES = 4_800;
const CHUNK_NS = 100_000_000n;
const WINDOW_S = 1;
const HOP_S = 0.25;

function chunk(index: number, lateNs = 0n): AudioChunk {
  const monotonicNs = BigInt(index) * CHUNK_NS + lateNs;
  const stamp = { capturedAtNs: monotonicNs, monotonicNs, bootId: 'b', synchronised: true, estimatedErrorNs: 1n };
  const pcm = new Int16Array(0);
  return { stamp, firstFrame: BigInt(index * FRAMES), sampleRateHz: RATE, channels: 8, frames: FRAMES, pcm };
}

/** A process that cuts windows as models/detector.ts does, and dies when it is told to. */
class SimulatedProcess {
  readonly ends = new Set<bigint>();
  #runStartNs: bigint | null = null;
  #passedNs = 0n;
  #next = 0n;

  /** Hears one chunk; returns the ends of the windows that it completes. */
  hear({ stamp, frames }: AudioChunk): bigint[] {
    const gapNs = stamp.monotonicNs - this.#passedNs;
    if (this.#runStartNs === null || gapNs > 50_000_000n) {
      this.#runStartNs = stamp.monotonicNs;
      this.#next = stamp.monotonicNs + BigInt(WINDOW_S * 1e9);
    }
    this.#passedNs = stamp.monotonicNs + BigInt((frames * 1e9) / RATE);
    const ends: bigint[] = [];
    for (; this.#next <= this.#passedNs; this.#next += BigInt(HOP_S * 1e9)) ends.push(this.#next);
    for (const end of ends) this.ends.add(end);
    return ends;
  }
}

/** Sends all that may be sent and has it scored; `upTo` chunks at most. */
function work(queue: ChunkQueue, hearer: SimulatedProcess, upTo = Number.POSITIVE_INFINITY): void {
  for (let done = 0; done < upTo; done += 1) {
    const next = queue.next(1);
    if (next === null) return;
    for (const end of hearer.hear(next)) queue.ledger.score(end);
    queue.retire(1);
  }
}

function fill(queue: ChunkQueue, from: number, to: number, lateNs = 0n): void {
  for (let index = from; index < to; index += 1) queue.push(chunk(index, lateNs));
}

const dueIn = (chunks: number) => Math.floor((chunks * 0.1 - WINDOW_S) / HOP_S + 1e-9) + 1;

function listening(capacity = 30): ChunkQueue {
  const queue = new ChunkQueue(capacity);
  queue.setGrid(WINDOW_S, HOP_S, 0);
  return queue;
}

describe('windows scored and missed', () => {
  it('a process that takes over scores the same windows, none twice and none not at all, whenever it does', () => {
    for (let deathAt = 1; deathAt < 60; deathAt += 1) {
      const queue = listening();
      let hearer = new SimulatedProcess();
      fill(queue, 0, 20);
      work(queue, hearer);
      for (let index = 20; index < 90; index += 1) {
        queue.push(chunk(index));
        if (index === 20 + deathAt) {
          const before = hearer.ends;
          queue.next(4);
          queue.rewind(true);
          hearer = new SimulatedProcess();
          for (const end of before) hearer.ends.add(end);
        }
        work(queue, hearer);
      }
      expect({ deathAt, scored: queue.ledger.scored }).toEqual({ deathAt, scored: dueIn(90) });
      expect(queue.ledger.missed).toBe(0);
      // All on the same grid: a restart does not shift windows.
      expect([...hearer.ends].every((end) => end % 250_000_000n === 0n)).toBe(true);
    }
  });

  it('sound given up while no process could take it costs the windows that would have ended in it or held it', () => {
    const queue = listening(30);
    const hearer = new SimulatedProcess();
    fill(queue, 0, 40);
    expect(queue.missed).toBe(10);
    work(queue, hearer);
    // Heard: chunks 10 to 39, a run of 3 s. Due: all windows of 4 s.
    expect(queue.ledger.scored).toBe(dueIn(30));
    expect(queue.ledger.missed).toBe(dueIn(40) - dueIn(30));
  });

  it('a long outage is counted while it lasts, and its end adds nothing', () => {
    const queue = listening(30);
    fill(queue, 0, 20);
    work(queue, new SimulatedProcess());
    queue.rewind(true);
    fill(queue, 20, 120);
    // 30 chunks still wait, 70 are given up.
    const during = queue.ledger.missed;
    expect(during).toBe(dueIn(90) - dueIn(20));
    const hearer = new SimulatedProcess();
    work(queue, hearer);
    expect(queue.ledger.scored + queue.ledger.missed).toBe(dueIn(120));
    // The first window after the hole needs a second of sound again.
    expect(queue.ledger.scored).toBe(dueIn(20) + dueIn(30));
  });

  it('a gap in the sound itself is no window missed', () => {
    const queue = listening();
    const hearer = new SimulatedProcess();
    fill(queue, 0, 20);
    work(queue, hearer);
    fill(queue, 20, 40, 7_000_000_000n);
    work(queue, hearer);
    expect(queue.ledger.scored).toBe(2 * dueIn(20));
    expect(queue.ledger.missed).toBe(0);
  });

  it('a process that takes over hears the ambience of what was undecided, and where all before is decided is told', () => {
    const queue = new ChunkQueue(30);
    queue.setGrid(WINDOW_S, HOP_S, 5);
    const hearer = new SimulatedProcess();
    for (let index = 0; index < 100; index += 1) {
      queue.push(chunk(index));
      work(queue, hearer);
    }
    const decidedNs = queue.rewind(false);
    // Heard until 10 s: a window of 1 s, 0.6 s until an event is sure, and 0.5 s of slack are undecided.
    expect(decidedNs).toBe(7_900_000_000n);
    const again = queue.next(1)?.stamp.monotonicNs ?? 0n;
    expect(Number(again)).toBeGreaterThanOrEqual(2.9e9);
    expect(Number(again)).toBeLessThanOrEqual(3.4e9);
  });

  it('an impact that is found again where all was decided is none', () => {
    const impacts = new ImpactTimes();
    for (let index = 0; index < 100; index += 1) impacts.sound(chunk(index).stamp);
    expect(impacts.take(2_000_000_000n)).toMatchObject({ capturedAtNs: 2_000_000_000n });
    impacts.decided(7_900_000_000n);
    impacts.decided(5_000_000_000n);
    impacts.decided(null);
    expect(impacts.take(7_800_000_000n)).toBeNull();
    expect(impacts.take(8_000_000_000n)).toMatchObject({ capturedAtNs: 8_000_000_000n });
    expect(impacts.count).toBe(2);
  });

  it('only sound that was with two dying processes is given up, not its neighbours', () => {
    const queue = listening();
    fill(queue, 0, 30);
    for (let death = 0; death < 2; death += 1) {
      while (queue.next(4) !== null);
      queue.rewind(true);
    }
    expect(queue.missed).toBe(1);
    work(queue, new SimulatedProcess());
    expect(queue.processed).toBe(29);
  });
});
