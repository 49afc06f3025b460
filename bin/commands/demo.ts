/**
 * `fender demo`: the product with emulated devices. Starts one central service and one vehicle as their own
 * processes, says where to look, and prints each impact as central has it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { buildDashboard } from '../build-dashboard.ts';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { run, UsageError, wholeNumber } from '../run.ts';

interface DemoOptions {
  readonly port: number;
  readonly data: string;
  readonly sound?: string;
  readonly seed: number;
  readonly vehicle: string;
  readonly render?: string;
  readonly seconds: number;
}

const root = resolve(import.meta.dirname, '../..');
const HOST = '127.0.0.1';
const MQTT_PORT = 1883;

export function demoCommand(): Command {
  return new Command('demo')
    .summary('bring up central and one vehicle with emulated devices')
    .description(
      'Starts one central service and one vehicle whose devices are emulated, and says where to look. ' +
        'Ctrl-C ends both. What is recorded stays in the data folder and is there again at the next start.',
    )
    .option('--port <number>', 'port of the dashboard', wholeNumber('port', 1, 65_535), 8080)
    .option('--data <folder>', 'where both keep their data', 'var/demo')
    .option('--sound <path>', 'play this WAV file, or all in this folder, instead of the generated drive')
    .option('--seed <number>', 'seed of the generated drive', wholeNumber('seed', 0, 0xffff_ffff), 1)
    .option('--vehicle <id>', 'name of the vehicle', 'demo-1')
    .option('--render <file>', 'write the generated drive to this 8-channel WAV, its truth beside it as CSV, and end')
    .option('--seconds <number>', 'length with --render, s', wholeNumber('seconds', 1, 86_400), 60)
    .addHelpText(
      'after',
      `${EXIT_HELP}

Examples:
  npm start                                   the demonstration on http://localhost:8080
  npm start -- --port 9000 --sound drive.wav  your own recording through the same way
  npm run -s fender -- demo --render drive.wav --seconds 600 --seed 7`,
    )
    .action((options: DemoOptions) => run((signal) => (options.render ? render(options) : demo(options, signal))));
}

async function render(options: DemoOptions): Promise<number> {
  const { renderSound } = await import('../../agent/render-sound.ts');
  const { startProgress } = await import('../progress.ts');
  const progress = startProgress('rendering');
  const path = resolve(options.render ?? '');
  const csvPath = `${path.replace(/\.wav$/i, '')}.csv`;
  const { impacts } = await renderSound({
    path,
    csvPath,
    seconds: options.seconds,
    seed: options.seed,
    onProgress: (done, total) => progress.update(done, total),
  });
  progress.close();
  process.stdout.write(`${path}: ${options.seconds} s, ${impacts} impacts; their times are in ${csvPath}\n`);
  return EXIT.ok;
}

async function demo(options: DemoOptions, signal: AbortSignal): Promise<number> {
  if (options.sound && !existsSync(options.sound)) {
    throw new UsageError(`--sound: expected a file or folder, found nothing at ${resolve(options.sound)}`);
  }
  const data = resolve(options.data);
  mkdirSync(data, { recursive: true });
  say('Fender: one central service, and one vehicle with emulated devices');
  if (!(await portIsFree(options.port))) {
    throw new UsageError(`port ${options.port} is in use: end what uses it, or choose another with --port`);
  }
  await buildDashboard(signal, say);
  const mqttPort = (await portIsFree(MQTT_PORT)) ? MQTT_PORT : await freePort();
  const children = new Children(data);
  try {
    const url = `http://localhost:${options.port}`;
    const central = [`--http-port=${options.port}`, `--mqtt-port=${mqttPort}`, '--data', join(data, 'central')];
    children.start('central', ['central', ...central]);
    await waitFor(`${url}/healthz`, children, signal);
    say(`  central    ${url}  (MQTT on ${HOST}:${mqttPort}, data in ${join(options.data, 'central')})`);
    children.start('vehicle', ['agent', '--config', await writeConfig(options, data, mqttPort)]);
    await waitForVehicle(url, options.vehicle, children, signal);
    say(`  vehicle    ${options.vehicle} is online, recording to ${join(options.data, 'agent')}`);
    say(`  sound      ${options.sound ?? `generated drive, seed ${options.seed}`}`);
    say(`  logs       ${join(options.data, 'central.log')}, ${join(options.data, 'vehicle.log')}`);
    say(`\nLook at ${url}. Impacts appear here and there as they happen. Ctrl-C ends the demonstration.\n`);
    await Promise.race([printImpacts(url, signal), children.failure]);
    return EXIT.ok;
  } catch (error) {
    if (signal.aborted) return EXIT.ok;
    throw error;
  } finally {
    await children.stop();
    say('Ended; nothing is left running.');
  }
}

/** Both processes: their logs go to files, the first one's unexpected end is everybody's. */
class Children {
  readonly failure: Promise<never>;
  private readonly fail: (error: Error) => void;
  private readonly folder: string;
  private readonly running: ChildProcess[] = [];
  private stopping = false;

