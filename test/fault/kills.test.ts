import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type CentralPlace,
  type FenderProcess,
  freePort,
  get,
  startAgent,
  startCentral,
  until,
} from '../end-to-end/processes.ts';
import { filesBelow, readableMessages } from './bag-contents.ts';
import { seededRandom } from './seeded-random.ts';

const AGENT_KILLS = Number(process.env.FENDER_AGENT_KILLS ?? 50);
const CENTRAL_KILLS = Number(process.env.FENDER_CENTRAL_KILLS ?? 20);
const VEHICLE = 'killed-1';
/** Outbox keys are stream id × 2^40 + sequence. */
const SEQUENCES = 2n ** 40n;

interface Ledger {
  streams: {
    epoch: string;
    stream: string;
    next_sequence: number;
    held: [number, number][];
    missing: [number, number][];
    dropped: object[];
    duplicates: number;
  }[];
}

const random = seededRandom();
const folder = mkdtempSync(join(tmpdir(), 'fender-kills-'));
const agentFolder = join(folder, 'agent');
const outboxPath = join(agentFolder, 'outbox.sqlite');
const recordings = join(agentFolder, 'recordings');
let place: CentralPlace;
let central: FenderProcess;
let agent: FenderProcess;

beforeAll(async () => {
  mkdirSync(agentFolder, { recursive: true });
  place = { dataDir: join(folder, 'central'), httpPort: await freePort(), mqttPort: await freePort() };
});

afterAll(async () => {
  await agent?.end('SIGKILL');
  await central?.end('SIGKILL');
});

function runAgent(): FenderProcess {
  return startAgent(folder, {
    vehicle: { id: VEHICLE },
    data_dir: agentFolder,
    sensors: {
      particulate: { model: 'plantower', device: 'emulated' },
      bme680: { device: 'emulated' },
      uma8: { source: 'generated', seed: 7 },
    },
    sync: { url: `mqtt://127.0.0.1:${place.mqttPort}` },
    health: { listen: { port: 0 }, period_s: 0.5 },
  });
}

const runs = () => agent.output.includes('the agent runs');
const healthy = () => get(place.httpPort, '/healthz').then(() => true);
const ledger = () => get<Ledger>(place.httpPort, `/api/vehicles/${VEHICLE}/ledger`);
const streamOf = (state: Ledger, name: string) => state.streams.find(({ stream }) => stream === name);

/** From now on the outbox's own transactions also write down each record's key where nothing deletes it. */
function installWitness(): void {
  const db = new Database(outboxPath);
  db.exec(`
    CREATE TABLE witness (key INTEGER PRIMARY KEY);
    INSERT INTO witness SELECT key FROM record;
    CREATE TRIGGER witnessed AFTER INSERT ON record BEGIN INSERT INTO witness VALUES (NEW.key); END;
  `);
  db.close();
}

interface Committed {
  /** `stream sequence` of every record that was ever committed since the witness was there. */
  readonly witnessed: Set<string>;
  /** Those still waiting. */
  readonly waiting: Set<string>;
  readonly nextSequence: Map<string, number>;
}

function readOutbox(): Committed {
  const db = new Database(outboxPath);
  db.defaultSafeIntegers(true);
  const streams = db.prepare<[], { id: bigint; name: string; next_sequence: bigint }>('SELECT * FROM stream').all();
  const names = new Map(streams.map(({ id, name }) => [id, name]));
  const keys = (table: string) =>
    new Set(
      db
        .prepare<[], { key: bigint }>(`SELECT key FROM ${table}`)
        .all()
        .map(({ key }) => `${names.get(key / SEQUENCES)} ${key % SEQUENCES}`),
    );
  const committed = {
    witnessed: keys('witness'),
    waiting: keys('record'),
    nextSequence: new Map(streams.map(({ name, next_sequence }) => [name, Number(next_sequence)])),
  };
  db.close();
  return committed;
}

/** `stream sequence` of every record in central's tables, each time it is there. */
function readCentral(): string[] {
  const db = new Database(join(place.dataDir, 'central.sqlite'), { readonly: true });
  const rows = db
    .prepare<[], { stream: string; sequence: number }>(
      `SELECT stream, sequence FROM (
         SELECT ledger_id, sequence FROM telemetry WHERE part = 0
         UNION ALL SELECT ledger_id, sequence FROM events
         UNION ALL SELECT ledger_id, sequence FROM clips
         UNION ALL SELECT ledger_id, sequence FROM records
       ) JOIN ledgers ON ledgers.id = ledger_id`,
    )
    .all();
  db.close();
  return rows.map(({ stream, sequence }) => `${stream} ${sequence}`);
}

