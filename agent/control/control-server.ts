/**
 * Lets people and programs on the vehicle control the recording of a running agent: HTTP on the socket `control.sock` of its data folder,
 * which the folder's owner and group may use.
 */
import { chmod, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { RecordingControl } from '../recording/recorder-node.ts';
import type { SnapshotRequest } from '../recording/snapshot.ts';
import { type ControlAnswer, controlError, snapshotAnswer, statusAnswer } from './control-answers.ts';

/** As metrics.ts: importing node:http costs 5 MB. */
const { createServer } = process.getBuiltinModule('node:http');

/** Name of the socket in the data folder. */
export const controlSocket = 'control.sock';
/** sun_path of unix(7) has 108 bytes, the last of which is 0. */
const maxPathBytes = 107;
const maxBodyBytes = 4096;
const maxReasonLength = 200;
const requestTimeoutMs = 5_000;
/** Each open connection is one file of those that the recorder may open. */
const maxConnections = 16;
const socketMode = 0o660;

/** A socket that is being served. */
export interface ControlServer {
  close(): Promise<void>;
}

/**
 * Serves the socket in `dataFolder`, whose lock the caller holds: a socket that is there is a dead agent's.
 * @throws the system's error when the socket cannot be made; a path that is too long is told by name.
 */
export async function serveControl(dataFolder: string, control: RecordingControl): Promise<ControlServer> {
  const path = join(dataFolder, controlSocket);
  const bytes = Buffer.byteLength(path);
  if (bytes > maxPathBytes) {
    throw new Error(`${path}: expected a path of at most ${maxPathBytes} bytes for a socket, found ${bytes}`);
  }
  await rm(path, { force: true });
  const timeouts = { requestTimeout: requestTimeoutMs, connectionsCheckingInterval: requestTimeoutMs };
  const server = createServer(timeouts, (request, response) => {
    void answer(request, control).then((given) => send(response, given));
  });
  server.maxConnections = maxConnections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // Nobody but the owner may connect before the rights are set.
    const before = process.umask(0o177);
    server.listen(path, resolve);
    process.umask(before);
  });
  await chmod(path, socketMode);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function send(response: ServerResponse, { status, body }: ControlAnswer): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}

/** Never rejects. */
async function answer(request: IncomingMessage, control: RecordingControl): Promise<ControlAnswer> {
  try {
    const does = routes[request.url ?? '']?.[request.method ?? ''];
    if (does !== undefined) return await does(control, await readBody(request));
    const known = Object.entries(routes).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    const status = routes[request.url ?? ''] === undefined ? 404 : 405;
    const found = `${request.method} ${request.url}`;
    return controlError(status, 'unknown-request', `expected one of ${known.join(', ')}, found ${found}`);
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    const isRequest = error instanceof BadRequest || code === 'too-large';
    return controlError(isRequest ? 400 : 500, String(code ?? 'failed'), String(message));
  }
}

class BadRequest extends Error {
  readonly code = 'bad-request';
}

type Does = (control: RecordingControl, body: string) => Promise<ControlAnswer>;

const routes: Readonly<Record<string, Readonly<Record<string, Does>>>> = {
  '/status': { GET: async (control) => statusAnswer(control.stats()) },
  '/recording/start': {
    POST: async (control) => {
      const { recordingId } = control.stats();
      const recording = await control.start();
      return { status: 200, body: { recording, started: recording !== recordingId } };
    },
  },
  '/recording/stop': { POST: async (control) => ({ status: 200, body: { recording: await control.stop() } }) },
  '/snapshot': {
    POST: async (control, body) => snapshotAnswer(await control.snapshot(parseSnapshot(body))),
  },
};

async function readBody(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.byteLength;
    if (bytes > maxBodyBytes) throw new BadRequest(`body: expected at most ${maxBodyBytes} bytes, found more`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** Checked by hand: a schema library costs the vehicle memory. */
function parseSnapshot(text: string): SnapshotRequest {
  let read: unknown;
  try {
    read = text === '' ? {} : JSON.parse(text);
  } catch {
    throw new BadRequest(`body: expected JSON, found ${JSON.stringify(text.slice(0, 80))}`);
  }
  if (typeof read !== 'object' || read === null || Array.isArray(read)) {
    throw new BadRequest(`body: expected {reason, pre_roll_s, post_roll_s}, found ${text.slice(0, 80)}`);
  }
  const { reason = '', pre_roll_s: preRollS, post_roll_s: postRollS, ...others } = read as Record<string, unknown>;
  const [other] = Object.keys(others);
  if (other !== undefined) throw new BadRequest(`body: expected reason, pre_roll_s and post_roll_s, found ${other}`);
  if (typeof reason !== 'string' || reason.length > maxReasonLength) {
    throw new BadRequest(`reason: expected a text of at most ${maxReasonLength} characters`);
  }
  return { reason, preRollS: seconds('pre_roll_s', preRollS), postRollS: seconds('post_roll_s', postRollS) };
}

function seconds(name: string, value: unknown): number | undefined {
  if (value === undefined || (typeof value === 'number' && Number.isFinite(value) && value >= 0)) return value;
  throw new BadRequest(`${name}: expected seconds from 0, found ${JSON.stringify(value)}`);
}
