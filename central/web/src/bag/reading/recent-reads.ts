/**
 * Keeps what was read last of a bag's files, within a bound: view, strip, statistics, events and lines are asked for at once, and what
 * they need stands in the same chunks.
 */
import type { ByteSource } from './byte-source.ts';

const keptBytes = 32 * 1024 * 1024;
/** A longer read is not kept: it would take the place of all others. */
const longestKept = 8 * 1024 * 1024;
const mostKept = 500;

/** A run of bytes that is there, or on its way. */
interface Kept {
  readonly source: ByteSource;
  readonly offset: number;
  readonly end: number;
  readonly bytes: Promise<Uint8Array>;
}

/** What was read last of several files, together at most 32 MiB. */
export class RecentReads {
  /** What was used longest ago comes first. */
  readonly #kept = new Set<Kept>();
  #bytes = 0;

  /** The same file, of which nothing is read again that is kept. What it gives must not be changed. */
  of(source: ByteSource): ByteSource {
    return { name: source.name, size: source.size, read: (offset, length) => this.#read(source, offset, length) };
  }

  async #read(source: ByteSource, offset: number, length: number): Promise<Uint8Array> {
    const end = offset + length;
    // What is refused is refused by the source.
    if (length <= 0 || length > longestKept || offset < 0 || end > source.size) return source.read(offset, length);
    const parts = this.#partsOf(source, offset, end);
    for (const part of parts) this.#use(part);
    const read = await Promise.all(parts.map(({ bytes }) => bytes));
    const [only, ...others] = read;
    const start = offset - (parts[0]?.offset ?? 0);
    if (only !== undefined && others.length === 0) return only.subarray(start, start + length);
    const joined = new Uint8Array(length);
    parts.forEach((part, at) => {
      const from = Math.max(part.offset, offset);
      const piece = read[at]?.subarray(from - part.offset, Math.min(part.end, end) - part.offset);
      if (piece !== undefined) joined.set(piece, from - offset);
    });
    return joined;
  }

  /** What covers a span without a gap, in order. What is not there is asked for at once, from the first gap to the last. */
  #partsOf(source: ByteSource, offset: number, end: number): Kept[] {
    const there = [...this.#kept].filter((kept) => kept.source === source && kept.offset < end && kept.end > offset);
    const middle = there.sort((one, other) => one.offset - other.offset);
    const [front, back]: [Kept[], Kept[]] = [[], []];
    let [from, to] = [offset, end];
    for (let next = middle[0]; next !== undefined && next.offset <= from; next = middle[0]) {
      front.push(next);
      middle.shift();
      from = next.end;
    }
    if (from >= end) return front;
    for (let next = middle.at(-1); next !== undefined && next.end >= to; next = middle.at(-1)) {
      back.unshift(next);
      middle.pop();
      to = next.offset;
    }
    for (const covered of middle) this.#drop(covered);
    return [...front, this.#ask(source, from, to), ...back];
  }

  #ask(source: ByteSource, offset: number, end: number): Kept {
    const kept = { source, offset, end, bytes: source.read(offset, end - offset) };
    kept.bytes.catch(() => this.#drop(kept));
    return kept;
  }

  /** Makes it the one used last, and lets go of others above the bound. */
  #use(kept: Kept): void {
    this.#drop(kept);
    this.#kept.add(kept);
    this.#bytes += kept.end - kept.offset;
    for (const oldest of this.#kept) {
      if (this.#bytes <= keptBytes && this.#kept.size <= mostKept) return;
      if (oldest !== kept) this.#drop(oldest);
    }
  }

  #drop(kept: Kept): void {
    if (this.#kept.delete(kept)) this.#bytes -= kept.end - kept.offset;
  }
}
