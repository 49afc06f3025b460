/**
 * Keeps the ROS process alive: hands it what is to be published, takes what it received, and starts it again when it dies or hangs.
 * Nothing it does can hold up whoever publishes, and what it had received when it died is still read.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Diagnostic } from '../../drivers/sample.ts';
import {
  type CallAnswer,
  decodeJson,
  encodeHeader,
  encodeJson,
  FRAME_ADVERTISE,
  FRAME_ANSWER,
  FRAME_PLAN,
  FRAME_PUBLISH,
  FRAME_RECEIVED,
  FRAME_REPORT,
  FRAME_RESTORE,
  type Frame,
  FrameReader,
  type ParameterValue,
  type PlannedTopic,
  type RosFigures,
  type RosPlan,
  type RosReport,
} from './protocol.ts';

/** Who is told what comes from ROS; called synchronously, must not throw. */
export interface RosListener {
  /** A message of `plan.foreign[index]`, received at that CLOCK_MONOTONIC time; its bytes are the listener's. */
  received(index: number, monotonicNs: bigint, cdr: Uint8Array): void;
  /** So many messages of that topic were dropped before the next. */
  dropped(index: number, count: number): void;
  offered(index: number, qos: readonly Record<string, unknown>[]): void;
  /** A user has set a parameter; false sets it back. */
  parameter(parameter: ParameterValue): boolean;
  /** Somebody calls a service; the answer may take its time. */
  call(node: string, service: string): Promise<Omit<CallAnswer, 'id'>>;
  diagnostic(diagnostic: Diagnostic): void;
}

/** How the ROS process is run and watched. */
export interface RosSupervisorOptions {
  /** Asked at each start, so that a restarted process knows the parameters of now. */
  readonly plan: (start: { readonly isFirst: boolean }) => RosPlan;
  /** Bytes that may wait for the process; beyond it messages are not published, and counted. */
  readonly queueBytes: number;
  /** Without a sign of life for this long, the process is killed. */
  readonly hangTimeoutMs: number;
  /** Without nodes for this long after its start, the process is killed. */
  readonly startTimeoutMs: number;
  /** The process's program; tests put another in its place. */
  readonly entry: URL;
  /** V8 and Node flags of the process. */
  readonly execArgv: readonly string[];
  /** The environment of the process: ROS 2 is sourced in it. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Figures of the ROS side since the agent started. */
export interface RosStatistics {
  readonly state: 'stopped' | 'starting' | 'running' | 'waiting';
  readonly pid: number | null;
  readonly restarts: number;
  /** Messages that ROS was given. */
  readonly published: number;
  /** Messages that were not published: no process, a full queue, or a type that ROS does not know. */
  readonly missed: number;
  /** Messages of others that arrived here. */
  readonly received: number;
  /** Messages of others that the process had to drop. */
  readonly lost: number;
  readonly distro: string;
  readonly middleware: string;
}

/** Time is counted in ticks of this process, so that a pause of the whole machine is not taken for a hang. */
const TICK_MS = 100;
/** How often the process gives a sign of life. */
const ALIVE_PERIOD_MS = 500;
/** After so many of them its diagnostic is told again. */
const TELL_PERIOD_ALIVES = 10;
/** A process that lived so long has started well. */
const SETTLED_MS = 10_000;
/** Pause before the next start after so many failed starts in a row. */
const BACKOFF_MS: readonly number[] = [100, 1_000, 2_000, 5_000, 15_000, 60_000];
/** What a killed process had sent is read for so long at most. */
const DRAIN_MS = 2_000;
/**
 * How long per tick this process may be busy with messages of others. Beyond it they wait in the ROS process, which drops and counts
 * what is above its bound: no flood of theirs keeps this process from its own sensors.
 */
const BUSY_MS_PER_TICK = 40;
/** After the time for saying good-bye, a killed process is waited for this long. */
const KILLED_MS = 500;
const NO_FIGURES: RosFigures = { published: 0, publishErrors: 0, received: 0, lost: 0 };

/** The supervisor of one ROS process. */
export class RosSupervisor {
  readonly #options: RosSupervisorOptions;
  readonly #listener: RosListener;
  /** The channel of each topic that is published. */
  readonly #channels = new Map<string, number>();
  /** Topics that were not in the plan; advertised again at each start. */
  readonly #added: PlannedTopic[] = [];
  #plannedTopics = 0;
  #child: ChildProcess | null = null;
  #socket: Socket | null = null;
  #isReady = false;
  #isFirst = true;
  #silentTicks = 0;
  /** Time spent on what the process sent since the latest tick. */
  #busyMs = 0;
  #backoffTicks = 0;
  #failedStarts = 0;
  #aliveTicks = 0;
  #restarts = 0;
  #missed = 0;
  #received = 0;
  #before: RosFigures = NO_FIGURES;
  #now: RosFigures = NO_FIGURES;
  #distro = '';
  #middleware = '';
  #failure: Extract<RosReport, { kind: 'failed' }> | null = null;
  readonly #troubles = new Map<string, { message: string; cure: string }>();
  #ticker: NodeJS.Timeout | null = null;
  #isStopping = false;