  constructor(folder: string) {
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {});
    this.failure = promise;
    this.fail = reject;
    this.folder = folder;
  }

  start(name: string, args: readonly string[]): void {
    const logPath = join(this.folder, `${name}.log`);
    const log = createWriteStream(logPath, { flags: 'w' });
    const child = spawn(process.execPath, [join(root, 'bin/fender.ts'), ...args], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      // A session of its own: Ctrl-C in the terminal reaches this process alone, which then ends both in order.
      detached: true,
    });
    let tail = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (bytes: Buffer) => {
        log.write(bytes);
        tail = (tail + bytes.toString()).slice(-2_000);
      });
    }
    child.on('exit', (code, killed) => {
      log.end();
      if (!this.stopping)
        this.fail(new DemoError(`${name} ended (${killed ?? `status ${code}`}); ${logPath} says:\n${tail}`));
    });
    this.running.push(child);
  }

  async stop(): Promise<void> {
    this.stopping = true;
    for (const child of this.running.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((done) => child.once('exit', done));
      child.kill('SIGTERM');
      const killer = setTimeout(() => child.kill('SIGKILL'), 8_000);
      await gone;
      clearTimeout(killer);
    }
  }
}

class DemoError extends Error {
  readonly code = 'demo-failed';
}

async function writeConfig(options: DemoOptions, data: string, mqttPort: number): Promise<string> {
  const { demoConfig } = await import('../../agent/demo-config.ts');
  const path = join(data, 'agent.yaml');
  const text = demoConfig({
    vehicleId: options.vehicle,
    dataDir: join(data, 'agent'),
    mqttUrl: `mqtt://${HOST}:${mqttPort}`,
    seed: options.seed,
    ...(options.sound ? { sound: resolve(options.sound) } : {}),
  });
  writeFileSync(path, text);
  return path;
}

async function waitFor(url: string, children: Children, signal: AbortSignal): Promise<void> {
  await waitUntil(`${url} to answer`, children, signal, async () => (await fetch(url)).ok);
}

async function waitForVehicle(url: string, id: string, children: Children, signal: AbortSignal): Promise<void> {
  await waitUntil(`the vehicle ${id} to be online`, children, signal, async () => {
    const answer = await fetch(`${url}/api/vehicles/${id}`);
    return answer.ok && ((await answer.json()) as { online: boolean }).online;
  });
}

async function waitUntil(
  what: string,
  children: Children,
  signal: AbortSignal,
  look: () => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await look().catch(() => false))) {
    if (performance.now() > deadline) throw new DemoError(`waited 60 s in vain for ${what}; the logs tell more`);
    await Promise.race([sleep(150, undefined, { signal }), children.failure]);
  }
}

/** Follows central's live events and prints one line an impact, until the signal aborts. */
async function printImpacts(url: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await followImpacts(url, signal).catch(() => {});
    await sleep(500, undefined, { signal }).catch(() => {});
  }
}

async function followImpacts(url: string, signal: AbortSignal): Promise<void> {
  const answer = await fetch(`${url}/api/live`, { signal });
  let text = '';
  for await (const bytes of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += bytes;
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const data = /^event: impact$/m.test(block) ? /^data: (.*)$/m.exec(block)?.[1] : undefined;
      if (data) say(impactLine(url, JSON.parse(data)));
    }
  }
}

function impactLine(url: string, event: { id: string; label: string; score: number; captured_at: string }): string {
  const time = new Date(event.captured_at).toLocaleTimeString('en-GB');
  return `  ${time}  ${event.label.padEnd(12)} ${event.score.toFixed(2)}  ${url}/events/${event.id}`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function portIsFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(false));
    server.listen(port, HOST, () => server.close(() => done(true)));
  });
}

function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once('error', fail);
    server.listen(0, HOST, () => {
      const address = server.address();
      server.close(() => done(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
