/** Owns a bounded store: what was not used longest goes first when its bytes are above the bound. */

export class Lru<Value> {
  bytes = 0;
  readonly #bound: number;
  readonly #entries = new Map<number, { readonly value: Value; readonly bytes: number }>();

  constructor(boundBytes: number) {
    this.#bound = boundBytes;
  }

  has(key: number): boolean {
    return this.#entries.has(key);
  }

  /** The value, which becomes the one used last. */
  get(key: number): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  set(key: number, value: Value, bytes: number): void {
    const before = this.#entries.get(key);
    if (before) this.bytes -= before.bytes;
    this.#entries.delete(key);
    this.#entries.set(key, { value, bytes });
    this.bytes += bytes;
    for (const [oldest, entry] of this.#entries) {
      if (this.bytes <= this.#bound || oldest === key) break;
      this.#entries.delete(oldest);
      this.bytes -= entry.bytes;
    }
  }
}