/** What is readable of unfinished segments, to be found again after the repair. */
function unfinished(): Map<string, string[]> {
  if (!existsSync(recordings)) return new Map();
  return new Map(
    filesBelow(recordings, '.active').map((path) => [path.replace(/\.active$/, ''), readableMessages(path)]),
  );
}

test(`${AGENT_KILLS} kills of the agent and ${CENTRAL_KILLS} of central lose nothing that was committed [seed ${random.seed}]`, async () => {
  central = startCentral(place);
  await until('central', healthy, { processes: [central] });
  agent = runAgent();
  await until('telemetry at central', async () => (streamOf(await ledger(), 'health/process')?.held.length ?? 0) > 0, {
    processes: [central, agent],
  });
  expect(await agent.end('SIGTERM')).toBe(0);
  installWitness();

  const torn = new Map<string, string[]>();
  agent = runAgent();
  const kills = random.shuffle([...Array(AGENT_KILLS).fill('agent'), ...Array(CENTRAL_KILLS).fill('central')]);
  for (const victim of kills) {
    // Half of the kills may hit the start-up, the others hit an agent at work.
    if (random.next() < 0.5) await until('the agent to run', runs, { processes: [agent] });
    await sleep(100 + random.next() * 2_500);
    if (victim === 'agent') {
      expect(agent.running, agent.output.slice(-2_000)).toBe(true);
      await agent.end('SIGKILL');
      for (const [path, messages] of unfinished()) torn.set(path, messages);
      agent = runAgent();
    } else {
      expect(central.running, central.output.slice(-2_000)).toBe(true);
      await central.end('SIGKILL');
      central = startCentral(place);
    }
  }

  await until('both after the kills', async () => runs() && (await healthy()), { processes: [central, agent] });
  const caughtUp = async () => (await ledger()).streams.every(({ missing }) => missing.length === 0);
  const clips = async () => {
    const events = await get<{ total: number; events: { clip: { state: string } | null }[] }>(
      place.httpPort,
      '/api/events?limit=200',
    );
    return events.total > 0 && events.events.every(({ clip }) => clip?.state === 'ready');
  };
  await until('the vehicle to have sent everything', async () => (await caughtUp()) && (await clips()), {
    timeoutMs: 60_000,
    processes: [central, agent],
  });
  // What an agent that ends soon leaves unrepaired is for its next start.
  const allRepaired = () => [...torn.keys()].every((path) => existsSync(path));
  await until('every torn segment to be repaired', allRepaired, { timeoutMs: 60_000, processes: [agent] });
  expect(await agent.end('SIGTERM')).toBe(0);
  const final = await ledger();
  expect(await central.end('SIGTERM')).toBe(0);

  const outbox = readOutbox();
  const stored = readCentral();
  const missing = [...outbox.witnessed].filter((record) => !outbox.waiting.has(record) && !stored.includes(record));
  expect(outbox.witnessed.size).toBeGreaterThan(AGENT_KILLS);
  expect(new Set(stored).size, 'a record is stored twice').toBe(stored.length);
  expect(missing, 'records that left the outbox and are not at central').toEqual([]);

  for (const { stream, dropped, held } of final.streams) {
    expect({ stream, dropped }).toEqual({ stream, dropped: [] });
    expect({ stream, ranges: held.length, first: held[0]?.[0] }).toEqual({ stream, ranges: 1, first: 1 });
    const waiting = [...outbox.waiting].filter((record) => record.startsWith(`${stream} `)).length;
    const last = outbox.nextSequence.get(stream) ?? 0;
    expect((held[0]?.[1] ?? 0) + waiting, `${stream} up to ${last - 1}`).toBeGreaterThanOrEqual(last - 1);
  }

  expect(torn.size, 'kills that hit an open segment').toBeGreaterThan(AGENT_KILLS / 4);
  for (const [path, messages] of torn) {
    const repaired = new Set(existsSync(path) ? readableMessages(path) : []);
    expect(
      messages.filter((message) => !repaired.has(message)),
      `${path} lost whole chunks`,
    ).toEqual([]);
  }
  const total = [...torn.values()].reduce((sum, messages) => sum + messages.length, 0);
  console.log(
    `seed ${random.seed}: ${AGENT_KILLS} + ${CENTRAL_KILLS} kills, ${outbox.witnessed.size} records committed, ` +
      `${stored.length} at central, ${outbox.waiting.size} waiting, ${torn.size} torn segments with ${total} messages repaired`,
  );
}, 600_000);
