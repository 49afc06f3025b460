/**
 * The whole way, as a user starts it, of a vehicle that boots in 1970, is set to the present by chrony, then back by an hour and by 30 ms by nobody knows
 * whom: what its bags say, and what central makes of it. Debian's libfaketime stands between the agent and the system clock;
 * CLOCK_MONOTONIC is the machine's own.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { parse } from '@foxglove/rosmsg';
import { MessageReader } from '@foxglove/rosmsg2-serialization';
import { McapStreamReader, type McapTypes } from '@mcap/core';
import { describe, expect, it } from 'vitest';
import { type CentralPlace, freePort, get, startAgent, startCentral, until } from './processes.ts';

const LIBRARY = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
  .find((path) => existsSync(path));
const HOUR_S = 3600;
const VEHICLE = 'moved-1';
/** What `chronyc -c tracking` prints when all is well. */
const TRACKING = 'A29FC87B,192.0.2.1,2,1700000000.1,-0.0001,0.0001,0.0001,-12.3,0.001,0.05,0.01,0.002,64.5,Normal\n';

interface Bag {
  readonly name: string;
  readonly messages: { topic: string; sequence: number; logTime: bigint; data: Uint8Array; schema: string }[];
  readonly clocks: ReadonlyMap<string, string>[];
}

/** A recording, read by the format's own reader. */
function readBag(recordings: string, name: string): Bag {
  const folder = join(recordings, name);
  const bag: Bag = { name, messages: [], clocks: [] };
  const files = readdirSync(folder).filter((file) => file.endsWith('.mcap'));
  for (const file of files.sort()) {
    const reader = new McapStreamReader({
      decompressHandlers: { zstd: (bytes) => new Uint8Array(zstdDecompressSync(bytes)) },
      validateCrcs: true,
    });
    const channels = new Map<number, McapTypes.TypedMcapRecords['Channel']>();
    const schemas = new Map<number, string>();
    reader.append(readFileSync(join(folder, file)));
    for (let record = reader.nextRecord(); record !== undefined; record = reader.nextRecord()) {
      if (record.type === 'Schema') schemas.set(record.id, new TextDecoder().decode(record.data));
      if (record.type === 'Channel') channels.set(record.id, record);
      if (record.type === 'Metadata' && record.name === 'fender.clock') bag.clocks.push(record.metadata);
      if (record.type !== 'Message') continue;
      const { topic = '', schemaId = 0 } = channels.get(record.channelId) ?? {};
      const { sequence, logTime, data } = record;
      bag.messages.push({ topic, sequence, logTime, data, schema: schemas.get(schemaId) ?? '' });
    }
  }
  return bag;
}

interface Time {
  readonly sec: number;
  readonly nanosec: number;
}

/** UTC and CLOCK_MONOTONIC of each message on /fender/time_reference, in ns. */
function timeReferences({ messages }: Bag): { utc: bigint; monotonic: bigint }[] {
  const found = messages.filter(({ topic }) => topic === '/fender/time_reference');
  if (found[0] === undefined) return [];
  const reader = new MessageReader(parse(found[0].schema, { ros2: true }));
  const ns = ({ sec, nanosec }: Time) => BigInt(sec) * 1_000_000_000n + BigInt(nanosec);
  return found.map(({ data }) => {
    const message = reader.readMessage<{ header: { stamp: Time }; time_ref: Time }>(data);
    return { utc: ns(message.header.stamp), monotonic: ns(message.time_ref) };
  });
}

/** A machine whose clock the test moves, and whose chrony says what the test lets it say. */
class MovedMachine {
  readonly folder = mkdtempSync(join(tmpdir(), 'fender-moved-clock-'));
  readonly #clockFile = join(this.folder, 'clock');
  readonly #trackingFile = join(this.folder, 'tracking');

  constructor() {
    const programs = join(this.folder, 'bin');
    mkdirSync(programs);
    writeFileSync(join(programs, 'chronyc'), `#!/bin/sh\nexec cat '${this.#trackingFile}'\n`, { mode: 0o755 });
  }

