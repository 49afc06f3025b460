import { expect, test } from 'vitest';
import { formatLine, lineLog, WarningLimiter } from '../../central/log.ts';
import { runCentral } from '../../central/main.ts';
import { openCentral, temporaryFolder } from './fixture.ts';

const never = new AbortController().signal;

test('a port or a data directory that is taken ends the start with 1, wrong options with 2, and the log says which', async () => {
  const running = await openCentral();
  const folder = await temporaryFolder();
  const lines: string[] = [];
  const log = lineLog((line) => lines.push(line));
  try {
    const { httpPort } = running.service;
    expect(await runCentral({ dataDir: folder.path, httpPort, mqttPort: 0, log }, never)).toBe(1);
    expect(lines.at(-1)).toMatch(new RegExp(`HTTP: expected to listen on 127\\.0\\.0\\.1:${httpPort}.* code=listen`));
    const mqttPort = running.service.mqttPort as number;
    expect(await runCentral({ dataDir: folder.path, httpPort: 0, mqttPort, log }, never)).toBe(1);
    expect(lines.at(-1)).toContain(`MQTT: expected to listen on 127.0.0.1:${mqttPort}`);
    const tls = { caPath: '/nonexistent/ca.pem' };
    expect(await runCentral({ dataDir: folder.path, httpPort: 0, mqttPort: 0, tls, log }, never)).toBe(2);
    expect(lines.at(-1)).toContain('/nonexistent/ca.pem: expected a PEM file');
    for (const mqttUrl of ['localhost:1883', 'http://localhost:1883', 'mqtt://']) {
      expect(await runCentral({ dataDir: folder.path, httpPort: 0, mqttUrl, log }, never)).toBe(2);
      expect(lines.at(-1)).toContain('address of the broker: expected mqtt://host:port');
    }
    expect(await runCentral({ dataDir: running.dataDir, httpPort: 0, mqttPort: 0, log }, never)).toBe(1);
    expect(lines.at(-1)).toContain('code=data-dir-in-use');
  } finally {
    await running.close();
    await folder.remove();
  }
});

test('an aborted signal stops it with 0, even with a watcher of the live view connected', async () => {
  const folder = await temporaryFolder();
  const stop = new AbortController();
  const log = lineLog(() => {});
  const code = runCentral(
    {
      dataDir: folder.path,
      httpPort: 0,
      mqttPort: 0,
      log,
      onReady: ({ httpPort }) => {
        fetch(`http://127.0.0.1:${httpPort}/api/live`).then(
          () => stop.abort(),
          () => stop.abort(),
        );
      },
    },
    stop.signal,
  );
  expect(await code).toBe(0);
  await folder.remove();
});

test('log lines quote what has spaces, and repeated warnings are held back and counted', () => {
  expect(formatLine('warn', 'refused', { vehicle: 'v1', found: 'a b' })).toBe(
    'central warn refused vehicle=v1 found="a b"',
  );
  const lines: string[] = [];
  let nowMs = 0;
  const limiter = new WarningLimiter(
    lineLog((line) => lines.push(line)),
    2,
    () => nowMs,
  );
  for (let count = 0; count < 5; count++) limiter.warn('key', 'noise', {});
  limiter.warn('other', 'noise', {});
  nowMs = 60_000;
  limiter.warn('key', 'noise', {});
  expect(lines).toEqual([
    'central warn noise',
    'central warn noise',
    'central warn noise',
    'central warn noise held_back=3',
  ]);
});
