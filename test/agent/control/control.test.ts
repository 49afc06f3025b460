import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { askAgent } from '../../../agent/control/control-client.ts';
import { type ControlServer, serveControl } from '../../../agent/control/control-server.ts';
import type { RecorderNode } from '../../../agent/recording/recorder-node.ts';
import { firstRecording, openNode } from '../recording/node-fixtures.ts';
import { sound } from '../recording/recording-fixtures.ts';

let folder: string;
let node: RecorderNode;
let server: ControlServer;
let asked: { reason: string; preRollNs: bigint; postRollNs: bigint }[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fender-control-'));
  asked = [];
  node = await openNode(folder, {
    takeSnapshot: async ({ reason, preRollNs, postRollNs }) => {
      asked.push({ reason, preRollNs, postRollNs });
      return 'event-1';
    },
  });
  server = await serveControl(folder, node);
});

afterEach(async () => {
  await server.close();
  await node.close();
  await rm(folder, { recursive: true, force: true });
});

/** The status and the text of the answer to anything. */
function send(method: string, path: string, body: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath: join(folder, 'control.sock'), method, path }, (response) => {
      let text = '';
      response.on('data', (piece: Buffer) => {
        text += piece.toString();
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asking.on('error', reject);
    asking.end(body);
  });
}

describe('the control socket', () => {
  test('stops and starts the recording, each once, and tells how it is', async () => {
    node.write(sound(0));
    expect(await askAgent(folder, 'GET', '/status')).toMatchObject({ state: 'recording', recording: firstRecording });
    expect(await askAgent(folder, 'POST', '/recording/stop')).toEqual({ recording: firstRecording });
    expect(await askAgent(folder, 'POST', '/recording/stop')).toEqual({ recording: null });
    const status = await askAgent(folder, 'GET', '/status');
    expect(status).toMatchObject({ state: 'stopped', recording: null, messages: 1, segments: 1, lost_messages: 0 });
    const next = firstRecording.replace('000001', '000002');
    expect(await askAgent(folder, 'POST', '/recording/start')).toEqual({ recording: next, started: true });
    expect(await askAgent(folder, 'POST', '/recording/start')).toEqual({ recording: next, started: false });
  });

  test('takes snapshots, as asked or as configured', async () => {
    expect(await askAgent(folder, 'POST', '/snapshot', { reason: 'a stone', pre_roll_s: 4.5 })).toMatchObject({
      event_id: 'event-1',
      pre_roll_s: 4.5,
      post_roll_s: 1,
    });
    await askAgent(folder, 'POST', '/snapshot');
    expect(asked).toEqual([
      { reason: 'a stone', preRollNs: 4_500_000_000n, postRollNs: 1_000_000_000n },
      { reason: '', preRollNs: 2_000_000_000n, postRollNs: 1_000_000_000n },
    ]);
  });

  test('refuses what makes no sense, and says what does', async () => {
    const wrong = [
      ['POST', '/snapshot', '{"reason": 7}', 'reason: expected a text'],
      ['POST', '/snapshot', '{"pre_roll_s": -1}', 'pre_roll_s: expected seconds from 0'],
      ['POST', '/snapshot', '{"preroll": 1}', 'expected reason, pre_roll_s and post_roll_s, found preroll'],
      ['POST', '/snapshot', '[]', 'expected {reason'],
      ['POST', '/snapshot', '{', 'expected JSON'],
      ['POST', '/snapshot', '{"pre_roll_s": 50, "post_roll_s": 50}', 'at most 60 s'],
      ['POST', '/snapshot', JSON.stringify({ reason: 'x'.repeat(5000) }), 'at most 4096 bytes'],
    ] as const;
    for (const [method, path, body, message] of wrong) {
      const answer = await send(method, path, body);
      expect(answer.status).toBe(400);
      expect(JSON.parse(answer.text).error.message).toContain(message);
    }
    expect(asked).toEqual([]);
    expect((await send('GET', '/snapshot', '')).status).toBe(405);
    const unknown = await send('GET', '/', '');
    expect(unknown.status).toBe(404);
    expect(unknown.text).toContain('POST /recording/start');
  });

  test('lets only so many connect at once, and others when those are gone', async () => {
    let refused = 0;
    const clients = Array.from({ length: 40 }, () => connect(join(folder, 'control.sock')));
    for (const client of clients) {
      client.on('error', () => {});
      client.once('close', () => {
        refused += 1;
      });
    }
    await vi.waitFor(() => expect(refused).toBe(24), { timeout: 15_000 });
    const closed = clients.map((client) => (client.closed ? null : once(client, 'close')));
    for (const client of clients) client.destroy();
    await Promise.all(closed);
    const status = () => askAgent(folder, 'GET', '/status');
    await vi.waitFor(async () => expect(await status()).toMatchObject({ state: 'recording' }), { timeout: 10_000 });
  });

  test('is for the owner and the group of the data folder, and gone with the agent', async () => {
    expect((await stat(join(folder, 'control.sock'))).mode & 0o777).toBe(0o660);
    await server.close();
    await expect(stat(join(folder, 'control.sock'))).rejects.toThrow('ENOENT');
  });

  test('takes the place of the socket that a dead agent left', async () => {
    await server.close();
    await writeFile(join(folder, 'control.sock'), '');
    server = await serveControl(folder, node);
    expect(await askAgent(folder, 'GET', '/status')).toMatchObject({ state: 'recording' });
  });

  test('under a path that no socket can have is refused by name', async () => {
    const deep = join(folder, 'd'.repeat(100));
    await mkdir(deep);
    await expect(serveControl(deep, node)).rejects.toThrow(/expected a path of at most 107 bytes/);
  });
});

describe('a program that asks', () => {
  test('is told that no agent runs there, or that there is no such folder', async () => {
    await server.close();
    await expect(askAgent(folder, 'GET', '/status')).rejects.toThrow(/no agent runs with this data folder\. Start it/);
    await expect(askAgent(join(folder, 'none'), 'GET', '/status')).rejects.toThrow(/no such folder/);
  });

  test.skipIf(process.getuid?.() === 0)('is told that it has no right (skipped as root)', async () => {
    await chmod(join(folder, 'control.sock'), 0);
    await expect(askAgent(folder, 'GET', '/status')).rejects.toThrow(/Use sudo, or join the group/);
  });
});
