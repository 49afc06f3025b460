/** The session with real brokers and a central that commits before it acknowledges: nothing is lost, nothing is doubled. */

import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Outbox, type OutboxOptions } from '../../sync/outbox.ts';
import { type SessionNotice, SyncSession, type SyncSessionOptions } from '../../sync/session.ts';
import { type Broker, freePort, makeCertificates, mosquittoPath, startAedes, startMosquitto } from './brokers.ts';
import { CentralStub } from './central-stub.ts';
import { stampAt, testClock, until } from './stamps.ts';

const vehicle = 'car-7';
const clock = testClock();
let folder: string;
/** What a test opened, closed in reverse. */
const closers: (() => Promise<unknown>)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fender-session-'));
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  rmSync(folder, { recursive: true, force: true });
});

async function openOutbox(options: Partial<OutboxOptions> = {}): Promise<Outbox> {
  const outbox = await Outbox.open(join(folder, 'outbox.sqlite'), { clock, groupCommitMs: 2, ...options });
  closers.push(() => outbox.close());
  return outbox;
}

async function startCentral(url: string): Promise<CentralStub> {
  const central = new CentralStub(join(folder, 'central'));
  closers.push(() => central.close());
  await central.connect(url);
  return central;
}

function startSession(outbox: Outbox, url: string, options: Partial<SyncSessionOptions> = {}) {
  const notices: SessionNotice[] = [];
  const session = new SyncSession({
    outbox,
    url,
    vehicle,
    clock,
    state: () => ({ bootId: 'b', agentVersion: '0.1.0', modelName: 'impact', modelVersion: '1' }),
    lingerMs: 5,
    ackTimeoutMs: 300,
    reconnectMinMs: 30,
    reconnectMaxMs: 200,
    onNotice: (notice) => notices.push(notice),
    ...options,
  });
  const abort = new AbortController();
  const running = session.run(abort.signal);
  const stop = async (): Promise<void> => {
    abort.abort();
    await running;
  };
  closers.push(stop);
  return { session, notices, stop };
}

const text = (value: string) => ({ case: 'opaque', value: Buffer.from(value) }) as const;

function appendMany(outbox: Outbox, stream: string, count: number, from = 1): void {
  const priority = stream === 'events' ? 'events' : 'telemetry';
  for (let row = from; row < from + count; row += 1) {
    void outbox.appendRecord(stream, priority, stampAt(row), text(`${stream} ${row}`));
  }
}

function isEmpty(outbox: Outbox): boolean {
  return outbox.stats().pendingRows === 0 && outbox.waitingStreams().length === 0;
}

/** Central holds exactly `count` rows of the stream, each with what was appended. */
function expectHeld(central: CentralStub, stream: string, count: number): void {
  const bodies = central
    .rows()
    .filter((row) => row.stream === stream)
    .map(({ sequence, body }) => [sequence, body]);
  expect(bodies).toEqual(Array.from({ length: count }, (_, index) => [index + 1, `${stream} ${index + 1}`]));
}

async function addFile(outbox: Outbox, bytes: number, priority: 'events' | 'recordings' = 'events') {
  const content = randomBytes(bytes);
  const sha256 = createHash('sha256').update(content).digest('hex');
  const path = join(folder, `${sha256}.mcap`);
  writeFileSync(path, content);
  await outbox.addBlob({ sha256, path, bytes, priority });
  return { content, sha256, path };
}

interface BrokerKind {
  readonly name: string;
  readonly missing: boolean;
  /** Starts it on a port (0: any), with its own memory of sessions. */
  start(port?: number): Promise<Broker>;
}

const noMosquitto = mosquittoPath() === null;
const kinds: readonly BrokerKind[] = [
  { name: 'aedes', missing: false, start: (port = 0) => startAedes(port) },
  {
    name: `mosquitto${noMosquitto ? ' (skipped: not installed)' : ''}`,
    missing: noMosquitto,
    start: (port) => startMosquitto({ folder, ...(port !== undefined && { port }) }),
  },
];

