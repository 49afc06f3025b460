/**
 * The detector process's side of the socket: one frame at a time into the detector, reports back. It ends when the agent's end
 * of the socket closes, so it never outlives the agent.
 */
import { Socket } from 'node:net';
import {
  type DetectorReport,
  type DetectorSetup,
  FRAME_FLUSH,
  FRAME_SETUP,
  FRAME_SOUND,
  type Frame,
  FrameReader,
  type HeardImpact,
} from './protocol.ts';
import type { ReadyReport, ScoredWindow, SummaryReport } from './window-reports.ts';

/** What hears impacts. `push` gets sound it must not keep after its promise resolves. */
export interface Hearing {
  /** What the agent is told of the model. */
  readonly about: Omit<ReadyReport, 'kind'>;
  push(pcm: Int16Array<ArrayBuffer>, firstSampleNs: bigint): Promise<readonly HeardImpact[]>;
  flush(): Promise<readonly HeardImpact[]>;
  /** The windows scored since it was asked last. */
  takeWindows(): ScoredWindow[];
  /** What was counted since it was asked last; null when nothing was. */
  takeSummary(): Omit<SummaryReport, 'kind'> | null;
}

/** Loads what hears impacts. */
export type OpenHearing = (setup: DetectorSetup) => Promise<Hearing>;

const READ_BUFFER_BYTES = 65_536;

/** The descriptor of the socket that the agent gives its detector process. */
export const SOCKET_FD = 3;

/** Serves until the agent closes the socket; resolves to the exit code. */
export function serveDetector(open: OpenHearing, fd: number = SOCKET_FD): Promise<number> {
  return new Promise((resolve) => {
    const reader = new FrameReader();
    const session = new Session(open, (report) => socket.write(`${JSON.stringify(report)}\n`));
    const socket = new Socket({
      fd,
      // One buffer for all reads: fresh ones would be some 50 MB of garbage a minute.
      onread: {
        buffer: Buffer.alloc(READ_BUFFER_BYTES),
        callback: (length, buffer) => {
          consume(buffer.subarray(0, length)).then(
            () => socket.resume(),
            (error: unknown) => fail(error),
          );
          return false;
        },
      },
    });
    const consume = async (bytes: Uint8Array): Promise<void> => {
      for (let offset = 0; offset < bytes.length; ) {
        const { next, frame } = reader.read(bytes, offset);
        offset = next;
        if (frame !== null) await session.take(frame);
      }
    };
    const fail = (error: unknown): void => {
      const message = error instanceof Error ? error.message : String(error);
      const report: DetectorReport = { kind: 'failed', message };
      socket.end(`${JSON.stringify(report)}\n`, () => resolve(1));
    };
    socket.on('end', () => resolve(0));
    socket.on('error', () => resolve(0));
    socket.resume();
  });
}

/** What the process does with each frame. */
class Session {
  readonly #open: OpenHearing;
  readonly #report: (report: DetectorReport) => void;
  #hearing: Hearing | null = null;
  #done = 0;
  #summaryPeriodMs = 0;
  #summedUpMs = 0;

  constructor(open: OpenHearing, report: (report: DetectorReport) => void) {
    this.#open = open;
    this.#report = report;
  }

  async take(frame: Frame): Promise<void> {
    if (frame.kind === FRAME_SETUP) {
      const setup = JSON.parse(Buffer.from(frame.payload).toString('utf8')) as DetectorSetup;
      this.#hearing = await this.#open(setup);
      this.#summaryPeriodMs = setup.summaryPeriodS * 1000;
      this.#summedUpMs = performance.now();
      this.#report({ kind: 'ready', ...this.#hearing.about });
      return;
    }
    if (this.#hearing === null) throw new Error(`expected a setup frame first, found kind ${frame.kind}`);
    if (frame.kind === FRAME_SOUND) {
      const pcm = new Int16Array(frame.payload.buffer, 0, frame.payload.byteLength / 2);
      this.#tell(await this.#hearing.push(pcm, frame.timeNs));
      this.#progress(this.#hearing);
    } else if (frame.kind === FRAME_FLUSH) {
      this.#tell(await this.#hearing.flush());
      this.#sumUp(this.#hearing);
      this.#report({ kind: 'flushed' });
    } else {
      throw new Error(`expected a frame of kind 1 to 3, found ${frame.kind}`);
    }
  }

  #progress(hearing: Hearing): void {
    this.#done += 1;
    const windows = hearing.takeWindows();
    this.#report({ kind: 'progress', done: this.#done, ...(windows.length > 0 && { windows }) });
    if (performance.now() - this.#summedUpMs >= this.#summaryPeriodMs) this.#sumUp(hearing);
  }

  #sumUp(hearing: Hearing): void {
    this.#summedUpMs = performance.now();
    const summary = hearing.takeSummary();
    if (summary !== null) this.#report({ kind: 'summary', ...summary });
  }

  #tell(impacts: readonly HeardImpact[]): void {
    for (const { onsetNs, endNs, ...heard } of impacts) {
      this.#report({ kind: 'impact', onset_ns: String(onsetNs), end_ns: String(endNs), ...heard });
    }
  }
}
