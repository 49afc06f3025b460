/** What a snapshot is: an event that somebody asked for, and a clip of the seconds around it. */

import type { Stamp } from '../../drivers/sample.ts';

/** Somebody wants the last seconds and the next ones. Seconds; what is not given is as configured. */
export interface SnapshotRequest {
  /** Why, for people; kept in the clip. */
  readonly reason: string;
  readonly preRollS?: number | undefined;
  readonly postRollS?: number | undefined;
}

/** A snapshot whose event is on the disk. */
export interface Snapshot {
  /** UUID of the event, whose label is `snapshot`. */
  readonly eventId: string;
  /** When it was asked for. */
  readonly stamp: Stamp;
  readonly preRollS: number;
  readonly postRollS: number;
}

/** Makes the event and owes its clip; resolves to the event's id when both are on the disk. Durations in nanoseconds. */
export type TakeSnapshot = (snapshot: {
  readonly stamp: Stamp;
  readonly reason: string;
  readonly preRollNs: bigint;
  readonly postRollNs: bigint;
}) => Promise<string>;