it('finds mosquitto where the tests must not skip it', () => {
  if (process.env.CI) expect(mosquittoPath()).not.toBeNull();
});

describe.each(kinds)('over $name', (kind) => {
  async function startBroker(port?: number): Promise<Broker & { url: string }> {
    const broker = await kind.start(port);
    closers.push(() => broker.stop());
    return { ...broker, url: `mqtt://127.0.0.1:${broker.port}` };
  }

  it.skipIf(kind.missing)('empties the outbox into central, streams apart and telemetry as columns', async () => {
    const broker = await startBroker();
    const central = await startCentral(broker.url);
    const outbox = await openOutbox();
    const { session } = startSession(outbox, broker.url);
    appendMany(outbox, 'log', 250);
    for (let row = 0; row < 30; row += 1) {
      void outbox.appendTelemetry('bme680/environment', {
        stamp: stampAt(row),
        values: { temperature_c: 20 + row / 100 },
      });
    }
    await until('an empty outbox', () => isEmpty(outbox));
    expectHeld(central, 'log', 250);
    const telemetry = central.rows().filter(({ stream }) => stream === 'bme680/environment');
    expect(telemetry.map(({ body }) => JSON.parse(body))).toEqual(
      Array.from({ length: 30 }, (_, row) => ({ temperature_c: (2000 + row) / 100 })),
    );
    expect(session.status()).toMatchObject({ connected: true, acknowledgedRows: 280, inFlightRows: 0, trouble: null });
    expect(central.states).toContain(true);
  });

  it.skipIf(kind.missing)('says goodbye when it stops, and the broker says it when it dies', async () => {
    const broker = await startBroker();
    const central = await startCentral(broker.url);
    const outbox = await openOutbox();
    const { stop } = startSession(outbox, broker.url);
    await until('online', () => central.states.at(-1) === true);
    await stop();
    await until('offline', () => central.states.at(-1) === false);
  });

  it.skipIf(kind.missing)('survives acks that are lost and batches that come twice', async () => {
    const broker = await startBroker();
    const central = await startCentral(broker.url);
    central.behaviour.loseAck = (batch) => batch % 3 === 1;
    const outbox = await openOutbox();
    const { session } = startSession(outbox, broker.url, { batchRows: 20, windowBatches: 4, ackTimeoutMs: 100 });
    appendMany(outbox, 'log', 300);
    await until('an empty outbox', () => isEmpty(outbox));
    expectHeld(central, 'log', 300);
    expect(session.status().resends).toBeGreaterThan(0);
    expect(central.duplicates).toBeGreaterThan(0);
  });

  it.skipIf(kind.missing)('goes on after the broker was killed and restarted in mid-run', async () => {
    const port = await freePort();
    let broker = await startBroker(port);
    const central = await startCentral(broker.url);
    const outbox = await openOutbox();
    const { session, notices } = startSession(outbox, broker.url, { batchRows: 10, windowBatches: 3 });
    for (let round = 0; round < 3; round += 1) {
      appendMany(outbox, 'log', 200, round * 200 + 1);
      await until('some rows', () => central.count('log') > round * 200 + 20);
      await broker.stop();
      await until('offline', () => !session.status().connected);
      appendMany(outbox, 'events', 5, round * 5 + 1);
      broker = await startBroker(port);
      await until('online', () => session.status().connected);
    }
    await until('an empty outbox', () => isEmpty(outbox), 30_000);
    expectHeld(central, 'log', 600);
    expectHeld(central, 'events', 15);
    expect(session.status().connections).toBeGreaterThanOrEqual(4);
    expect(notices.map(({ level }) => level)).toContain('warn');
    expect(notices.at(-1)?.level).toBe('ok');
  });

  it.skipIf(kind.missing)(
    'takes a file over in chunks, resumes after a cut, and starts again when the hash is wrong',
    async () => {
      const port = await freePort();
      let broker = await startBroker(port);
      const central = await startCentral(broker.url);
      central.behaviour.mismatchOnce = true;
      const outbox = await openOutbox();
      const stored: string[] = [];
      const onBlobStored = ({ path }: { path: string }): void => void stored.push(path);
      const { session } = startSession(outbox, broker.url, { chunkBytes: 1024, onBlobStored });
      const file = await addFile(outbox, 300_000);
      await until('some chunks', () => central.chunkOffsets.length > 20);
      await broker.stop();
      await until('offline', () => !session.status().connected);
      const heldBefore = Math.max(...central.chunkOffsets);
      central.chunkOffsets = [];
      broker = await startBroker(port);
      await until('the file', () => stored.length > 0, 30_000);
      expect(heldBefore).toBeGreaterThan(0);
      expect(central.chunkOffsets[0]).toBeGreaterThan(0);
      expect(central.chunkOffsets).toContain(0);
      expect(central.blob(file.sha256).equals(file.content)).toBe(true);
      expect(stored).toEqual([file.path]);
      expect(outbox.stats().blobs.count).toBe(0);
    },
  );
});