  constructor(options: RosSupervisorOptions, listener: RosListener) {
    this.#options = options;
    this.#listener = listener;
  }

  /** Starts the process and watches it. */
  start(): void {
    if (this.#ticker !== null) return;
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#launch();
  }

  /**
   * Hands a message to ROS when it can take it now; `data` must not change afterwards. `node` and `qos` are used when the topic is
   * not in the plan.
   */
  publish(topic: string, data: Uint8Array, describe: () => PlannedTopic): void {
    const socket = this.#socket;
    if (!this.#isReady || socket === null || socket.writableLength > this.#options.queueBytes) {
      this.#missed += 1;
      return;
    }
    const channel = this.#channels.get(topic) ?? this.#advertise(describe(), socket);
    socket.cork();
    socket.write(encodeHeader(FRAME_PUBLISH, channel, data.byteLength, 0n));
    socket.write(data);
    socket.uncork();
  }

  /** Tells ROS the value that a parameter has. */
  restore(parameter: ParameterValue): void {
    if (this.#isReady) this.#socket?.write(encodeJson(FRAME_RESTORE, parameter));
  }

  statistics(): RosStatistics {
    const state = this.#child === null ? 'waiting' : this.#isReady ? 'running' : 'starting';
    return {
      state: this.#ticker === null ? 'stopped' : state,
      pid: this.#child?.pid ?? null,
      restarts: this.#restarts,
      published: this.#before.published + this.#now.published,
      missed: this.#missed + this.#before.publishErrors + this.#now.publishErrors,
      received: this.#received,
      lost: this.#before.lost + this.#now.lost,
      distro: this.#distro,
      middleware: this.#middleware,
    };
  }

  /** Ends the process; it may take `timeoutMs` to say good-bye to ROS. */
  async stop(timeoutMs: number): Promise<void> {
    this.#isStopping = true;
    if (this.#ticker !== null) clearInterval(this.#ticker);
    this.#ticker = null;
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    let killer: NodeJS.Timeout | undefined;
    let giveUp: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      killer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
      // One that never started, or that the kernel does not let go, has no exit.
      giveUp = setTimeout(resolve, timeoutMs + KILLED_MS);
      this.#socket?.resume();
      this.#socket?.end();
    });
    clearTimeout(killer);
    clearTimeout(giveUp);
  }

  /** Starts the process. What the system refuses (no memory, no descriptors) is tried again like a process that died. */
  #launch(): void {
    try {
      this.#spawn();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#child = null;
      this.#ended(`could not be started: ${reason}`);
    }
  }

