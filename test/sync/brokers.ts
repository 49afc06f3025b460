/** Real brokers for the tests of sync/: aedes in this process and Mosquitto as a child, each on an ephemeral port. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Aedes, type AedesOptions } from 'aedes';

export interface Broker {
  readonly port: number;
  stop(): Promise<void>;
}

/** aedes on 127.0.0.1; `port` 0 takes a free one. Stopping it drops every connection and everything it held. */
export async function startAedes(port = 0, options: AedesOptions = {}): Promise<Broker> {
  const aedes = await Aedes.createBroker(options);
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    aedes.handle(socket);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
      await closed;
    },
  };
}

/** A way to a broker that can be cut: `half` leaves the broker's end open, as a radio that falls silent does. */
export async function startProxy(targetPort: number): Promise<Broker & { cut(half: boolean): void }> {
  const pairs = new Set<{ near: Socket; far: Socket }>();
  const server = createServer((near) => {
    const pair = { near, far: createConnection(targetPort, '127.0.0.1') };
    const { far } = pair;
    pairs.add(pair);
    near.pipe(far, { end: false });
    far.pipe(near);
    for (const socket of [near, far]) socket.setNoDelay(true).on('error', () => socket.destroy());
    far.on('close', () => {
      pairs.delete(pair);
      near.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    cut(half) {
      for (const { near, far } of pairs) (half ? near : far).destroy();
    },
    async stop() {
      for (const { near, far } of pairs) for (const socket of [near, far]) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

const mosquittoPaths = ['/usr/sbin/mosquitto', '/usr/bin/mosquitto', '/usr/local/sbin/mosquitto'];

/** Where Mosquitto is installed, or null. */
export function mosquittoPath(): string | null {
  return mosquittoPaths.find((path) => existsSync(path)) ?? null;
}

export interface MosquittoOptions {
  readonly folder: string;
  readonly port?: number;
  /** Lines added to the configuration, for instance of TLS. */
  readonly extra?: readonly string[];
}

/** Mosquitto as it must be configured for Fender, with its persistence in `folder`. */
export async function startMosquitto(options: MosquittoOptions): Promise<Broker & { kill(): Promise<void> }> {
  const path = mosquittoPath();
  if (path === null) throw new Error('mosquitto is not installed');
  const port = options.port ?? (await freePort());
  const config = join(options.folder, 'mosquitto.conf');
  const lines = [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'set_tcp_nodelay true',
    'max_queued_messages 0',
    'max_inflight_messages 100',
    'persistence true',
    `persistence_location ${options.folder}/`,
    'autosave_interval 1',
    'user root',
    ...(options.extra ?? []),
  ];
  writeFileSync(config, `${lines.join('\n')}\n`);
  const child = spawn(path, ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (data: Buffer) => {
    log = (log + data.toString()).slice(-4000);
  });
  await reachable(port, child, () => log);
  const end = (signal: NodeJS.Signals) => async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await exited;
  };
  return { port, stop: end('SIGTERM'), kill: end('SIGKILL') };
}

async function reachable(port: number, child: ChildProcess, log: () => string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    if (child.exitCode !== null) throw new Error(`mosquitto ended with ${child.exitCode}: ${log()}`);
    const open = await new Promise<boolean>((resolve) => {
      const socket = createConnection(port, '127.0.0.1', () => resolve(true));
      socket.on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (open) return;
    await sleep(50);
  }
  throw new Error(`mosquitto does not listen: ${log()}`);
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

/** A certificate authority and certificates for `localhost` and for a vehicle, made by openssl in `folder`. */
export function makeCertificates(folder: string, vehicle: string): void {
  const openssl = (...args: string[]): void => {
    const { status, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
    if (status !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test authority');
  for (const [name, subject] of [
    ['broker', 'localhost'],
    ['vehicle', vehicle],
  ] as const) {
    writeFileSync(join(folder, `${name}.ext`), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${subject}`);
    const sign = ['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
    openssl(...sign, '-out', `${name}.pem`, '-days', '2', '-extfile', `${name}.ext`);
  }
}
