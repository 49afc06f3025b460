/** Looks at the broker: that its name resolves, something answers, and the certificates can be read. */
import { access } from 'node:fs/promises';
import { connect } from 'node:net';
import type { AgentConfig } from '../config/schema.ts';
import { type Check, failed, ok, reasonOf, warn } from './check.ts';

const TIMEOUT_MS = 3_000;
const PORTS: Readonly<Record<string, number>> = { 'mqtt:': 1883, 'mqtts:': 8883 };

export async function checkBroker({ enabled, url, tls }: AgentConfig['sync']): Promise<Check> {
  if (!enabled) return ok('broker', 'sync is switched off');
  for (const path of [tls.ca, tls.cert, tls.key].filter((each) => each !== '')) {
    const problem = await access(path).then(() => null, reasonOf);
    if (problem !== null)
      return failed('broker', problem, 'Correct the paths in sync.tls and the rights of the files.');
  }
  if (!URL.canParse(url)) return failed('broker', `${url} is not an address`, 'Correct sync.url.');
  const { protocol, hostname, port } = new URL(url);
  const where = `${hostname}:${port === '' ? PORTS[protocol] : port}`;
  const problem = await reach(hostname, port === '' ? (PORTS[protocol] ?? 1883) : Number(port));
  if (problem === null) return ok('broker', `${where} answers`);
  const cure = 'Start central or the broker, or correct sync.url; meanwhile everything waits in the outbox.';
  return warn('broker', `${where} does not answer: ${problem}`, cure);
}

/** Null when a TCP connection can be made. */
function reach(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host: host.replace(/^\[|\]$/g, ''), port, timeout: TIMEOUT_MS });
    const end = (problem: string | null): void => {
      socket.destroy();
      resolve(problem);
    };
    socket.once('connect', () => end(null));
    socket.once('timeout', () => end(`nothing within ${TIMEOUT_MS} ms`));
    socket.once('error', (error) => end(error.message));
  });
}
