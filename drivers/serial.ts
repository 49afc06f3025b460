/**
 * The byte port that serial drivers talk through, and its in-memory twin: two ends of a cable without a tty.
 */

/** One open serial line. Listeners are set before the first byte arrives; one listener a kind. */
export interface BytePort {
  /** Bytes as they come, in any cut; the receiver owns the buffer. */
  onData(listener: (bytes: Uint8Array) => void): void;
  /** Called once when the line ends: with the fault, or null after `close()`. */
  onClose(listener: (error: Error | null) => void): void;
  /** Resolves when the bytes are handed to the line; rejects when it is gone. */
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when the line is released; harmless when it is closed already. */
  close(): Promise<void>;
}

/** Opens the line; rejects with a DriverError (`unplugged`, `no-permission`, `busy`) that says the cure. */
export type OpenBytePort = () => Promise<BytePort>;

class PipeEnd implements BytePort {
  peer: PipeEnd | null = null;
  private data: (bytes: Uint8Array) => void = () => {};
  private closed: ((error: Error | null) => void) | null = () => {};

  onData(listener: (bytes: Uint8Array) => void): void {
    this.data = listener;
  }

  onClose(listener: (error: Error | null) => void): void {
    this.closed = listener;
  }

  async write(bytes: Uint8Array): Promise<void> {
    const peer = this.peer;
    if (!peer) throw new Error('the line is closed');
    const copy = bytes.slice();
    setImmediate(() => peer.data(copy));
  }

  async close(): Promise<void> {
    const peer = this.peer;
    if (!peer) return;
    this.peer = null;
    peer.peer = null;
    this.end(null);
    peer.end(new Error('the other end of the line was closed'));
  }

  private end(error: Error | null): void {
    const closed = this.closed;
    this.closed = null;
    this.data = () => {};
    closed?.(error);
  }
}

/** Two ends of an in-memory line: what one writes, the other receives, later and in order. */
export function bytePipe(): [BytePort, BytePort] {
  const [left, right] = [new PipeEnd(), new PipeEnd()];
  left.peer = right;
  right.peer = left;
  return [left, right];
}
