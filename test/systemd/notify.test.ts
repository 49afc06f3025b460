import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type FenderProcess, startAgent, until } from '../end-to-end/processes.ts';

const tools = ['socat', 'systemd-notify'].filter((tool) => spawnSync(tool, ['--version']).error !== undefined);
const missing = tools.length > 0 ? ` (skipped: ${tools.join(', ')} missing)` : '';
/** The agent pings at half of it. */
const WATCHDOG_US = 2_000_000;

/** An agent whose service manager is a socket that keeps what it is told. */
function watchedAgent(uma8: object): { agent: FenderProcess; told: () => string } {
  const folder = mkdtempSync(join(tmpdir(), 'fender-notify-'));
  const socket = join(folder, 'notify');
  const manager: ChildProcess = spawn('socat', ['-u', `UNIX-RECV:${socket}`, '-'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = '';
  manager.stdout?.on('data', (bytes: Buffer) => {
    told += bytes.toString();
  });
  const config = {
    vehicle: { id: 'watched-1' },
    data_dir: join(folder, 'agent'),
    sensors: { particulate: { device: 'emulated' }, bme680: { device: 'emulated' }, uma8 },
    sync: { enabled: false },
    health: { listen: { port: 0 } },
  };
  const agent = startAgent(folder, config, { NOTIFY_SOCKET: socket, WATCHDOG_USEC: String(WATCHDOG_US) });
  onTestFinished(async () => {
    await agent.end('SIGTERM');
    manager.kill();
  });
  return { agent, told: () => told };
}

describe.skipIf(tools.length > 0 && !process.env.CI)(`what systemd is told${missing}`, () => {
  test('the agent says when it is ready, pings while all makes progress, and says that it stops', async () => {
    const { agent, told } = watchedAgent({ source: 'generated' });
    await until('READY', () => told().includes('READY=1'), { processes: [agent] });
    await until('two pings', () => told().split('WATCHDOG=1').length > 2, { processes: [agent] });
    expect(await agent.end('SIGTERM')).toBe(0);
    expect(told()).toContain('STOPPING=1');
  });

  test('a missing array is no reason to restart: its driver tries on, and the other sensors are recorded', async () => {
    const { agent, told } = watchedAgent({ source: 'arecord', device: 'no-such-device' });
    await until('the missing array to be told', () => agent.output.includes('"source":"uma8"'), { processes: [agent] });
    const pings = () => told().split('WATCHDOG=1').length - 1;
    const before = pings();
    await until('further pings', () => pings() > before + 1, { processes: [agent] });
  });
});