  #spawn(): void {
    const plan = this.#options.plan({ isFirst: this.#isFirst });
    const child = spawn(process.execPath, [...this.#options.execArgv, this.#options.entry.pathname], {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
      env: this.#options.env,
    });
    const socket = child.stdio?.[3] as Socket | undefined;
    if (socket === undefined) {
      child.once('error', () => {});
      throw new Error('no descriptors are left');
    }
    this.#child = child;
    this.#socket = socket;
    this.#isReady = false;
    this.#silentTicks = 0;
    this.#aliveTicks = 0;
    this.#failure = null;
    this.#before = sum(this.#before, this.#now);
    this.#now = NO_FIGURES;
    this.#troubles.clear();
    this.#channels.clear();
    plan.topics.forEach(({ topic }, channel) => {
      this.#channels.set(topic, channel);
    });
    this.#plannedTopics = plan.topics.length;
    this.#read(child, socket);
    socket.write(encodeJson(FRAME_PLAN, plan));
  }

  /** Reads until the socket ends: what a dead process had sent still counts. */
  #read(child: ChildProcess, socket: Socket): void {
    const reader = new FrameReader();
    let how = 'closed its socket';
    let isOver = false;
    const over = (): void => {
      if (isOver) return;
      isOver = true;
      this.#lost(child, how);
    };
    socket.on('data', (bytes: Buffer) => {
      const startedMs = performance.now();
      try {
        reader.read(bytes, (frame) => this.#take(frame));
      } catch (error) {
        how = error instanceof Error ? error.message : String(error);
        child.kill('SIGKILL');
      }
      this.#busyMs += performance.now() - startedMs;
      if (this.#busyMs > BUSY_MS_PER_TICK) socket.pause();
    });
    // A socket of a dying process fails in its own way; the exit says all that matters.
    socket.on('error', () => {});
    child.once('error', (error) => {
      how = `could not be started: ${error.message}`;
      over();
    });
    child.once('exit', (code, signal) => {
      if (how === 'closed its socket') how = `ended with ${signal ?? `code ${code}`}`;
      if (socket.readableEnded || socket.destroyed) over();
      else {
        socket.once('close', over);
        setTimeout(over, DRAIN_MS).unref();
      }
    });
  }

  #take(frame: Frame): void {
    this.#silentTicks = 0;
    if (frame.kind === FRAME_RECEIVED) {
      this.#received += 1;
      this.#listener.received(frame.channel, frame.timeNs, frame.payload);
      return;
    }
    if (frame.kind !== FRAME_REPORT) return;
    const report = decodeJson(frame.payload) as RosReport | undefined;
    if (report !== undefined) this.#hear(report);
  }

