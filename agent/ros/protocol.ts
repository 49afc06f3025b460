/**
 * What the agent and its ROS process say to each other over one socket: frames of a fixed header and a payload, the same in both
 * directions. Messages cross as the CDR bytes they are; everything else is JSON.
 */

/** Down: the plan of nodes, as JSON (RosPlan). First frame. */
export const FRAME_PLAN = 1;
/** Down: a message to publish, CDR, on the plan's or a later advertised channel. */
export const FRAME_PUBLISH = 2;
/** Down: a topic that was not in the plan, as JSON (PlannedTopic); its channel is the header's. */
export const FRAME_ADVERTISE = 3;
/** Down: the answer to a call, as JSON (CallAnswer). */
export const FRAME_ANSWER = 4;
/** Down: the value that a parameter has after all, as JSON (ParameterValue). */
export const FRAME_RESTORE = 5;
/** Up: a JSON report (RosReport). */
export const FRAME_REPORT = 16;
/** Up: a message of a subscribed topic, CDR; the channel is its index in the plan, the time CLOCK_MONOTONIC at receipt. */
export const FRAME_RECEIVED = 17;

/** Frame header: kind (u16), channel (u16), payload bytes (u32), time (i64, ns), all little endian. */
export const HEADER_BYTES = 16;

/** No message is larger: a camera's raw picture of 4k, twice. */
export const MAX_PAYLOAD_BYTES = 64_000_000;

/** A topic that a node publishes. */
export interface PlannedTopic {
  /** The node's name, `uma8`. */
  readonly node: string;
  readonly topic: string;
  /** `package/msg/Name`. */
  readonly type: string;
  readonly reliability: 'reliable' | 'best_effort';
  readonly depth: number;
}

/** A topic of others that is to be recorded. */
export interface ForeignSubscription {
  readonly topic: string;
  /** `package/msg/Name`. */
  readonly type: string;
  /** `auto`: what its publishers offer, as rosbag2 does. */
  readonly reliability: 'auto' | 'reliable' | 'best_effort';
  readonly durability: 'auto' | 'volatile' | 'transient_local';
  readonly depth: number;
}

/** A value of a ROS parameter; numbers are doubles. */
export type ParameterScalar = string | number | boolean;

/** A parameter of a node. */
export interface PlannedParameter {
  readonly name: string;
  readonly value: ParameterScalar;
  readonly description: string;
  readonly readOnly: boolean;
  /** A read-only one that may still be overridden when the node starts: `-p device:=/dev/ttyUSB0`. */
  readonly isOverridable?: boolean;
  /** Inclusive bounds of a number. */
  readonly range?: readonly [number, number];
}

/** One ROS node. */
export interface PlannedNode {
  readonly name: string;
  readonly parameters: readonly PlannedParameter[];
  /** Services of type std_srvs/srv/Trigger, by their name below the node: `start` is `/fender/recorder/start`. */
  readonly triggers: readonly string[];
}

/** Everything that the ROS process is to do. */
export interface RosPlan {
  readonly namespace: string;
  /** What a user would say behind `--ros-args`. */
  readonly rosArguments: readonly string[];
  readonly nodes: readonly PlannedNode[];
  /** Published topics; a topic's index is its channel in FRAME_PUBLISH. */
  readonly topics: readonly PlannedTopic[];
  /** Subscribed topics; a topic's index is its channel in FRAME_RECEIVED. */
  readonly foreign: readonly ForeignSubscription[];
  /** The node that subscribes. */
  readonly foreignNode: string;
  /** Bytes that may wait to be handed up; beyond it messages are dropped and counted. */
  readonly queueBytes: number;
  /** Whether overrides of parameters in the arguments are heard; a restarted process keeps what was set since. */
  readonly hearsOverrides: boolean;
}

/** A parameter that has been set, or is to be set back. */
export interface ParameterValue {
  readonly node: string;
  readonly name: string;
  readonly value: ParameterScalar;
}

/** The answer to a service call. */
export interface CallAnswer {
  readonly id: number;
  readonly success: boolean;
  readonly message: string;
}

