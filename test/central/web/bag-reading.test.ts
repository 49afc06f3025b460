/** How the viewer reads bags, without a browser: what long spans are drawn from, and that no damage does more than be told. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { McapRecordBuilder } from '@mcap/core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { BagError, type BagFault } from '../../../central/web/src/bag/reading/bag-error.ts';
import type { ViewAnswer } from '../../../central/web/src/bag/reading/bag-model.ts';
import { reading } from '../../../central/web/src/bag/reading/byte-source.ts';
import { readChunk } from '../../../central/web/src/bag/reading/file-index.ts';
import { PowerSpectrum } from '../../../central/web/src/bag/reading/fourier.ts';
import { eventsOf, linesOf } from '../../../central/web/src/bag/reading/lines-and-events.ts';
import { missingOf } from '../../../central/web/src/bag/reading/missing-messages.ts';
import { openBag } from '../../../central/web/src/bag/reading/open-bag.ts';
import { parseOverview } from '../../../central/web/src/bag/reading/overview.ts';
import { soundOf } from '../../../central/web/src/bag/reading/playback.ts';
import { statisticsOf } from '../../../central/web/src/bag/reading/statistics.ts';
import { standIns } from '../../../central/web/src/bag/reading/view-cells.ts';
import { ViewReader } from '../../../central/web/src/bag/reading/view-reader.ts';
import { driveMessages, madeBag, soundMessage } from '../../agent/bag/bag-fixtures.ts';
import { makeHourBag } from '../../bench/hour-bag.ts';
import { foreignBag, stopped, stoppedRecordings } from './bag-fixtures.ts';
import { readLibrariesFromDisk } from './local-libraries.ts';

let folder: string;

beforeAll(async () => {
  readLibrariesFromDisk();
  folder = await mkdtemp(join(tmpdir(), 'fender-bag-reading-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function openFiles(paths: readonly string[]) {
  const files = await Promise.all(paths.map(async (path) => ({ name: path, blob: new Blob([await readFile(path)]) })));
  return openBag('test', files, () => undefined);
}

function seriesNamed(bag: Awaited<ReturnType<typeof openFiles>>, topic: string, field: string) {
  const track = bag.tracks.find(({ name }) => name === topic);
  return { topic: track?.id ?? -1, field: track?.infos.findIndex(({ name }) => name === field) ?? -1 };
}

/** The last answer to a view of the whole bag. */
async function wholeView(bag: Awaited<ReturnType<typeof openFiles>>, keys: ViewAnswer['series'], width = 300) {
  const answers: ViewAnswer[] = [];
  await new ViewReader(bag, (answer) => answers.push(answer)).ask({
    fromS: 0,
    toS: bag.durationS,
    width,
    series: keys,
    spectrum: null,
  });
  return { first: answers[0], last: answers.at(-1), answers: answers.length };
}

describe('long spans', () => {
  it('are drawn from the recorded overview alone, with the extremes of every second', async () => {
    const { paths } = await makeHourBag({ folder: join(folder, 'long'), seconds: 400, segmentSeconds: 200 });
    const bag = await openFiles(paths);
    const before = reading.bytes;
    const keys = [seriesNamed(bag, '/uma8/audio', 'ch3'), seriesNamed(bag, '/bme680/temperature', 'temperature')];
    const { last, answers } = await wholeView(bag, keys);
    expect(answers).toBe(1);
    expect(reading.bytes).toBe(before);
    const [sound, temperature] = last?.cells ?? [];
    expect(temperature?.t.length).toBeGreaterThan(150);
    expect(Math.max(...(sound?.max ?? []))).toBeGreaterThan(0.3);
    const [statistics] = await statisticsOf(bag, [keys[0] ?? { topic: 0, field: 0 }], 0, bag.durationS, () => false);
    expect(statistics).toMatchObject({ basis: 'overview', count: 400 * 48_000, rateHz: 48_000, gaps: 0 });
  });

  it('are drawn from samples of their chunks without one, and finer where that is little to read', async () => {
    const { paths } = await makeHourBag({
      folder: join(folder, 'bare'),
      seconds: 400,
      segmentSeconds: 200,
      overview: false,
    });
    const bag = await openFiles(paths);
    expect(bag.hasOverview).toBe(false);
    const key = seriesNamed(bag, '/uma8/audio', 'ch0');
    const before = reading.bytes;
    // As on a slow disk: every batch takes longer than a picture may wait.
    let nowMs = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => (nowMs += 100));
    const { first, last, answers } = await wholeView(bag, [key]).finally(() => clock.mockRestore());
    expect(first?.cells[0]?.t.length).toBe(0);
    expect(answers).toBeGreaterThan(2);
    expect(last?.progress).toBe(1);
    expect(last?.cells[0]?.t.length).toBeGreaterThan(100);
    expect(reading.bytes - before).toBeLessThan(50 * 1024 * 1024);
    const [statistics] = await statisticsOf(bag, [key], 0, bag.durationS, () => false);
    expect(statistics).toMatchObject({ basis: 'sampled', gaps: null, missing: null });
    expect(statistics?.share).toBeLessThan(0.2);
    const slow = seriesNamed(bag, '/bme680/pressure', 'fluid_pressure');
    expect((await statisticsOf(bag, [slow], 0, bag.durationS, () => false))[0]).toMatchObject({
      basis: 'exact',
      count: 400,
    });
    expect((await eventsOf(bag)).map(({ atS }) => atS)).toEqual([30.25, 90.25, 150.25, 210.25, 270.25, 330.25, 390.25]);
  });
});