  /** Seconds between the agent's system clock and the true one, and whether chrony vouches for it. */
  set(shiftS: number, vouched: boolean): void {
    if (vouched) writeFileSync(this.#trackingFile, TRACKING);
    else rmSync(this.#trackingFile, { force: true });
    writeFileSync(`${this.#clockFile}.new`, `${shiftS >= 0 ? '+' : ''}${shiftS}s\n`);
    renameSync(`${this.#clockFile}.new`, this.#clockFile);
  }

  get environment(): NodeJS.ProcessEnv {
    return {
      PATH: `${join(this.folder, 'bin')}:${process.env.PATH}`,
      LD_PRELOAD: LIBRARY,
      FAKETIME_TIMESTAMP_FILE: this.#clockFile,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    };
  }
}

interface Event {
  readonly id: string;
  readonly captured_at_ns: string;
  readonly clock: string;
  readonly original_captured_at?: string;
}

/** Moves the clock of a vehicle that drives; resolves with what it and central say afterwards. */
async function driveThroughTime() {
  const machine = new MovedMachine();
  const place: CentralPlace = {
    dataDir: join(machine.folder, 'central'),
    httpPort: await freePort(),
    mqttPort: await freePort(),
  };
  const central = startCentral(place);
  const bootShiftS = 10 - Math.floor(Date.now() / 1000);
  machine.set(bootShiftS, false);
  const dataDir = join(machine.folder, 'data');
  const agent = startAgent(
    machine.folder,
    {
      vehicle: { id: VEHICLE },
      data_dir: dataDir,
      sensors: {
        particulate: { model: 'none' },
        bme680: { device: 'emulated' },
        uma8: { source: 'generated', seed: 7 },
      },
      sync: { url: `mqtt://127.0.0.1:${place.mqttPort}` },
      health: { listen: { port: 0 }, period_s: 1 },
    },
    machine.environment,
  );
  const recordings = join(dataDir, 'recordings');
  const wait = (what: string, look: () => boolean | Promise<boolean>) =>
    until(what, look, { processes: [agent, central] });
  const begun = (count: number) => () => existsSync(recordings) && readdirSync(recordings).length === count;
  const events = async () =>
    (await get<{ events: Event[] }>(place.httpPort, `/api/events?vehicle=${VEHICLE}&limit=100`)).events;
  const latest = async (stream: string) => {
    const { streams } = await get<{ streams: (Event & { stream: string })[] }>(
      place.httpPort,
      `/api/vehicles/${VEHICLE}/latest`,
    );
    return streams.find((each) => each.stream === stream);
  };
  try {
    const unknown = async () => (await events()).some(({ clock }) => clock === 'unsynchronised');
    await wait('an event of 1970', unknown);
    const early = await events();
    const setS = Date.now() / 1000;
    machine.set(0, true);
    await wait('a recording in the present', begun(2));
    const known = async () => (await latest('bme680/environment'))?.clock === 'synchronised';
    await wait('a reading whose time is known', known);
    const corrected = async () => (await events()).every(({ clock }) => clock !== 'unsynchronised');
    await wait('earlier events put right', corrected);
    const late = await events();
    machine.set(-HOUR_S, false);
    await wait('a recording an hour ago', begun(3));
    const again = async () => (await latest('bme680/environment'))?.clock === 'corrected';
    await wait('readings an hour off put right', again);
    const reading = await latest('bme680/environment');
    machine.set(-HOUR_S - 0.03, false);
    const [, metricsUrl = ''] = /"metrics":"([^"]+)"/.exec(agent.output) ?? [];
    let metrics = '';
    await wait('the leap in health', async () => {
      metrics = await (await fetch(metricsUrl)).text();
      return metrics.includes('fender_clock_leaps_total 1');
    });
    expect(await agent.end('SIGTERM')).toBe(0);
    return { recordings, output: agent.output, metrics, bootShiftS, setS, early, late, reading };
  } finally {
    await agent.end('SIGKILL');
    await central.end('SIGKILL');
  }
}

/** Every message is in the recording of its time, none is lost at the seams, and the order of each topic holds. */
function expectWhole(bags: readonly Bag[], startsS: readonly number[]): void {
  for (const [index, bag] of bags.entries()) {
    for (const { logTime, topic } of bag.messages) {
      const s = Number(logTime) / 1e9 - (startsS[index] as number);
      expect(s, `${topic} in ${bag.name}`).toBeGreaterThan(-3);
      expect(s, `${topic} in ${bag.name}`).toBeLessThan(120);
    }
  }
  const topics = new Set(bags.flatMap(({ messages }) => messages.map(({ topic }) => topic)));
  expect(topics).toContain('/uma8/audio');
  for (const topic of topics) {
    const parts = bags.map(({ messages }) => messages.filter((message) => message.topic === topic));
    // Each counts from the message behind the last of the one before: what is lost at a seam leaves a gap.
    for (const sequences of parts.map((part) => part.map(({ sequence }) => sequence))) {
      expect(sequences, topic).toEqual(sequences.map((_, index) => index));
    }
    for (const times of parts.map((part) => part.map(({ logTime }) => logTime))) {
      expect(times, topic).toEqual(times.toSorted((a, b) => Number(a - b)));
    }
  }
}

/** Each recording names a moment by both clocks, and the seconds that follow agree with it. */
function expectReferred(bags: readonly Bag[]): void {
  let monotonic = 0n;
  for (const bag of bags) {
    const [clock] = bag.clocks;
    const offsetNs = BigInt(clock?.get('utc_ns') ?? 0) - BigInt(clock?.get('monotonic_ns') ?? 0);
    const references = timeReferences(bag);
    expect(references.length).toBeGreaterThan(0);
    for (const reference of references) {
      expect(reference.monotonic).toBeGreaterThan(monotonic);
      monotonic = reference.monotonic;
      // The leap of 30 ms is caught up with at 500 ppm: a millisecond in two seconds.
      const apartMs = Number(reference.utc - reference.monotonic - offsetNs) / 1e6;
      expect(Math.abs(apartMs)).toBeLessThan(3);
    }
  }
}

describe.skipIf(LIBRARY === undefined && !process.env.CI)('a vehicle whose clock is moved (needs libfaketime)', () => {
  it('records each time apart, in order and whole, and central puts right what it recorded before it knew the time', async () => {
    expect(LIBRARY, 'Debian package libfaketime').toBeDefined();
    const { recordings, output, metrics, bootShiftS, setS, early, late, reading } = await driveThroughTime();
    const numberOf = (name: string) => Number(name.split('_')[1]);
    const names = readdirSync(recordings).sort((a, b) => numberOf(a) - numberOf(b));
    const bags = names.map((name) => readBag(recordings, name));
    expect(bags).toHaveLength(3);
    expectWhole(bags, [10, setS, setS - HOUR_S]);
    expectReferred(bags);
    expect(bags[0]?.clocks[0]?.get('synchronised')).toBe('false');

    expect(output.match(/the system clock jumped by/g)).toHaveLength(2);
    expect(metrics).toContain('fender_clock_steps_total 2\n');
    expect(metrics).toContain('fender_clock_synchronised 0\n');
    const [, slewingS] = /^fender_clock_slewing_seconds (\S+)$/m.exec(metrics) ?? [];
    expect(Number(slewingS)).toBeGreaterThan(0.02);

    for (const { id, captured_at_ns: original, clock } of early) {
      const now = late.find((event) => event.id === id);
      expect([clock, now?.clock]).toEqual(['unsynchronised', 'corrected']);
      expect(now?.original_captured_at).toMatch(/^1970-01-01T/);
      const movedMs = Number(BigInt(now?.captured_at_ns ?? 0) - BigInt(original)) / 1e6;
      expect(Math.abs(movedMs + bootShiftS * 1000)).toBeLessThan(20);
    }
    const readingS = Number(BigInt(reading?.captured_at_ns ?? 0)) / 1e9;
    expect(readingS).toBeGreaterThan(setS);
    expect(readingS).toBeLessThan(Date.now() / 1000);
  }, 240_000);
});