  #hear(report: RosReport): void {
    switch (report.kind) {
      case 'ready':
        this.#isReady = true;
        this.#isFirst = false;
        this.#distro = report.distro;
        this.#middleware = report.middleware;
        this.#added.forEach((topic, index) => {
          this.#sendAdvertised(topic, this.#plannedTopics + index);
        });
        this.#tellState();
        break;
      case 'alive':
        this.#now = report;
        this.#aliveTicks += 1;
        // With the figures of now.
        if (this.#aliveTicks % TELL_PERIOD_ALIVES === 0) this.#tellState();
        break;
      case 'trouble':
        this.#troubles.set(report.subject, report);
        if (this.#isReady) this.#tellState();
        break;
      case 'well':
        if (this.#troubles.delete(report.subject)) this.#tellState();
        break;
      case 'parameter':
        this.#setParameter(report);
        break;
      case 'call':
        void this.#call(report);
        break;
      case 'dropped':
        this.#listener.dropped(report.channel, report.count);
        break;
      case 'offered':
        this.#listener.offered(report.channel, report.qos);
        break;
      case 'failed':
        this.#failure = report;
        break;
    }
  }

  #setParameter({ node, name, value }: ParameterValue): void {
    if (!this.#listener.parameter({ node, name, value })) {
      const known = this.#options.plan({ isFirst: false }).nodes.find((each) => each.name === node);
      const before = known?.parameters.find((each) => each.name === name);
      if (before !== undefined) this.restore({ node, name, value: before.value });
    }
  }

  async #call({ id, node, service }: Extract<RosReport, { kind: 'call' }>): Promise<void> {
    const socket = this.#socket;
    const answer = await this.#listener.call(node, service).catch((error: unknown) => {
      return { success: false, message: error instanceof Error ? error.message : String(error) };
    });
    // Whoever called a process that died since waits in vain; its successor does not know the call.
    if (socket === this.#socket && this.#isReady) socket?.write(encodeJson(FRAME_ANSWER, { id, ...answer }));
  }

  #advertise(topic: PlannedTopic, socket: Socket): number {
    const channel = this.#plannedTopics + this.#added.length;
    this.#added.push(topic);
    this.#sendAdvertised(topic, channel, socket);
    return channel;
  }

  #sendAdvertised(topic: PlannedTopic, channel: number, socket = this.#socket): void {
    this.#channels.set(topic.topic, channel);
    socket?.write(encodeJson(FRAME_ADVERTISE, topic, channel));
  }

  #tick(): void {
    // A long stretch is paid off tick by tick.
    this.#busyMs = Math.max(0, this.#busyMs - BUSY_MS_PER_TICK);
    if (this.#busyMs < BUSY_MS_PER_TICK) this.#socket?.resume();
    if (this.#child === null) {
      this.#backoffTicks -= 1;
      if (this.#backoffTicks <= 0) this.#launch();
      return;
    }
    if (this.#socket?.isPaused()) return;
    this.#silentTicks += 1;
    const limitMs = this.#isReady ? this.#options.hangTimeoutMs : this.#options.startTimeoutMs;
    if (this.#silentTicks * TICK_MS < limitMs) return;
    const waited = this.#isReady ? 'gave no sign of life' : 'had no nodes';
    const message = `expected progress, found: it ${waited} for ${limitMs} ms`;
    this.#failure ??= { kind: 'failed', code: 'hung', message, cure: '' };
    this.#silentTicks = 0;
    this.#isReady = false;
    this.#child.kill('SIGKILL');
  }

  #lost(child: ChildProcess, how: string): void {
    if (this.#child !== child) return;
    this.#child = null;
    this.#socket?.destroy();
    this.#socket = null;
    this.#ended(how);
  }

  /** There is no process: says so and arranges the next. */
  #ended(how: string): void {
    this.#isReady = false;
    if (this.#isStopping) return;
    const livedMs = this.#aliveTicks * ALIVE_PERIOD_MS;
    this.#failedStarts = livedMs >= SETTLED_MS ? 0 : this.#failedStarts + 1;
    const pauseMs = BACKOFF_MS[Math.min(this.#failedStarts, BACKOFF_MS.length - 1)] ?? 0;
    this.#backoffTicks = pauseMs / TICK_MS;
    this.#restarts += 1;
    const { code = 'restarted', message = `the ROS process ${how}`, cure = '' } = this.#failure ?? {};
    this.#tell(this.#failedStarts > 1 || this.#failure !== null ? 'error' : 'warn', code, message, cure);
  }

  /** All is well, or the first of the troubles that the process told. */
  #tellState(): void {
    const [trouble] = this.#troubles.values();
    if (trouble === undefined) {
      this.#tell('ok', 'ok', `ROS 2 ${this.#distro} (${this.#middleware}) has the nodes`, '');
    } else {
      const more = this.#troubles.size > 1 ? ` (and ${this.#troubles.size - 1} more)` : '';
      this.#tell('warn', 'partly', `${trouble.message}${more}`, trouble.cure);
    }
  }

  #tell(level: Diagnostic['level'], code: string, message: string, cure: string): void {
    const { restarts, published, missed, received, lost } = this.statistics();
    const values = {
      restarts,
      published_messages: published,
      missed_messages: missed,
      received_messages: received,
      lost_messages: lost,
    };
    this.#listener.diagnostic({ source: 'ros', level, code, message, cure, values });
  }
}

function sum(a: RosFigures, b: RosFigures): RosFigures {
  return {
    published: a.published + b.published,
    publishErrors: a.publishErrors + b.publishErrors,
    received: a.received + b.received,
    lost: a.lost + b.lost,
  };
}
