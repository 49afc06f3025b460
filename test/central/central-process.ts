/** A central in a process of its own, to be killed; run as a program it is that process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { runCentral } from '../../central/main.ts';

export interface CentralProcess {
  readonly pid: number;
  readonly httpPort: number;
  readonly mqttPort: number;
  /** What it wrote to standard error so far. */
  log(): string;
  kill(signal: NodeJS.Signals): Promise<number | null>;
}

/** Starts central on `dataDir`; resolves when it is ready. `mqttPort` 0: any. */
export async function spawnCentral(dataDir: string, mqttPort = 0): Promise<CentralProcess> {
  const child: ChildProcess = spawn(process.execPath, [fileURLToPath(import.meta.url), dataDir, String(mqttPort)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr?.on('data', (text) => {
    log += text;
  });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const first = await Promise.race([once(lines, 'line'), exited.then(() => null)]);
  if (first === null) throw new Error(`central did not start: ${log}`);
  const ports = JSON.parse(String(first[0])) as { httpPort: number; mqttPort: number };
  return {
    pid: child.pid as number,
    ...ports,
    log: () => log,
    async kill(signal) {
      child.kill(signal);
      const [code] = await exited;
      return code as number | null;
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const stop = new AbortController();
  process.on('SIGTERM', () => stop.abort());
  process.exitCode = await runCentral(
    {
      dataDir: process.argv[2] as string,
      mqttPort: Number(process.argv[3]),
      httpPort: 0,
      onReady: ({ httpPort, mqttPort }) => process.stdout.write(`${JSON.stringify({ httpPort, mqttPort })}\n`),
    },
    stop.signal,
  );
}