/** What the ROS process has done so far. */
export interface RosFigures {
  readonly published: number;
  readonly publishErrors: number;
  readonly received: number;
  /** Messages of foreign topics that the agent took too slowly, or that the middleware says were lost. */
  readonly lost: number;
}

/** Anything the ROS process says. */
export type RosReport =
  | { readonly kind: 'ready'; readonly distro: string; readonly middleware: string }
  | ({ readonly kind: 'alive' } & RosFigures)
  /** Something does not work as configured; the rest goes on. */
  | { readonly kind: 'trouble'; readonly subject: string; readonly message: string; readonly cure: string }
  /** A subject's trouble is over. */
  | { readonly kind: 'well'; readonly subject: string }
  | ({ readonly kind: 'parameter' } & ParameterValue)
  | { readonly kind: 'call'; readonly id: number; readonly node: string; readonly service: string }
  /** So many messages of a foreign topic had to be dropped before the next one that is handed up. */
  | { readonly kind: 'dropped'; readonly channel: number; readonly count: number }
  /** What the publishers of a foreign topic offer, in rosbag2's form. */
  | { readonly kind: 'offered'; readonly channel: number; readonly qos: readonly Record<string, unknown>[] }
  /** The process cannot work and is about to end. */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string; readonly cure: string };

/** One whole frame; `payload` belongs to whoever gets it. */
export interface Frame {
  readonly kind: number;
  readonly channel: number;
  readonly timeNs: bigint;
  readonly payload: Buffer;
}

/** The header of a frame; `timeNs` is 0n for frames without a time. */
export function encodeHeader(kind: number, channel: number, payloadBytes: number, timeNs: bigint): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt16LE(kind, 0);
  header.writeUInt16LE(channel, 2);
  header.writeUInt32LE(payloadBytes, 4);
  header.writeBigInt64LE(timeNs, 8);
  return header;
}

/** A frame of JSON in one buffer. */
export function encodeJson(kind: number, value: unknown, channel = 0): Buffer {
  const payload = Buffer.from(JSON.stringify(value));
  return Buffer.concat([encodeHeader(kind, channel, payload.length, 0n), payload]);
}

/** The JSON of a frame; undefined when it is none. */
export function decodeJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Puts frames together from pieces of any size; each payload gets a buffer of its own. */
export class FrameReader {
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  #payload: Buffer | null = null;
  #payloadBytes = 0;

  /** Takes all of `bytes` and calls `take` with each frame completed. Throws a RangeError when the streams are out of step. */
  read(bytes: Uint8Array, take: (frame: Frame) => void): void {
    let offset = 0;
    while (offset < bytes.length) {
      if (this.#payload === null) {
        const part = bytes.subarray(offset, offset + HEADER_BYTES - this.#headerBytes);
        this.#header.set(part, this.#headerBytes);
        this.#headerBytes += part.length;
        offset += part.length;
        if (this.#headerBytes < HEADER_BYTES) return;
        this.#payload = Buffer.allocUnsafeSlow(this.#length());
        this.#payloadBytes = 0;
        if (this.#payload.length === 0) {
          this.#complete(this.#payload, take);
          continue;
        }
      }
      const part = bytes.subarray(offset, offset + this.#payload.length - this.#payloadBytes);
      this.#payload.set(part, this.#payloadBytes);
      this.#payloadBytes += part.length;
      offset += part.length;
      if (this.#payloadBytes === this.#payload.length) this.#complete(this.#payload, take);
    }
  }

  #length(): number {
    const length = this.#header.readUInt32LE(4);
    if (length > MAX_PAYLOAD_BYTES) {
      throw new RangeError(`ROS frame: expected at most ${MAX_PAYLOAD_BYTES} bytes, found ${length}`);
    }
    return length;
  }

  #complete(payload: Buffer, take: (frame: Frame) => void): void {
    this.#payload = null;
    this.#headerBytes = 0;
    take({
      kind: this.#header.readUInt16LE(0),
      channel: this.#header.readUInt16LE(2),
      timeNs: this.#header.readBigInt64LE(8),
      payload,
    });
  }
}
