/** What the control socket answers, as JSON: the shapes that both its ends speak. */
import type { RecorderNodeStats } from '../recording/recorder-node.ts';
import type { Snapshot } from '../recording/snapshot.ts';

/** One answer. */
export interface ControlAnswer {
  /** HTTP status. */
  readonly status: number;
  readonly body: unknown;
}

/** Body of an answer that is no success. */
export interface ControlErrorBody {
  readonly error: { readonly code: string; readonly message: string };
}

/** Body of `GET /status`; counts are since the agent started. */
export interface StatusBody {
  readonly state: string;
  /** The recording that runs; null when none does. */
  readonly recording: string | null;
  /** A system error's code; null unless paused. */
  readonly paused_by: string | null;
  readonly recordings: number;
  readonly segments: number;
  readonly snapshots: number;
  readonly messages: number;
  readonly written_bytes: number;
  readonly queue_bytes: number;
  readonly ring_bytes: number;
  readonly lost_messages: number;
  /** By topic and reason. */
  readonly lost: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** Body of `POST /snapshot`. */
export interface SnapshotBody {
  readonly event_id: string;
  /** UTC nanoseconds, in decimal. */
  readonly captured_at_ns: string;
  readonly pre_roll_s: number;
  readonly post_roll_s: number;
}

export function controlError(status: number, code: string, message: string): ControlAnswer {
  const body: ControlErrorBody = { error: { code, message } };
  return { status, body };
}

export function statusAnswer(stats: RecorderNodeStats): ControlAnswer {
  const body: StatusBody = {
    state: stats.state,
    recording: stats.recordingId,
    paused_by: stats.pausedBy,
    recordings: stats.recordings,
    segments: stats.segments,
    snapshots: stats.snapshots,
    messages: stats.messages,
    written_bytes: stats.writtenBytes,
    queue_bytes: stats.queueBytes,
    ring_bytes: stats.ringBytes,
    lost_messages: stats.lostMessages,
    lost: Object.fromEntries(Object.entries(stats.lost).map(([topic, loss]) => [topic, { ...loss }])),
  };
  return { status: 200, body };
}

export function snapshotAnswer({ eventId, stamp, preRollS, postRollS }: Snapshot): ControlAnswer {
  const body: SnapshotBody = {
    event_id: eventId,
    captured_at_ns: String(stamp.capturedAtNs),
    pre_roll_s: preRollS,
    post_roll_s: postRollS,
  };
  return { status: 200, body };
}
