/** One detector process as the agent sees it: started, fed, listened to, looked at through /proc, ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setPriority } from 'node:os';
import type { AudioChunk } from '../../drivers/sample.ts';
import { lookAt, type ProcessLook, residentBytes } from './process-look.ts';
import {
  type DetectorReport,
  type DetectorSetup,
  encodeHeader,
  FRAME_FLUSH,
  FRAME_SETUP,
  FRAME_SOUND,
  LineReader,
} from './protocol.ts';
import { parseReport } from './window-reports.ts';

/** How a detector process is started. */
export interface ChildProgram {
  /** The process's program; tests put another in its place. */
  readonly entry: URL;
  /** V8 and Node flags of the process. */
  readonly execArgv: readonly string[];
  /** Nice value of the process, 0 to 19. */
  readonly niceness: number;
}

/** Who is told what a process says and that it is gone; called at most once with `gone`, and with nothing after it. */
export interface ChildListener {
  report(report: DetectorReport): void;
  /** `how` completes a sentence: `ended with SIGKILL`. */
  gone(how: string): void;
}

/** A process that was asked to end and did not is killed after so long. */
const END_MS = 300;
/** When memory runs out, the kernel ends detectors before anything that records (proc_pid_oom_score_adj(5)). */
const FIRST_TO_GO = '900';

/** A running detector process. */
export class DetectorChild {
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #listener: ChildListener;
  #gone = false;

  /** Starts the process and sends it its setup. */
  constructor(program: ChildProgram, setup: DetectorSetup, listener: ChildListener) {
    this.#listener = listener;
    this.#child = spawn(process.execPath, [...program.execArgv, program.entry.pathname], {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
      env: detectorEnvironment(),
    });
    this.#socket = this.#child.stdio[3] as Socket;
    const lines = new LineReader();
    this.#socket.setEncoding('utf8');
    this.#socket.on('data', (text: string) => {
      for (const line of lines.read(text)) {
        const report = this.#gone ? null : parseReport(line);
        if (report !== null) listener.report(report);
      }
    });
    // A socket of a dying process fails in its own way; the exit says all that matters.
    this.#socket.on('error', () => {});
    this.#child.once('error', (error) => this.#leave(`could not be started: ${error.message}`));
    this.#child.once('exit', (code, signal) => this.#leave(`ended with ${signal ?? `code ${code}`}`));
    this.#yieldToOthers(program.niceness);
    const text = Buffer.from(JSON.stringify(setup));
    this.#socket.write(encodeHeader(FRAME_SETUP, text.length, 0n));
    this.#socket.write(text);
  }

  get pid(): number | null {
    return this.#child.pid ?? null;
  }

  /** Sends one chunk; it must not change before it is sent. */
  hear({ pcm, stamp }: AudioChunk): void {
    this.#socket.cork();
    // The monotonic clock does not step, so the detector sees gaps only where sound is missing.
    this.#socket.write(encodeHeader(FRAME_SOUND, pcm.byteLength, stamp.monotonicNs));
    this.#socket.write(new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength));
    this.#socket.uncork();
  }

  /** Asks for everything that is still undecided. */
  flush(): void {
    this.#socket.write(encodeHeader(FRAME_FLUSH, 0, 0n));
  }

  /** How it is now; null when it is gone. */
  look(): ProcessLook | null {
    return this.pid === null ? null : lookAt(this.pid);
  }

  /** Its resident memory, bytes; null when it is gone. */
  memoryBytes(): number | null {
    return this.pid === null ? null : residentBytes(this.pid);
  }

  /** Kills it; `gone` is called at once, with `how`. */
  kill(how: string): void {
    this.#child.kill('SIGKILL');
    this.#leave(how);
  }

  /** Lets it end by itself, for a short time, and resolves when it is gone. The listener hears nothing more. */
  async end(): Promise<void> {
    this.#gone = true;
    if (this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
    this.#socket.end();
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), END_MS);
    await exited;
    clearTimeout(killer);
    this.#socket.destroy();
  }

  #leave(how: string): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#socket.destroy();
    this.#listener.gone(how);
  }

  #yieldToOthers(niceness: number): void {
    if (this.pid === null) return;
    try {
      if (niceness > 0) setPriority(this.pid, niceness);
      writeFileSync(`/proc/${this.pid}/oom_score_adj`, FIRST_TO_GO);
    } catch {
      // It is gone already, or the kernel does not let us: it runs as it is.
    }
  }
}

/** The process gets no more of the environment than it needs; the compile cache and the allocator's settings keep it lean. */
function detectorEnvironment(): NodeJS.ProcessEnv {
  const wanted = [
    'PATH',
    'NODE_COMPILE_CACHE',
    'MALLOC_ARENA_MAX',
    'MALLOC_MMAP_THRESHOLD_',
    'MALLOC_TRIM_THRESHOLD_',
    'MALLOC_TOP_PAD_',
  ];
  return Object.fromEntries(
    wanted.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}