it('reads a clip once, whatever the page asks of it at once', async () => {
  const options = { folder: join(folder, 'clip'), seconds: 4, segmentSeconds: 4, soundEvery: 1, overview: false };
  const { paths, bytes } = await makeHourBag(options);
  const before = reading.bytes;
  const bag = await openFiles(paths);
  const sound = seriesNamed(bag, '/uma8/audio', 'ch0');
  const keys = [seriesNamed(bag, '/bme680/temperature', 'temperature'), sound];
  await Promise.all([
    wholeView(bag, keys, 800),
    wholeView(bag, [...keys, seriesNamed(bag, '/bme680/pressure', 'fluid_pressure')]),
    eventsOf(bag),
    linesOf(bag, 0, bag.durationS),
    statisticsOf(bag, keys, 0, bag.durationS, () => false),
    soundOf(bag, sound, 0, 4),
  ]);
  expect(bytes).toBeGreaterThan(3e6);
  expect(reading.bytes - before).toBeLessThan(1.02 * bytes);
});

it('sound that another recorder logged early or late is played without holes', async () => {
  const lateMs = [120, 178, 101, 169, 102, 161, 104, 150, 163, 102, 167, 101];
  const messages = Array.from({ length: 48 }, (_, index) => {
    const message = soundMessage(index);
    // Later in every other second, too.
    const ms = (lateMs[index % lateMs.length] ?? 0) + (Math.floor(index / 10) % 2) * 60;
    return { ...message, sequence: 0, logTimeNs: message.logTimeNs + BigInt(ms) * 1_000_000n };
  });
  const path = join(folder, 'late.mcap');
  await writeFile(path, madeBag(messages));
  const bag = await openFiles([path]);
  // In pieces, as the player asks for them: they join.
  const pieces = [];
  for (const fromS of [0.2, 1.2, 2.2, 3.2]) {
    pieces.push(await soundOf(bag, seriesNamed(bag, '/uma8/audio', 'ch1'), fromS, fromS + 1));
  }
  const samples = pieces.flatMap((piece) => [...piece.samples]);
  // The recorded ramp begins anew at 20 000.
  const steps = samples
    .slice(1)
    .map((sample, at) => (Math.round((sample - (samples[at] ?? 0)) * 32_768) + 20_000) % 20_000);
  expect({ rateHz: pieces[0]?.rateHz, frames: samples.length, steps: [...new Set(steps)] }).toEqual({
    rateHz: 8000,
    frames: 32_000,
    steps: [1],
  });
});

it.each([
  ['one stamp for four messages', (index: number) => (index - (index % 4)) * 100],
  ['stamps in whole seconds', (index: number) => Math.floor(index / 10) * 1000],
  ['no stamps', () => 0],
  ['one stamp far ahead', (index: number) => index * 100 + (index === 25 ? 900 : 0)],
])('sound with %s is played without holes', async (_, stampMs) => {
  const messages = Array.from({ length: 48 }, (_, index) => {
    const message = soundMessage(index);
    const data = message.data.slice();
    const view = new DataView(data.buffer);
    const firstNs = stampMs(1) === 0 ? 0n : soundMessage(0).logTimeNs;
    const stampNs = firstNs + BigInt(stampMs(index)) * 1_000_000n;
    view.setInt32(4, Number(stampNs / 1_000_000_000n), true);
    view.setUint32(8, Number(stampNs % 1_000_000_000n), true);
    return { ...message, sequence: 0, data };
  });
  const path = join(folder, 'stamps.mcap');
  await writeFile(path, madeBag(messages));
  const bag = await openFiles([path]);
  const key = seriesNamed(bag, '/uma8/audio', 'ch1');
  let silent = 0;
  for (const fromS of [0, 1, 2, 3]) {
    const { samples } = await soundOf(bag, key, fromS, fromS + 1);
    silent += samples.reduce((count, sample) => count + Number(sample === 0), 0);
  }
  // One block lies elsewhere where its stamp says so.
  expect(silent).toBeLessThanOrEqual(stampMs(25) === 3400 ? 800 : 0);
});