describe('what goes first', () => {
  it('is events, before telemetry that waited longer and while a file is on its way', async () => {
    const broker = await startAedes();
    closers.push(() => broker.stop());
    const url = `mqtt://127.0.0.1:${broker.port}`;
    const central = await startCentral(url);
    const outbox = await openOutbox();
    appendMany(outbox, 'log', 500);
    appendMany(outbox, 'events', 3);
    await outbox.flush();
    await addFile(outbox, 400_000);
    startSession(outbox, url, { batchRows: 50, windowBatches: 2, chunkBytes: 4096 });
    await until('the first chunks', () => central.arrivals.includes('chunk'));
    expect(central.arrivals.slice(0, 3)).toEqual(['events:1', 'events:2', 'events:3']);
    const before = central.chunkOffsets.length;
    void outbox.appendRecord('events', 'events', stampAt(0), text('events 4'));
    await until('the late event', () => central.count('events') === 4);
    expect(central.chunkOffsets.length - before).toBeLessThan(80);
    await until('everything', () => isEmpty(outbox) && outbox.stats().blobs.count === 0);
  });

  it('still is sent when central only now begins to answer', async () => {
    const broker = await startAedes();
    closers.push(() => broker.stop());
    const url = `mqtt://127.0.0.1:${broker.port}`;
    const central = await startCentral(url);
    let silent = true;
    central.behaviour.loseAck = () => silent;
    const outbox = await openOutbox();
    const { session } = startSession(outbox, url, { batchRows: 10, ackTimeoutMs: 50 });
    appendMany(outbox, 'log', 400);
    await until('a silence', () => session.status().resends >= 3);
    // One batch at a time while central is silent: the broker is not filled with copies.
    expect(session.status().inFlightBatches).toBeLessThanOrEqual(1);
    silent = false;
    await until('an empty outbox', () => isEmpty(outbox));
    expectHeld(central, 'log', 400);
  });
});

describe('what central refuses', () => {
  it('goes to quarantine and is declared, and the rest arrives', async () => {
    const broker = await startAedes();
    closers.push(() => broker.stop());
    const url = `mqtt://127.0.0.1:${broker.port}`;
    const central = await startCentral(url);
    central.behaviour.reject = (stream, sequence) => (stream === 'log' && sequence % 10 === 0 ? 'not today' : null);
    const outbox = await openOutbox();
    const { session } = startSession(outbox, url);
    appendMany(outbox, 'log', 50);
    await until('an empty outbox', () => isEmpty(outbox) && central.count('drops') > 0);
    expect(central.count('log')).toBe(45);
    expect(outbox.stats().quarantined).toBe(5);
    expect(session.status().rejectedRows).toBe(5);
    const declared = central.rows().filter(({ stream }) => stream === 'drops');
    expect(declared.map(({ body }) => JSON.parse(body))).toEqual(
      [10, 20, 30, 40, 50].map((sequence) =>
        expect.objectContaining({
          stream: 'log',
          firstSequence: sequence,
          lastSequence: sequence,
          reason: 'quarantined',
        }),
      ),
    );
  });

  it('and files that are gone or changed are declared and hold up no other', async () => {
    const broker = await startAedes();
    closers.push(() => broker.stop());
    const url = `mqtt://127.0.0.1:${broker.port}`;
    const central = await startCentral(url);
    const outbox = await openOutbox();
    const gone = await addFile(outbox, 5000);
    const changed = await addFile(outbox, 5000);
    const good = await addFile(outbox, 5000);
    rmSync(gone.path);
    truncateSync(changed.path, 10);
    startSession(outbox, url);
    await until('all files settled', () => outbox.stats().blobs.count === 0 && isEmpty(outbox));
    expect(central.blob(good.sha256).equals(good.content)).toBe(true);
    const reasons = central
      .rows()
      .filter(({ stream }) => stream === 'drops')
      .map(({ body }) => JSON.parse(body) as { stream: string; reason: string })
      .map(({ stream, reason }) => [stream, reason]);
    expect(new Map(reasons as [string, string][])).toEqual(
      new Map([
        [`blob/${gone.sha256}`, 'file-missing'],
        [`blob/${changed.sha256}`, 'file-changed'],
      ]),
    );
  });
});

