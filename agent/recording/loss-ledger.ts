/** Owns the count of messages that did not get into the recording, per topic and reason. */

/** Messages of one topic that are missing, by reason. */
export interface TopicLoss {
  /** Missing already when they should have reached the recorder: jumps of the sequence. */
  gap: number;
  /** Dropped because the disk was too slow for too long and the queue was at its bound. */
  queue: number;
  /** Dropped because the disk was full. */
  space: number;
  /** Given up with a segment that could not be written any more. */
  write: number;
}

/** Adds `lost`, by topic, to `sums`. */
export function addLoss(sums: Map<string, TopicLoss>, lost: Readonly<Record<string, Readonly<TopicLoss>>>): void {
  for (const [topic, { gap, queue, space, write }] of Object.entries(lost)) {
    const sum = sums.get(topic) ?? { gap: 0, queue: 0, space: 0, write: 0 };
    sums.set(topic, {
      gap: sum.gap + gap,
      queue: sum.queue + queue,
      space: sum.space + space,
      write: sum.write + write,
    });
  }
}

/** A wider jump is a publisher that started anew, not loss. */
const maxGap = 2 ** 31;

/** Counts; its owner decides where they are kept. */
export class LossLedger {
  readonly topics = new Map<string, TopicLoss>();
  /** Grows with every count, to see whether anything changed. */
  total = 0;
  readonly #nextSequence: Map<string, number>;

  /** @param nextSequence which sequence each topic gives next: shared by recordings that follow each other without a gap. */
  constructor(nextSequence: Map<string, number> = new Map()) {
    this.#nextSequence = nextSequence;
  }

  /** Notes an arriving message's sequence (uint32, wraps); counts what was skipped since the one before. */
  arrived(topic: string, sequence: number): void {
    const expected = this.#nextSequence.get(topic);
    this.#nextSequence.set(topic, (sequence + 1) >>> 0);
    if (expected === undefined) return;
    const skipped = (sequence - expected) >>> 0;
    if (skipped > 0 && skipped < maxGap) this.add(topic, 'gap', skipped);
  }

  add(topic: string, reason: keyof TopicLoss, count = 1): void {
    let loss = this.topics.get(topic);
    if (loss === undefined) {
      loss = { gap: 0, queue: 0, space: 0, write: 0 };
      this.topics.set(topic, loss);
    }
    loss[reason] += count;
    this.total += count;
  }

  /** As a bag's metadata record carries it: `/uma8/audio` → `gap=0 queue=12 space=0 write=0`. */
  values(): Map<string, string> {
    const entries = [...this.topics].sort(([a], [b]) => (a < b ? -1 : 1));
    return new Map(
      entries.map(([topic, loss]) => [
        topic,
        `gap=${loss.gap} queue=${loss.queue} space=${loss.space} write=${loss.write}`,
      ]),
    );
  }
}
