/** `fender bag view` as a user runs it: says where the bag is, serves it in ranges, and ends on Ctrl-C. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const program = join(import.meta.dirname, '../../bin/fender.ts');
const folder = mkdtempSync(join(tmpdir(), 'fender-view-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function start(...args: string[]) {
  const child = spawn(process.execPath, [program, 'bag', 'view', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { out: '', err: '' };
  child.stdout.on('data', (bytes: Buffer) => {
    text.out += bytes.toString();
  });
  child.stderr.on('data', (bytes: Buffer) => {
    text.err += bytes.toString();
  });
  return { child, text };
}

test('serves the segments of a folder in order and in ranges, on this computer alone, until Ctrl-C', async () => {
  for (const segment of [0, 2, 10]) writeFileSync(join(folder, `drive_${segment}.mcap`), `segment ${segment}`);
  const { child, text } = start('--no-open', folder);
  const urlOf = () => /http:\/\/127\.0\.0\.1:\d+\/bag/.exec(text.out)?.[0];
  await expect.poll(urlOf, { timeout: 60_000 }).toBeDefined();
  const origin = new URL(urlOf() ?? '').origin;
  const bag = (await (await fetch(`${origin}/api/bag`)).json()) as {
    files: { name: string; url: string; bytes: number }[];
  };
  expect(bag.files.map(({ name, bytes }) => [name, bytes])).toEqual([
    ['drive_0.mcap', 9],
    ['drive_2.mcap', 9],
    ['drive_10.mcap', 10],
  ]);
  const part = await fetch(`${origin}${bag.files[2]?.url}`, { headers: { range: 'bytes=8-100' } });
  expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, 'bytes 8-9/10', '10']);
  const beyond = await fetch(`${origin}${bag.files[0]?.url}`, { headers: { range: 'bytes=9-' } });
  expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, 'bytes */9']);
  const page = await fetch(`${origin}/`);
  expect([page.status, page.url, await page.text()]).toEqual([
    200,
    `${origin}/bag`,
    expect.stringContaining('id="root"'),
  ]);
  child.kill('SIGINT');
  const [status] = await once(child, 'exit');
  expect(status).toBe(0);
}, 90_000);

test('says what is wrong with the command line, and starts nothing', async () => {
  const { child, text } = start('--no-open', join(folder, 'nowhere'));
  const [status] = await once(child, 'close');
  expect(status).not.toBe(0);
  expect(text.err).toContain('nowhere: expected a file or a folder of segments');
  expect(text.out).toBe('');
});
