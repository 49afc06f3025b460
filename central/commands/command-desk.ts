/**
 * Asks vehicles to do something: says a command again until its vehicle has answered or its time is over. Commands are
 * never retained and travel with QoS 0, so that no broker can deliver one late; repeating them costs nothing, because a
 * vehicle does each id once.
 */
import { encodeMessage } from '../../sync/wire/frame.ts';
import { topicOf } from '../../sync/wire/topics.ts';
import { type Command, CommandSchema } from '../../sync/wire/wire_pb.js';
import { messageOf } from '../error.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { AskedCommand, CommandStore } from '../storage/command-store.ts';

export interface CommandDeskParts {
  readonly store: CommandStore;
  readonly publish: (topic: string, payload: Uint8Array) => void;
  /** Called when a command was made or has expired. */
  readonly changed: (vehicle: string, commandId: string) => void;
  readonly metrics: Metrics;
  readonly log: Log;
  /** UTC milliseconds. */
  readonly nowMs: () => number;
}

const repeatMs = 2000;
/** How long a vehicle that took a command in time may take to answer, beside its post-roll. */
const answerMs = 20_000;
/** Commands of one vehicle that wait for their result. */
export const maxWaiting = 16;

export class CommandDesk {
  readonly #parts: CommandDeskParts;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(parts: CommandDeskParts) {
    this.#parts = parts;
  }

  /** Takes up what an earlier run left waiting. */
  start(): void {
    this.#tend();
  }

  /** Asks; `full` when too many wait already, `known` when the id is taken, by whatever command. */
  ask(asked: AskedCommand): 'asked' | 'known' | 'full' {
    const { store, changed } = this.#parts;
    if (store.find(asked.id) !== null) return 'known';
    if (store.waiting(asked.vehicle) >= maxWaiting) return 'full';
    if (!store.add(asked)) return 'known';
    changed(asked.vehicle, asked.id);
    this.#say(asked);
    this.#arm();
    return 'asked';
  }

  /** The vehicle is there (again): what waits for it is said at once. */
  vehicleOnline(vehicle: string): void {
    const nowMs = this.#parts.nowMs();
    for (const asked of this.#parts.store.pending()) {
      if (asked.vehicle === vehicle && nowMs < asked.expiresMs) this.#say(asked);
    }
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #arm(): void {
    if (this.#closed || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#tend();
    }, repeatMs);
    this.#timer.unref();
  }

  /** Says again what may still be done, and gives up what was not answered. */
  #tend(): void {
    const { store, changed, metrics, log, nowMs } = this.#parts;
    try {
      const now = nowMs();
      const pending = store.pending();
      for (const asked of pending) {
        if (now < asked.expiresMs) this.#say(asked);
        else if (now >= asked.expiresMs + answerMs + postRollMs(asked)) {
          if (!store.expire(asked.id, 'the vehicle did not answer in time', now)) continue;
          metrics.commands.inc({ outcome: 'expired' });
          changed(asked.vehicle, asked.id);
        }
      }
      if (pending.length > 0) this.#arm();
    } catch (error) {
      log.error('commands not tended', { found: messageOf(error) });
      this.#arm();
    }
  }

  #say(asked: AskedCommand): void {
    this.#parts.publish(topicOf(asked.vehicle, 'command'), encodeMessage(CommandSchema, toMessage(asked)));
  }
}

function postRollMs({ parameters }: AskedCommand): number {
  return (parameters.post_roll_s ?? 0) * 1000;
}

function toMessage(asked: AskedCommand) {
  const { id, kind, parameters, issuedMs, expiresMs } = asked;
  return {
    id,
    issuedAtNs: BigInt(issuedMs) * 1_000_000n,
    validForS: Math.ceil((expiresMs - issuedMs) / 1000),
    body: bodies[kind](parameters),
  };
}

const bodies: Readonly<Record<AskedCommand['kind'], (parameters: AskedCommand['parameters']) => Command['body']>> = {
  snapshot: ({ reason = '', pre_roll_s, post_roll_s }) => ({
    case: 'snapshot',
    value: {
      $typeName: 'fender.v1.SnapshotCommand',
      reason,
      ...(pre_roll_s !== undefined && { preRollS: pre_roll_s }),
      ...(post_roll_s !== undefined && { postRollS: post_roll_s }),
    },
  }),
  start_recording: () => ({ case: 'startRecording', value: { $typeName: 'fender.v1.StartRecordingCommand' } }),
  stop_recording: () => ({ case: 'stopRecording', value: { $typeName: 'fender.v1.StopRecordingCommand' } }),
};
