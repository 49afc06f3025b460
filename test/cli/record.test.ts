/** `fender record` and `fender snapshot` against a real agent. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readFileIndexed, readStream, sequencesOf } from '../agent/recording/recording-fixtures.ts';
import { type FenderProcess, startAgent, until } from '../end-to-end/processes.ts';

const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'fender-record-'));
const dataDir = join(folder, 'data');
const agents: FenderProcess[] = [];

afterAll(async () => {
  for (const agent of agents) await agent.end('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

function fender(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const program = [join(root, 'bin/fender.ts'), ...args, '--data-dir', dataDir];
  return new Promise((resolve) => {
    execFile(process.execPath, program, { cwd: root }, (error, out, err) => {
      resolve({ status: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

function start(): FenderProcess {
  const agent = startAgent(folder, {
    data_dir: dataDir,
    sensors: {
      particulate: { model: 'none' },
      bme680: { device: 'emulated' },
      uma8: { source: 'generated' },
    },
    detector: { enabled: false },
    sync: { enabled: false },
    health: { listen: { port: 0 } },
  });
  agents.push(agent);
  return agent;
}

interface Status {
  readonly state: string;
  readonly recording: string | null;
  readonly messages: number;
  readonly lost_messages: number;
}

async function status(): Promise<Status> {
  const { out } = await fender('record', 'status', '--json');
  return JSON.parse(out) as Status;
}

test('the recording of an agent is stopped, started and told, and snapshots are taken meanwhile', async () => {
  const nobody = await fender('record', 'status');
  expect(nobody.status).toBe(1);
  expect(nobody.err).toMatch(/^fender: .*control\.sock: expected the control socket of a running agent, found no such/);

  const first = start();
  await until('sound to be recorded', async () => (await status()).messages > 20, { processes: [first] });
  const { recording } = await status();
  expect((await fender('record', 'start')).out).toBe(`${recording} was recorded already\n`);
  expect((await fender('record', 'stop')).out).toBe(`${recording} is whole and closed\n`);
  expect(await status()).toMatchObject({ state: 'stopped', recording: null, lost_messages: 0 });
  const files = await readdir(join(dataDir, 'recordings', recording ?? ''));
  expect(files.sort()).toEqual([`${recording}_0.mcap`, 'metadata.yaml']);
  const recorded = await readFileIndexed(join(dataDir, 'recordings', recording ?? '', `${recording}_0.mcap`));
  expect(sequencesOf(recorded, '/uma8/audio').length).toBeGreaterThan(10);

  const asked = await fender('snapshot', '--reason', 'a stone', '--pre-roll', '1', '--post-roll', '0.5', '--json');
  const { event_id: eventId } = JSON.parse(asked.out);
  const clips = async (): Promise<string[]> =>
    (await readdir(join(dataDir, 'clips'))).filter((name) => name.endsWith('.mcap'));
  await until('the clip', async () => (await clips()).length === 1, { processes: [first] });
  const clip = join(dataDir, 'clips', (await clips())[0] ?? '');
  expect(sequencesOf(await readFileIndexed(clip), '/uma8/audio').length).toBeGreaterThanOrEqual(14);
  const about = readStream(await readFile(clip)).find(
    (each) => each.type === 'Metadata' && each.name === 'fender.clip',
  );
  const values = about?.type === 'Metadata' ? Object.fromEntries(about.metadata) : {};
  expect(values).toMatchObject({ event_id: eventId, label: 'snapshot', reason: 'a stone' });

  expect((await fender('record', 'start')).out).toMatch(/_000002 is recorded now\n$/);
  await fender('record', 'stop');
  await first.end('SIGKILL');
  const gone = await fender('record', 'start');
  expect(gone.err).toContain('found the socket of one that is gone');

  // A vehicle must not be silent for ever because somebody forgot.
  const second = start();
  await until('the next recording', async () => (await status()).state === 'recording', { processes: [second] });
  expect((await status()).recording).toMatch(/_00000[23]$/);
  expect(await second.end('SIGTERM')).toBe(0);
}, 120_000);
