/** Asks the running agent over its control socket, and tells what cures it when that does not work. */
import { access } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join, resolve } from 'node:path';
import { AgentError } from '../error.ts';
import type { ControlErrorBody } from './control-answers.ts';
import { controlSocket } from './control-server.ts';

const answerTimeoutMs = 15_000;

/**
 * One request to the agent of `dataFolder`; resolves to the body of its answer.
 * @throws AgentError `control`: no agent there, no rights, no answer, or the agent's own refusal.
 */
export async function askAgent(
  dataFolder: string,
  method: 'GET' | 'POST',
  path: string,
  body: unknown = null,
): Promise<unknown> {
  const socketPath = join(resolve(dataFolder), controlSocket);
  let answer: { status: number; text: string };
  try {
    answer = await ask(socketPath, method, path, body === null ? '' : JSON.stringify(body));
  } catch (cause) {
    throw new AgentError('control', await explain(dataFolder, socketPath, cause), { cause, retryable: true });
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(answer.text);
  } catch {
    throw new AgentError('control', `${socketPath}: expected an agent's answer, found ${answer.text.slice(0, 80)}`);
  }
  if (answer.status === 200) return parsed;
  const { error } = parsed as Partial<ControlErrorBody>;
  throw new AgentError('control', error?.message ?? `${socketPath}: the agent answered with status ${answer.status}`);
}

function ask(
  socketPath: string,
  method: string,
  path: string,
  body: string,
): Promise<{ status: number; text: string }> {
  return new Promise((done, fail) => {
    const asking = request({ socketPath, method, path, timeout: answerTimeoutMs }, (response: IncomingMessage) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        text += piece;
      });
      response.once('end', () => done({ status: response.statusCode ?? 0, text }));
      response.once('error', fail);
    });
    asking.once('timeout', () => asking.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })));
    asking.once('error', fail);
    asking.end(body);
  });
}

async function explain(dataFolder: string, socketPath: string, cause: unknown): Promise<string> {
  const { code, message } = cause as NodeJS.ErrnoException;
  const start = `Start it (fender agent --config FILE, or systemctl start fender-agent), or name its folder with --data-dir.`;
  switch (code) {
    case 'ENOENT': {
      const isThere = await access(dataFolder).then(
        () => true,
        (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
      );
      const found = isThere ? 'found none: no agent runs with this data folder' : 'found no such folder';
      return `${socketPath}: expected the control socket of a running agent, ${found}. ${start}`;
    }
    case 'ECONNREFUSED':
      return `${socketPath}: expected a running agent, found the socket of one that is gone. ${start}`;
    case 'EACCES':
    case 'EPERM':
      return `${socketPath}: expected the right to use the control socket, found none. Use sudo, or join the group of the data folder (sudo usermod -aG fender $USER, then log in again).`;
    case 'ETIMEDOUT':
      return `${socketPath}: expected an answer within ${answerTimeoutMs / 1000} s, found none. The agent may hang: see its log (journalctl -u fender-agent).`;
    default:
      return `${socketPath}: expected an answer of the agent, found ${code ?? message}`;
  }
}