describe('trouble with the connection', () => {
  it('is told with its cure', async () => {
    const outbox = await openOutbox();
    const { notices, session } = startSession(outbox, `mqtt://user:secret@127.0.0.1:${await freePort()}`);
    await until('a notice', () => notices.length > 0);
    expect(notices[0]).toMatchObject({ level: 'warn', cure: expect.stringContaining('Nothing listens there') });
    expect(notices[0]?.message).not.toContain('secret');
    expect(session.status().trouble).toEqual(notices[0]);
    for (const url of ['http://central', 'central:1883', '']) {
      expect(() => new SyncSession({ outbox, url, vehicle, clock, state: () => ({}) as never })).toThrow(
        expect.objectContaining({ cure: expect.stringContaining('mqtts://') }),
      );
    }
  });
});

describe.skipIf(noMosquitto)(
  `TLS with a certificate for the vehicle${noMosquitto ? ' (skipped: no mosquitto)' : ''}`,
  () => {
    async function startSecure() {
      makeCertificates(folder, vehicle);
      const port = await freePort();
      const plainPort = await freePort();
      const extra = [
        `cafile ${folder}/ca.pem`,
        `certfile ${folder}/broker.pem`,
        `keyfile ${folder}/broker.key`,
        'require_certificate true',
        'use_identity_as_username true',
        `listener ${plainPort} 127.0.0.1`,
      ];
      const broker = await startMosquitto({ folder, port, extra });
      closers.push(() => broker.stop());
      return { url: `mqtts://localhost:${port}`, plainUrl: `mqtt://127.0.0.1:${plainPort}` };
    }

    it('connects, and everything arrives', async () => {
      const { url, plainUrl } = await startSecure();
      const central = await startCentral(plainUrl);
      const outbox = await openOutbox();
      const tls = { caPath: `${folder}/ca.pem`, certPath: `${folder}/vehicle.pem`, keyPath: `${folder}/vehicle.key` };
      startSession(outbox, url, { tls });
      appendMany(outbox, 'log', 20);
      await until('an empty outbox', () => isEmpty(outbox));
      expectHeld(central, 'log', 20);
    });

    it('is refused without the certificate or with an unknown authority, and says what to do', async () => {
      const { url } = await startSecure();
      const outbox = await openOutbox();
      const without = startSession(outbox, url, { tls: { caPath: `${folder}/ca.pem` } });
      await until('a notice', () => without.notices.length > 0);
      await without.stop();
      expect(without.session.status().connections).toBe(0);
      const unknown = startSession(outbox, url);
      await until('a notice', () => unknown.notices.length > 0);
      await unknown.stop();
      expect(unknown.notices[0]?.cure).toContain('CA file');
      const unreadable = startSession(outbox, url, { tls: { caPath: join(folder, 'absent.pem') } });
      await until('a notice', () => unreadable.notices.length > 0);
      expect(unreadable.notices[0]?.cure).toContain('path and rights');
    });
  },
);
