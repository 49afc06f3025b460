/** The session with real brokers and a central that commits before it acknowledges: nothing is lost, nothing is doubled. */

import { createHash, randomBytes } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Stamp } from '../../drivers/sample.ts';
import { Outbox } from '../../sync/outbox.ts';
import type { OutboxOptions } from '../../sync/outbox-types.ts';
import { type SessionNotice, SyncSession, type SyncSessionOptions } from '../../sync/session.ts';
import {
  type Broker,
  freePort,
  makeCertificates,
  mosquittoPath,
  startAedes,
  startMosquitto,
  startProxy,
} from './brokers.ts';
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
  return { session, notices, stop, signal: abort.signal };
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
    const proxy = await startProxy(broker.port);
    closers.push(() => proxy.stop());
    startSession(outbox, `mqtt://127.0.0.1:${proxy.port}`, { reconnectMinMs: 600_000, reconnectMaxMs: 600_000 });
    await until('online', () => central.states.at(-1) === true);
    proxy.cut(false);
    await until('offline by the last will', () => central.states.at(-1) === false);
  });

  it.skipIf(kind.missing)('is online after quick reconnections, whose last wills the broker says late', async () => {
    const broker = await startBroker();
    const proxy = await startProxy(broker.port);
    closers.push(() => proxy.stop());
    const central = await startCentral(broker.url);
    const outbox = await openOutbox();
    const { session, signal } = startSession(outbox, `mqtt://127.0.0.1:${proxy.port}`);
    await until('online', () => central.states.at(-1) === true);
    for (let round = 1; round <= 6; round += 1) {
      proxy.cut(round % 2 === 0);
      await until('offline', () => !session.status().connected);
      await until('online', () => session.status().connected && session.status().connections > round);
      // What this connection said first has arrived with this.
      appendMany(outbox, 'events', 1, round);
      await until('the event', () => central.count('events') === round);
      expect(central.states.at(-1)).toBe(true);
    }
    expect(central.states).toContain(false);
    expect(getEventListeners(signal, 'abort').length).toBeLessThanOrEqual(1);
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
    const before = central.arrivals.length;
    void outbox.appendRecord('events', 'events', stampAt(0), text('events 4'));
    await until('the late event', () => central.count('events') === 4);
    const ahead = central.arrivals.slice(before, central.arrivals.indexOf('events:4'));
    // No more stands before it than the window of chunks that were on their way.
    expect(ahead.filter((arrival) => arrival === 'chunk').length).toBeLessThan(20);
    await until('everything', () => isEmpty(outbox) && outbox.stats().blobs.count === 0);
  });

  it('is what is due at once, however long telemetry waits for company', async () => {
    const broker = await startAedes();
    closers.push(() => broker.stop());
    const url = `mqtt://127.0.0.1:${broker.port}`;
    const central = await startCentral(url);
    const outbox = await openOutbox();
    const { session } = startSession(outbox, url, { lingerMs: 600_000, batchRows: 10 });
    await until('online', () => session.status().connected);
    appendMany(outbox, 'log', 9);
    await outbox.flush();
    appendMany(outbox, 'events', 1);
    void outbox.appendRecord('clips', 'events', stampAt(1), text('clips 1'));
    await addFile(outbox, 10_000);
    await until('event and clip', () => central.count('clips') === 1 && outbox.stats().blobs.count === 0);
    expect(central.count('events')).toBe(1);
    expect(central.count('log')).toBe(0);
    appendMany(outbox, 'log', 1, 10);
    await until('a full batch', () => central.count('log') === 10);
  });

  it('is the clip of an event before a recording on its way, which goes on after it', async () => {
    const broker = await startAedes();
    closers.push(() => broker.stop());
    const url = `mqtt://127.0.0.1:${broker.port}`;
    const central = await startCentral(url);
    const outbox = await openOutbox();
    const stored: string[] = [];
    const onBlobStored = ({ sha256 }: { sha256: string }): void => void stored.push(sha256);
    startSession(outbox, url, { chunkBytes: 1024, onBlobStored });
    const recording = await addFile(outbox, 600_000, 'recordings');
    await until('some chunks', () => central.chunkOffsets.length > 20);
    const clip = await addFile(outbox, 5000);
    await until('both files', () => stored.length === 2, 30_000);
    expect(stored).toEqual([clip.sha256, recording.sha256]);
    expect(central.chunkOffsets.filter((offset) => offset === 0)).toHaveLength(2);
    expect(central.blob(recording.sha256).equals(recording.content)).toBe(true);
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
    const unreadable = 'f'.repeat(64);
    symlinkSync(unreadable, join(folder, unreadable));
    await outbox.addBlob({ sha256: unreadable, path: join(folder, unreadable), bytes: 5000, priority: 'events' });
    startSession(outbox, url);
    // One that cannot be read now is not gone: it stays.
    await until('all others settled', () => outbox.stats().blobs.count === 1 && isEmpty(outbox));
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
  it('is over when the broker is back, also while the disk refuses to let a sent file go', async () => {
    const port = await freePort();
    let broker = await startAedes(port);
    closers.push(() => broker.stop());
    const url = `mqtt://127.0.0.1:${port}`;
    const central = await startCentral(url);
    let refuses = false;
    const now = (): Stamp => {
      if (refuses) throw new Error('as a disk that refuses each commit');
      return clock.now();
    };
    const outbox = await openOutbox({ clock: { ...clock, now } });
    const stored: string[] = [];
    const onBlobStored = ({ sha256 }: { sha256: string }): void => void stored.push(sha256);
    const file = await addFile(outbox, 50_000);
    refuses = true;
    const { session } = startSession(outbox, url, { onBlobStored });
    await until('the file at central', () => central.completed.includes(file.sha256));
    await broker.stop();
    await until('offline', () => !session.status().connected);
    broker = await startAedes(port);
    await until('online', () => session.status().connected);
    expect(stored).toEqual([]);
    refuses = false;
    await until('the file is let go', () => outbox.stats().blobs.count === 0);
    await until('the word on it', () => stored.length > 0);
    expect(stored).toEqual([file.sha256]);
    expect(session.status().uploadedBlobs).toBe(1);
  });

  it('leaves no vehicle online that was stopped while it was being greeted', async () => {
    const held: (() => void)[] = [];
    const broker = await startAedes(0, {
      authorizeSubscribe: (client, subscription, done) => {
        if (client?.id === vehicle) held.push(() => done(null, subscription));
        else done(null, subscription);
      },
      // The word on the subscription comes before the word on the goodbye, as over a slow line.
      authorizePublish: (_client, _packet, done) => void setTimeout(done, 100),
    });
    closers.push(() => broker.stop());
    const url = `mqtt://127.0.0.1:${broker.port}`;
    const central = await startCentral(url);
    const { stop } = startSession(await openOutbox(), url);
    await until('the subscription', () => held.length > 0);
    const stopped = stop();
    const releasing = setInterval(() => {
      for (const release of held.splice(0)) release();
    }, 20);
    await stopped;
    clearInterval(releasing);
    await until('offline', () => central.states.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(central.states).toEqual([false]);
  });

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