it('messages that rosbag2 compressed one by one are told as such, and none of their bytes is taken for a number', async () => {
  const path = join(folder, 'packed.mcap');
  await writeFile(
    path,
    madeBag(driveMessages(2).map((message) => ({ ...message, data: zstdCompressSync(message.data) }))),
  );
  const bag = await openFiles([path]);
  const shown = bag.tracks.filter(({ kind }) => kind === 'numbers' || kind === 'sound');
  expect(shown).toEqual([]);
  const words = /expected plain CDR, found a message that rosbag2 compressed/;
  expect(bag.tracks.find(({ name }) => name === '/uma8/audio')?.reason).toMatch(words);
  expect(bag.tracks.find(({ name }) => name === '/bme680/temperature')?.reason).toMatch(words);
});

/** Every fault says what was expected and found, and none has a library's words or the holes of a sentence. */
function expectWords({ message }: BagFault): void {
  expect(message).toMatch(/expected .* found /s);
  expect(message).not.toMatch(
    /undefined|NaN|\[object|\[library|\[no header|Incorrect|bytes remaining|out of bounds|outside/,
  );
}

/** Park and Miller's generator: the same damage for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed % 2_147_483_647 || 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

describe('damage', () => {
  const seed = Math.floor(Math.random() * 1e9);

  it(`of any kind gives an error with its place, or a bag that shows the rest (seed ${seed})`, async () => {
    await foreignBag(join(folder, 'whole.mcap'), undefined, 4096);
    const whole = (await readFile(join(folder, 'whole.mcap'))).subarray(0, 300_000);
    const end = (await readFile(join(folder, 'whole.mcap'))).subarray(-20_000);
    const random = randomFrom(seed);
    let [opened, refused] = [0, 0];
    for (let round = 0; round < 250; round += 1) {
      const source = round % 3 === 0 ? Buffer.concat([whole.subarray(0, 60_000), end]) : whole.subarray(0, 90_000);
      const bytes = Uint8Array.from(source.subarray(0, Math.ceil(random() * source.length)));
      const flips = Math.floor(random() * 6);
      for (let flip = 0; flip < flips; flip += 1) {
        // Half of them in the first kilobyte, where lengths are.
        const at = Math.floor(random() * (flip % 2 === 0 ? Math.min(1000, bytes.length) : bytes.length));
        bytes[at] = Math.floor(random() * 256);
      }
      try {
        const bag = await openBag('damaged', [{ name: 'damaged.mcap', blob: new Blob([bytes]) }], () => undefined);
        const keys = bag.tracks.flatMap(({ id, infos }) => infos.map((_, field) => ({ topic: id, field }))).slice(0, 6);
        const { last } = await wholeView(bag, keys);
        expect(last?.cells).toHaveLength(keys.length);
        await statisticsOf(bag, keys, 0, bag.durationS, () => false);
        bag.faults.forEach(expectWords);
        opened += 1;
      } catch (error) {
        if (!(error instanceof BagError)) throw error;
        expectWords(error.fault);
        refused += 1;
      }
    }
    expect(opened).toBeGreaterThan(20);
    expect(refused).toBeGreaterThan(20);
  });

  it('of the end of a file is told with its place, in hex; zeros there are those of a power cut', async () => {
    await foreignBag(join(folder, 'ended.mcap'), undefined, 4096);
    const whole = await readFile(join(folder, 'ended.mcap'));
    const faultsOf = async (name: string, bytes: Uint8Array) => {
      const bag = await openBag('ended', [{ name, blob: new Blob([Uint8Array.from(bytes)]) }], () => undefined);
      bag.faults.forEach(expectWords);
      return bag.faults;
    };
    const spoilt = (at: number) => {
      const bytes = Uint8Array.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ 0xff;
      return bytes;
    };
    // Magic of 8 bytes at the end, before it a footer of 29, which says where the summary begins.
    const [end, footer] = [whole.length - 8, whole.length - 37];
    const summary = Number(whole.readBigUInt64LE(footer + 9));
    const crc = `0x${whole
      .readUInt32LE(end - 4)
      .toString(16)
      .padStart(8, '0')}`;
    const index = /expected an index with the CRC-32 0x[0-9a-f]{8}, found 0x[0-9a-f]{8}/;
    const [inSummary] = await faultsOf('a.mcap', spoilt(summary + 12));
    expect(inSummary).toMatchObject({ file: 'a.mcap', offset: summary, message: expect.stringMatching(index) });
    expect(inSummary?.message).toContain(crc);
    expect(await faultsOf('a.mcap', spoilt(footer))).toMatchObject([
      { offset: footer, message: expect.stringContaining('expected a footer record, found one of kind Unknown') },
    ]);
    expect(await faultsOf('a.mcap', spoilt(end))).toMatchObject([
      { offset: end, message: expect.stringContaining('89 4d 43 41 50 30 0d 0a, found 76 4d 43 41 50 30 0d 0a') },
    ]);
    const dataEnd = summary - 13;
    const zeros = Buffer.concat([whole.subarray(0, dataEnd), Buffer.alloc(5000)]);
    const cut =
      'expected a record, found 5000 bytes of 0x00, up to the end of the file; it is still being written, or was left';
    expect(await faultsOf('a.mcap.active', zeros)).toMatchObject([
      { offset: dataEnd, message: expect.stringContaining(cut) },
    ]);
    expect((await faultsOf('a.mcap', zeros))[0]?.message).toContain('a power cut or an unfinished copy');
    expect((await faultsOf('a.mcap.active', whole.subarray(0, dataEnd)))[0]?.message).toContain('still being written');
    zeros[dataEnd + 4000] = 1;
    expect((await faultsOf('a.mcap', zeros))[0]?.message).toContain('0x01 to 0x0f, found the unknown kind 0x00');
  });

  it("of a chunk's times, to centuries, costs no more than a drive of seconds", async () => {
    const { paths } = await makeHourBag({ folder: join(folder, 'endless'), seconds: 3, segmentSeconds: 3 });
    const bytes = await readFile(paths[0] ?? '');
    // The first chunk, which says twice how large its records are, is told to end in 2262; and the index is spoilt.
    const isChunk = (at: number) =>
      bytes[at] === 6 && bytes.readBigUInt64LE(at + 1) === bytes.readBigUInt64LE(at + 41) + 40n;
    const chunk = bytes.findIndex((_, at) => at > 8 && at < bytes.length - 60 && isChunk(at));
    bytes.writeBigUInt64LE((1n << 63n) - 1n, chunk + 17);
    bytes[bytes.length - 20] = (bytes.at(-20) ?? 0) ^ 1;
    await writeFile(join(folder, 'endless.mcap'), bytes);
    const bag = await openFiles([join(folder, 'endless.mcap')]);
    expect(bag.hasOverview).toBe(true);
    const sound = bag.tracks.find(({ name }) => name === '/uma8/audio');
    expect(sound?.ends[0]).toBeGreaterThan(7e9);
    const query = { fromS: 0, toS: 3, width: 300, series: [seriesNamed(bag, '/uma8/audio', 'ch0')], spectrum: null };
    const answers: ViewAnswer[] = [];
    await new ViewReader(bag, (answer) => answers.push(answer)).ask(query);
    expect(answers[0]?.cells[0]?.t.length).toBeGreaterThan(0);
  });

  it('of a chunk, to records of nothing or to more messages than there can be, fills no memory', async () => {
    const chunkOf = (records: Uint8Array) => {
      const builder = new McapRecordBuilder();
      const sizes = { uncompressedSize: BigInt(records.byteLength), uncompressedCrc: 0, compression: '' };
      builder.writeChunk({ messageStartTime: 0n, messageEndTime: 0n, ...sizes, records });
      return builder.buffer.slice();
    };
    const read = (bytes: Uint8Array) => {
      const place = { offset: 0, length: bytes.byteLength, startNs: 0n, endNs: 0n, channels: null, plain: false };
      const source = { name: 'made', size: bytes.byteLength, read: async () => bytes };
      return readChunk(source, place, new Uint8Array());
    };
    expect(await read(chunkOf(new Uint8Array(9 * 1000)))).toEqual([]);
    const channel = new McapRecordBuilder();
    channel.writeChannel({ id: 1, schemaId: 0, topic: '/a', messageEncoding: '', metadata: new Map() });
    const message = Uint8Array.of(5, 22, 0, 0, 0, 0, 0, 0, 0, 1, ...new Uint8Array(21));
    const many = Buffer.concat([channel.buffer, Buffer.alloc(message.byteLength * 1_000_001, message)]);
    await expect(read(chunkOf(many))).rejects.toThrow('expected at most 1000000 messages, found more');
  });

  it('of an overview leaves the bag without one', () => {
    for (const text of [
      '',
      '{',
      'null',
      '[]',
      '{"version":2}',
      '{"version":1,"period_ns":"0","start_ns":"0","periods":1,"series":[]}',
    ]) {
      expect(parseOverview(text, 0n)).toEqual([]);
    }
    const huge = '{"version":1,"period_ns":"1","start_ns":"0","periods":1e15,"series":[{"topic":"a","field":"b"}]}';
    expect(parseOverview(huge, 0n)).toEqual([]);
  });
});

describe('statistics', () => {
  it('of several segments and recordings tell the rate of sound while it was recorded, and the stop as one gap', async () => {
    const bag = await openFiles(await stoppedRecordings(join(folder, 'stopped'), true));
    const key = seriesNamed(bag, '/uma8/audio', 'ch0');
    const [all] = await statisticsOf(bag, [key], 0, bag.durationS, () => false);
    expect(all).toMatchObject({ basis: 'overview', count: 2 * stopped.eachS * 48_000, gaps: 1 });
    expect(all?.rateHz).toBeCloseTo(48_000, 6);
    // From the last message before the stop to the first behind it.
    expect(all?.longestS).toBeCloseTo(stopped.secondS - (stopped.firstS + stopped.eachS - 0.1), 6);
  });
});

describe('lost messages', () => {
  const lost = (...recordings: number[][]) =>
    missingOf(recordings.map((sequence) => ({ t: sequence.map((_, at) => at), sequence })));

  it('are those left out within a recording, whatever the next one begins with', async () => {
    expect(lost([0, 1, 2, 5, 6])).toBe(2);
    expect(lost([4, 5, 6], [90, 91, 93])).toBe(1);
    const paths = await stoppedRecordings(join(folder, 'numbered'), false, [20, 700]);
    // The last segment before the stop, the first and the third behind it.
    const bag = await openFiles([8, 9, 11].map((file) => paths[file] ?? ''));
    const [all] = await statisticsOf(bag, [seriesNamed(bag, '/uma8/audio', 'ch0')], 0, bag.durationS, () => false);
    expect(all).toMatchObject({ basis: 'exact', missing: 50, gaps: 2 });
  });

  it('are none where a merged bag counts anew, where messages come late, and where nobody counts', () => {
    expect(lost([0, 1, 2, 3, 0, 1, 2, 3, 4, 5])).toBe(0);
    expect(lost([500, 501, 502, 0, 1, 2])).toBe(0);
    expect(lost([0, 1, 2, 0, 1, 5, 6])).toBe(3);
    expect(lost([0, 1, 3, 2, 4, 6, 5])).toBe(0);
    expect(lost([0, 0, 0])).toBe(null);
    expect(lost([7])).toBe(null);
    expect(missingOf([{ t: [3, 0, 1, 2], sequence: [3, 0, 1, 2] }])).toBe(0);
  });
});

it('lets a column stand for its neighbours no farther than told, and never over one without sound', () => {
  const isKnown = [...'.k........k.k'].map((letter) => letter === 'k');
  const isRecorded = [...'rrrrr--rrrr-r'].map((letter) => letter === 'r');
  expect([...standIns(isKnown, isRecorded, 2)]).toEqual([1, 1, 1, 1, -1, -1, -1, -1, 10, 10, 10, -1, 12]);
  expect([...standIns(isKnown, isRecorded, 9)]).toEqual([1, 1, 1, 1, 1, -1, -1, 10, 10, 10, 10, -1, 12]);
});

it('finds a full-scale tone at 0 dB in its frequency', () => {
  const spectrum = new PowerSpectrum(1024);
  spectrum.transform(Float32Array.from({ length: 1024 }, (_, at) => Math.sin((2 * Math.PI * 64 * at) / 1024)));
  expect(10 * Math.log10(spectrum.power[64] ?? 0)).toBeCloseTo(0, 3);
  expect(10 * Math.log10(spectrum.power[80] ?? 1)).toBeLessThan(-100);
});
