/** Messages waiting to be committed: one bounded queue per vehicle, served in turn, so that none can starve the others. */

export interface QueuedMessage {
  readonly vehicle: string;
  readonly kind: string;
  readonly payload: Uint8Array;
}

export interface QueueLimits {
  /** Above these the sender is made to wait. */
  readonly softMessages: number;
  readonly softBytes: number;
  /** Above these messages are dropped; the vehicle sends them again. */
  readonly hardMessages: number;
  readonly hardBytes: number;
}

interface VehicleQueue {
  readonly messages: QueuedMessage[];
  bytes: number;
  readonly waiting: (() => void)[];
}

export class VehicleQueues {
  readonly #limits: QueueLimits;
  readonly #queues = new Map<string, VehicleQueue>();
  #size = 0;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  /** Messages waiting, over all vehicles. */
  get size(): number {
    return this.#size;
  }

  /** False: the queue of this vehicle is full and the message was not taken. */
  push(message: QueuedMessage): boolean {
    const queue = this.#queues.get(message.vehicle) ?? { messages: [], bytes: 0, waiting: [] };
    const { hardMessages, hardBytes } = this.#limits;
    if (queue.messages.length >= hardMessages || queue.bytes + message.payload.byteLength > hardBytes) return false;
    queue.messages.push(message);
    queue.bytes += message.payload.byteLength;
    this.#queues.set(message.vehicle, queue);
    this.#size++;
    return true;
  }

  /** Resolves when the vehicle's queue is below the soft bound. */
  async room(vehicle: string): Promise<void> {
    const queue = this.#queues.get(vehicle);
    if (queue === undefined || !this.#isFull(queue)) return;
    await new Promise<void>((resolve) => queue.waiting.push(resolve));
  }

  /** Takes up to `messages`, one vehicle after the other, in each vehicle's order. */
  take(messages: number): QueuedMessage[] {
    const taken: QueuedMessage[] = [];
    while (taken.length < messages && this.#queues.size > 0) {
      for (const [vehicle, queue] of this.#queues) {
        if (taken.length >= messages) break;
        const share = Math.max(1, Math.floor((messages - taken.length) / this.#queues.size));
        const part = queue.messages.splice(0, share);
        for (const message of part) queue.bytes -= message.payload.byteLength;
        taken.push(...part);
        if (!this.#isFull(queue)) for (const resolve of queue.waiting.splice(0)) resolve();
        // Served last in the next turn, or gone when empty.
        this.#queues.delete(vehicle);
        if (queue.messages.length > 0) this.#queues.set(vehicle, queue);
      }
    }
    this.#size -= taken.length;
    return taken;
  }

  #isFull(queue: VehicleQueue): boolean {
    return queue.messages.length >= this.#limits.softMessages || queue.bytes >= this.#limits.softBytes;
  }
}
