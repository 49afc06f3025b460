/**
 * What travels through the graph and into a bag: one message of a topic, already in the bytes ROS 2 speaks.
 */

import type { Stamp } from '../../drivers/sample.ts';

/** One message of one topic. Whoever holds it may read it; nobody writes into `data` after it was published. */
export interface Message {
  /** ROS topic name, absolute: `/uma8/audio`. */
  readonly topic: string;
  /** ROS 2 type name: `foxglove_msgs/msg/RawAudio`. */
  readonly type: string;
  /** Counts the messages of the topic from 0 (wraps at 2³²); a jump says how many were lost before the recorder. A recording counts its own from 0. */
  readonly sequence: number;
  /** Time of the first measurement in the message. */
  readonly stamp: Stamp;
  /** CDR little endian with its 4-byte encapsulation header. */
  readonly data: Uint8Array;
  /** Of a topic that nobody here encodes: what a bag must know of it. */
  readonly foreign?: ForeignTopic;
}

/** A topic of others, recorded as it came. */
export interface ForeignTopic {
  /** Its definition with those it uses, as `ros2msg`. */
  readonly schemaText: string;
  /** What its publishers offer, in rosbag2's form. */
  readonly offeredQos: readonly Record<string, unknown>[];
  /** `RIHS01_…`, when it is known. */
  readonly typeHash?: string;
}
