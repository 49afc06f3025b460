/**
 * The ROS process's side of the socket: sets the nodes up as the plan says, publishes what the agent sends, hands up what is
 * subscribed. It ends when the agent's end of the socket closes, so it never outlives the agent.
 */
import { Socket } from 'node:net';
import { ForeignTopics, type TakeForeign } from './foreign-topics.ts';
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
  type RosPlan,
  type RosReport,
} from './protocol.ts';
import type { RosLibrary } from './rclnodejs.ts';
import { RosNodes } from './ros-nodes.ts';

/** Finds and loads ROS 2; rejects with a RosFailure when it cannot be used. */
export type OpenRos = () => Promise<{ library: RosLibrary; distro: string; middleware: string }>;

/** Why the process cannot work. */
export class RosFailure extends Error {
  readonly code: string;
  readonly cure: string;

  constructor(code: string, message: string, cure: string) {
    super(message);
    this.code = code;
    this.cure = cure;
  }
}

/** The descriptor of the socket that the agent gives its ROS process. */
const SOCKET_FD = 3;
const ALIVE_PERIOD_MS = 500;
const READ_BUFFER_BYTES = 131_072;

/** Serves until the agent closes the socket; resolves to the exit code. */
export function serveRos(open: OpenRos, fd: number = SOCKET_FD): Promise<number> {
  return new Promise((resolve) => {
    const reader = new FrameReader();
    const socket = new Socket({
      fd,
      onread: {
        buffer: Buffer.alloc(READ_BUFFER_BYTES),
        callback: (length, buffer) => {
          try {
            reader.read(buffer.subarray(0, length), (frame) => session.take(frame, fail));
          } catch (error) {
            fail(error);
          }
          return true;
        },
      },
    });
    const session = new Session(open, socket);
    const fail = (error: unknown): void => {
      const { code, cure } = error instanceof RosFailure ? error : { code: 'failed', cure: '' };
      const message = error instanceof Error ? error.message : String(error);
      const report: RosReport = { kind: 'failed', code, message, cure };
      socket.end(encodeJson(FRAME_REPORT, report), () => resolve(1));
    };
    const finish = (): void => {
      session.close();
      resolve(0);
    };
    socket.on('end', finish);
    socket.on('error', finish);
    socket.resume();
  });
}

/** Behind the user's own arguments, which so win. */
const OWN_ARGUMENTS: readonly string[] = [
  // The agent has a log of its own; rcl would leave one more file at each start.
  '--disable-external-lib-logs',
  // rclnodejs publishes them below the namespace, where no tool of ROS looks.
  '-r',
  'parameter_events:=/parameter_events',
  // ROS 2 Humble has a publisher of its own already, and warns of the second.
  '--log-level',
  'rcl.logging_rosout:=error',
];

/** What the process does with each frame. */
class Session {
  readonly #open: OpenRos;
  readonly #socket: Socket;
  #library: RosLibrary | null = null;
  #nodes: RosNodes | null = null;
  #foreign: ForeignTopics | null = null;

  constructor(open: OpenRos, socket: Socket) {
    this.#open = open;
    this.#socket = socket;
  }

  take(frame: Frame, fail: (error: unknown) => void): void {
    switch (frame.kind) {
      case FRAME_PLAN:
        this.#begin(decodeJson(frame.payload) as RosPlan).catch(fail);
        return;
      case FRAME_PUBLISH:
        this.#nodes?.publish(frame.channel, frame.payload);
        return;
      case FRAME_ADVERTISE:
        this.#nodes?.advertise(frame.channel, decodeJson(frame.payload) as PlannedTopic);
        return;
      case FRAME_ANSWER:
        this.#nodes?.answer(decodeJson(frame.payload) as CallAnswer);
        return;
      case FRAME_RESTORE:
        this.#nodes?.restore(decodeJson(frame.payload) as ParameterValue);
        return;
      default:
        throw new RangeError(`ROS frame: expected a kind from 1 to 5, found ${frame.kind}`);
    }
  }

  /** Tells others that the nodes go; they would find out by themselves after seconds. */
  close(): void {
    try {
      this.#nodes?.close();
      this.#library?.shutdown();
    } catch {
      // The process ends anyway.
    }
  }

  async #begin(plan: RosPlan): Promise<void> {
    const { library, distro, middleware } = await this.#open();
    this.#library = library;
    await library.init(undefined, ['fender', '--ros-args', ...plan.rosArguments, ...OWN_ARGUMENTS]);
    const report = (each: RosReport): void => this.#report(each);
    const nodes = new RosNodes(library, plan, report);
    this.#nodes = nodes;
    if (plan.foreign.length > 0) {
      const take: TakeForeign = (...message) => this.#handUp(plan.queueBytes, ...message);
      const node = nodes.node(plan.foreignNode);
      const wake = (): void => nodes.wake(plan.foreignNode);
      this.#foreign = new ForeignTopics(library, node, plan.foreign, take, report, wake);
      this.#foreign.start();
    }
    nodes.spin();
    this.#report({ kind: 'ready', distro, middleware });
    setInterval(() => this.#alive(), ALIVE_PERIOD_MS).unref();
  }

  #alive(): void {
    const { published = 0, publishErrors = 0 } = this.#nodes ?? {};
    const { received = 0, lost = 0 } = this.#foreign ?? {};
    this.#report({ kind: 'alive', published, publishErrors, received, lost });
  }

  #handUp(queueBytes: number, ...[channel, monotonicNs, cdr, lostBefore]: Parameters<TakeForeign>): boolean {
    if (this.#socket.writableLength > queueBytes) return false;
    this.#socket.cork();
    if (lostBefore > 0) this.#report({ kind: 'dropped', channel, count: lostBefore });
    this.#socket.write(encodeHeader(FRAME_RECEIVED, channel, cdr.length, monotonicNs));
    this.#socket.write(cdr);
    this.#socket.uncork();
    return true;
  }

  #report(report: RosReport): void {
    this.#socket.write(encodeJson(FRAME_REPORT, report));
  }
}
