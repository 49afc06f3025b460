/** Starts another program in ROS 2, and keeps it from meeting anybody else on this machine or network. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { until } from '../../end-to-end/processes.ts';

/** The environment of everything that is to meet: a domain of its own, on this machine alone. */
export const rosEnvironment: Readonly<Record<string, string>> = {
  ROS_LOCALHOST_ONLY: '1',
  ROS_AUTOMATIC_DISCOVERY_RANGE: 'LOCALHOST',
  ROS_DOMAIN_ID: String(1 + Math.floor(Math.random() * 90)),
};

/** A running peer; `lines` are what it got, `topic hash`. */
export interface RosPeer {
  readonly child: ChildProcess;
  lines(): string[];
}

/** Orders as ros-peer-child.ts takes them. */
export async function startPeer(orders: { publish?: object[]; subscribe?: object[] }): Promise<RosPeer> {
  const path = join(import.meta.dirname, 'ros-peer-child.ts');
  const child = spawn(process.execPath, [path, JSON.stringify({ publish: [], subscribe: [], ...orders })], {
    env: { ...process.env, ...rosEnvironment },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => {
    output += bytes;
  });
  await until('the peer', () => output.includes('ready'));
  return { child, lines: () => output.split('\n').filter((line) => line.startsWith('/')) };
}
