/** Real agent and central processes for end-to-end and fault tests: started as a user starts them, ended or killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';

const ROOT = join(import.meta.dirname, '../..');

/** One running `fender` process. */
export class FenderProcess {
  readonly child: ChildProcess;
  /** Everything it said, bounded to the last 200 kB. */
  output = '';

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(process.execPath, [join(ROOT, 'bin/fender.ts'), ...args], {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        this.output = (this.output + bytes.toString()).slice(-200_000);
      });
    }
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Resolves with the exit status, or the signal's name, once the process is gone. */
  ended(): Promise<number | string> {
    const { child } = this;
    if (!this.running) return Promise.resolve(child.exitCode ?? child.signalCode ?? -1);
    return new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal ?? -1)));
  }

  async end(signal: NodeJS.Signals): Promise<number | string> {
    const ended = this.ended();
    if (this.running) this.child.kill(signal);
    return ended;
  }
}

export interface CentralPlace {
  readonly dataDir: string;
  readonly httpPort: number;
  readonly mqttPort: number;
}

export function startCentral({ dataDir, httpPort, mqttPort }: CentralPlace): FenderProcess {
  return new FenderProcess(['central', '--data', dataDir, `--http-port=${httpPort}`, `--mqtt-port=${mqttPort}`]);
}

/** Writes the configuration (keys that are left out have their defaults) and starts an agent with it. */
export function startAgent(folder: string, config: object, env: NodeJS.ProcessEnv = {}): FenderProcess {
  const path = join(folder, 'agent.yaml');
  writeFileSync(path, stringify(config));
  return new FenderProcess(['agent', '--config', path], env);
}

/** Resolves when `look` says true; rejects with `what` and the processes' last words after `timeoutMs`. */
export async function until(
  what: string,
  look: () => boolean | Promise<boolean>,
  { timeoutMs = 60_000, processes = [] as readonly FenderProcess[] } = {},
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (await Promise.resolve(look()).catch(() => false)) return;
    const dead = processes.find((process) => !process.running);
    if (dead || performance.now() > deadline) {
      const words = processes.map((process) => process.output.slice(-3_000)).join('\n---\n');
      throw new Error(`${dead ? 'a process ended while waiting' : `waited ${timeoutMs} ms`} for ${what}\n${words}`);
    }
    await sleep(50);
  }
}

/** GETs JSON from central's API; rejects when the answer is not 2xx. */
export async function get<T>(httpPort: number, path: string): Promise<T> {
  const answer = await fetch(`http://127.0.0.1:${httpPort}${path}`);
  if (!answer.ok) throw new Error(`GET ${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

/** A TCP port on loopback that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
