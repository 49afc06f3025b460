/**
 * Does what central commands: each command once, also over a restart of the agent, and says what came of it each time
 * the command comes again. Knows no sockets and no recorder: both are injected.
 */

import type { Clock } from '../drivers/sample.ts';
import { SyncError } from './wire/error.ts';
import type { Command } from './wire/wire_pb.js';

/** A command that was understood. Durations in seconds; undefined: as the vehicle is configured. */
export type VehicleCommand =
  | {
      readonly kind: 'snapshot';
      readonly id: string;
      readonly reason: string;
      readonly preRollS: number | undefined;
      readonly postRollS: number | undefined;
    }
  | { readonly kind: 'start_recording' | 'stop_recording'; readonly id: string };

/** What came of a command. `refused`: it was not tried; `failed`: it was, in vain. */
export interface CommandOutcome {
  readonly status: 'done' | 'refused' | 'failed';
  /** Stable, kebab-case; `ok` when done. */
  readonly code: string;
  /** A sentence for people. */
  readonly message: string;
  /** For instance `event_id` of a snapshot. */
  readonly values?: Readonly<Record<string, string>>;
}

/** Does a command; a rejection counts as `failed`. */
export type OnCommand = (command: VehicleCommand) => Promise<CommandOutcome>;

/** One text that survives a restart; the outbox keeps it. */
export interface CommandMemory {
  read(): string | null;
  /** Resolves when it is durable. */
  write(text: string): Promise<void>;
}

/** Null: begun, and nothing is known of the end. */
type Remembered = CommandOutcome | null;

const maxRemembered = 64;
const maxRunning = 8;
/** Clocks of vehicle and central differ a little, and a message takes its time. */
const graceNs = 5_000_000_000n;
const maxReasonLength = 200;
const maxRollS = 3600;
const idPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const statuses: ReadonlySet<unknown> = new Set(['done', 'refused', 'failed']);

export class CommandReceiver {
  readonly #clock: Clock;
  readonly #memory: CommandMemory;
  readonly #onCommand: OnCommand | null;
  readonly #report: (id: string, outcome: CommandOutcome) => void;
  readonly #known: Map<string, Remembered>;
  readonly #running = new Set<string>();

  /** `report` sends a result; what it cannot send is asked for again. */
  constructor(
    clock: Clock,
    memory: CommandMemory,
    onCommand: OnCommand | null,
    report: (id: string, outcome: CommandOutcome) => void,
  ) {
    this.#clock = clock;
    this.#memory = memory;
    this.#onCommand = onCommand;
    this.#report = report;
    this.#known = parseRemembered(memory.read());
  }

  /** Takes a command; never rejects. Throws `bad-message` for one without a usable id: nobody could be answered. */
  receive(command: Command): void {
    const { id } = command;
    if (!idPattern.test(id)) {
      throw new SyncError('bad-message', `command id: expected a UUID, found ${JSON.stringify(id.slice(0, 80))}`);
    }
    if (this.#running.has(id)) return; // it is answered when it is done
    this.#running.add(id);
    void this.#answer(command)
      .then((outcome) => this.#report(id, outcome))
      // What could not be said is asked for again.
      .catch(() => {})
      .finally(() => this.#running.delete(id));
  }

  async #answer(command: Command): Promise<CommandOutcome> {
    const { id } = command;
    const known = this.#known.get(id);
    if (known !== undefined) return known ?? (await this.#settle(id, interrupted));
    const refusal = this.#whyRefuse(command);
    if (refusal !== null) return await this.#settle(id, refusal);
    const asked = toVehicleCommand(command) as VehicleCommand;
    try {
      // Before it is done: a power cut in between must not make it happen twice.
      await this.#remember(id, null);
    } catch (error) {
      this.#known.delete(id);
      return { status: 'failed', code: 'storage', message: `the command could not be noted: ${messageOf(error)}` };
    }
    try {
      return await this.#settle(id, await (this.#onCommand as OnCommand)(asked));
    } catch (error) {
      return await this.#settle(id, { status: 'failed', code: 'failed', message: messageOf(error) });
    }
  }

  #whyRefuse(command: Command): CommandOutcome | null {
    if (this.#running.size > maxRunning) {
      return refused('busy', `expected at most ${maxRunning} commands at a time, found one more`);
    }
    const now = this.#clock.now();
    const endNs = command.issuedAtNs + BigInt(command.validForS) * 1_000_000_000n + graceNs;
    // A vehicle that does not know the time trusts central, which says nothing that is over.
    if (now.synchronised && now.capturedAtNs > endNs) {
      const lateS = Number((now.capturedAtNs - endNs) / 1_000_000_000n);
      return refused('expired', `expected it within ${command.validForS} s, it came ${lateS} s too late`);
    }
    const asked = toVehicleCommand(command);
    if (typeof asked === 'string') return refused('invalid-command', asked);
    if (asked === null) {
      return refused('unknown-command', 'expected snapshot, start_recording or stop_recording, found another command');
    }
    return this.#onCommand === null ? refused('not-supported', 'this agent takes no commands') : null;
  }

  async #settle(id: string, outcome: CommandOutcome): Promise<CommandOutcome> {
    // Undurable, it is `interrupted` after a restart, and not done again.
    await this.#remember(id, outcome).catch(() => {});
    return outcome;
  }

  async #remember(id: string, outcome: Remembered): Promise<void> {
    this.#known.set(id, outcome);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= maxRemembered) break;
      this.#known.delete(oldest);
    }
    await this.#memory.write(JSON.stringify([...this.#known]));
  }
}

const interrupted: CommandOutcome = {
  status: 'failed',
  code: 'interrupted',
  message: 'the agent was stopped while it did this; it is not done again',
};

function refused(code: string, message: string): CommandOutcome {
  return { status: 'refused', code, message };
}

/** The command of a message; null for one that this version does not know, a text for one that makes no sense. */
function toVehicleCommand({ id, body }: Command): VehicleCommand | string | null {
  if (body.case === 'startRecording') return { kind: 'start_recording', id };
  if (body.case === 'stopRecording') return { kind: 'stop_recording', id };
  if (body.case !== 'snapshot') return null;
  const { reason, preRollS, postRollS } = body.value;
  for (const [name, seconds] of Object.entries({ pre_roll_s: preRollS, post_roll_s: postRollS })) {
    if (seconds !== undefined && !(seconds >= 0 && seconds <= maxRollS)) {
      return `${name}: expected 0 to ${maxRollS} s, found ${seconds}`;
    }
  }
  return { kind: 'snapshot', id, reason: reason.slice(0, maxReasonLength), preRollS, postRollS };
}

/** What was remembered; empty for anything that `CommandReceiver` did not write. */
function parseRemembered(text: string | null): Map<string, Remembered> {
  const known = new Map<string, Remembered>();
  try {
    const read: unknown = JSON.parse(text ?? '[]');
    for (const entry of Array.isArray(read) ? read : []) {
      const [id, outcome] = Array.isArray(entry) ? entry : [];
      if (typeof id !== 'string') continue;
      if (outcome === null || statuses.has((outcome as CommandOutcome).status)) known.set(id, outcome as Remembered);
    }
  } catch {
    known.clear();
  }
  return known;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
