import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } from 'hyparquet';
import { describe, expect, test } from 'vitest';
import { bagExport, exportedAll, formatExport } from '../../../agent/bag/export/bag-export.ts';
import { wavHeader } from '../../../agent/bag/export/wav-file.ts';
import { openFlacEncoder } from '../../../agent/sound/flac-encoder.ts';
import { compressedAudioMessage, viewSamples } from '../../../agent/sound/raw-audio.ts';
import { readWavFormat } from '../../../drivers/uma8/wav.ts';
import { range } from '../recording/recording-fixtures.ts';
import { scratchFolder } from '../recording/scratch-folder.ts';
import { driveMessages, type MadeMessage, madeBag, soundMessage, startNs, temperatureMessage } from './bag-fixtures.ts';

type Options = Parameters<typeof bagExport>[2];

async function exported(
  messages: readonly MadeMessage[],
  options: Partial<Options> = {},
  schema?: (type: string) => string,
) {
  const folder = await scratchFolder();
  await writeFile(join(folder, 'drive.mcap'), madeBag(messages, schema));
  const out = join(folder, 'out');
  const chosen: Options = { formats: ['wav', 'csv', 'parquet'], gaps: 'silence', ...options };
  return { out, report: await bagExport(join(folder, 'drive.mcap'), out, chosen) };
}

/** Samples of a WAVE file. */
async function samples(path: string): Promise<{ pcm: Int16Array; channels: number; rate: number }> {
  const bytes = await readFile(path);
  const format = readWavFormat(bytes, bytes.byteLength);
  if (format === null) throw new Error('expected a WAVE file');
  const data = bytes.buffer.slice(
    bytes.byteOffset + format.dataOffset,
    bytes.byteOffset + format.dataOffset + format.dataBytes,
  );
  return { pcm: new Int16Array(data), channels: format.channels, rate: format.sampleRateHz };
}

function pcmOf(index: number): number[] {
  return Array.from({ length: 1600 }, (_, at) => ((index * 800 + Math.floor(at / 2)) % 20_000) + (at % 2) * 7);
}

describe('exporting sound', () => {
  test('gives every sample, as a file that others read', async () => {
    const { out, report } = await exported(range(20).map((index) => soundMessage(index)));
    const { pcm, channels, rate } = await samples(join(out, 'uma8_audio.wav'));
    expect({ channels, rate }).toEqual({ channels: 2, rate: 8000 });
    expect([...pcm]).toEqual(range(20).flatMap(pcmOf));
    expect(exportedAll(report)).toBe(true);
    expect(report.sound).toMatchObject([{ frames: 16_000, startNs, gapCount: 0, channels: [0, 1] }]);
  });

  test('fills gaps with silence of their length, takes chosen channels, and leaves out what overlaps', async () => {
    const indexes = [0, 1, 5, 6, 6, 7];
    const { out, report } = await exported(
      indexes.map((index) => soundMessage(index)),
      { channels: [1] },
    );
    const { pcm, channels } = await samples(join(out, 'uma8_audio.wav'));
    expect(channels).toBe(1);
    const one = (index: number) => pcmOf(index).filter((_, at) => at % 2 === 1);
    const silence = range(2400).map(() => 0);
    expect([...pcm]).toEqual([...one(0), ...one(1), ...silence, ...one(5), ...one(6), ...one(7)]);
    expect(report.sound[0]).toMatchObject({ gaps: [{ atFrame: 1600, frames: 2400 }], gapCount: 1, overlapping: 1 });
    expect(formatExport(report)).toContain('1 gap filled with 0.300 s of silence, 1 overlapping message left out');
  });

  test('joins by their own stamps messages that another recorder logged when they got there, early or late', async () => {
    // Drawn from what `ros2 bag record` logged on a busy machine; it numbers no messages.
    const lateMs = [120, 178, 101, 169, 102, 161, 104, 100, 163, 102, 167, 101];
    const indexes = range(lateMs.length).filter((index) => index !== 7);
    const messages = indexes.map((index) => {
      const message = soundMessage(index);
      const logTimeNs = message.logTimeNs + BigInt(lateMs[index] ?? 0) * 1_000_000n;
      return { ...message, sequence: 0, logTimeNs };
    });
    const { out, report } = await exported(messages);
    const { pcm } = await samples(join(out, 'uma8_audio.wav'));
    expect([...pcm]).toEqual(
      range(lateMs.length).flatMap((index) => (index === 7 ? pcmOf(0).map(() => 0) : pcmOf(index))),
    );
    expect(report.sound).toMatchObject([{ gaps: [{ atFrame: 5600, frames: 800 }], gapCount: 1, overlapping: 0 }]);
  });

  test('goes by the times of the log where stamps stand still, or are of another clock', async () => {
    for (const stampNs of [() => 0n, (index: number) => BigInt(index) * 5_000_000_000n]) {
      const messages = [0, 1, 2, 5].map((index) => {
        const message = soundMessage(index);
        const data = message.data.slice();
        const view = new DataView(data.buffer);
        view.setInt32(4, Number(stampNs(index) / 1_000_000_000n), true);
        view.setUint32(8, 0, true);
        return { ...message, sequence: 0, data };
      });
      const { report } = await exported(messages);
      expect(report.sound).toMatchObject([{ frames: 4800, gaps: [{ atFrame: 2400, frames: 1600 }], overlapping: 0 }]);
    }
  });

  test.each([
    ['one stamp for four messages', (index: number) => Math.floor(index / 4) * 400],
    ['stamps in whole seconds', (index: number) => Math.floor(index / 10) * 1000],
    ['stamps of a simulated clock at a tenth of the time', (index: number) => index * 10],
    ['a clock that steps back by half a second', (index: number) => 5000 + index * 100 - (index < 20 ? 0 : 503)],
    ['one stamp far too late', (index: number) => 5000 + index * 100 + (index === 20 ? 903 : 0)],
    ['one stamp far too early', (index: number) => 5000 + index * 100 - (index === 20 ? 900 : 0)],
  ])('keeps all sound and invents no silence with %s', async (_, stampMs) => {
    const messages = range(40).map((index) => {
      const message = soundMessage(index);
      const data = message.data.slice();
      const view = new DataView(data.buffer);
      view.setInt32(4, Math.floor(stampMs(index) / 1000), true);
      view.setUint32(8, (stampMs(index) % 1000) * 1_000_000, true);
      return { ...message, sequence: 0, data };
    });
    const { out, report } = await exported(messages);
    expect([...(await samples(join(out, 'uma8_audio.wav'))).pcm]).toEqual(range(40).flatMap(pcmOf));
    expect(report.sound).toMatchObject([{ gapCount: 0, overlapping: 0 }]);
  });

  test('makes one file of sound that is FLAC in part', async () => {
    const encode = await openFlacEncoder();
    const messages = range(20).map((index) => {
      const message = soundMessage(index);
      const sound = viewSamples(message.data);
      if (index % 3 === 1 || sound === null) return message;
      const data = compressedAudioMessage(sound, encode(sound.pcm, sound.channels, sound.sampleRateHz));
      return { ...message, topic: '/uma8/audio/flac', type: 'fender_msgs/msg/CompressedAudio', data };
    });
    const { out, report } = await exported(messages);
    expect((await readdir(out)).sort()).toEqual(['export.json', 'uma8_audio.wav']);
    expect([...(await samples(join(out, 'uma8_audio.wav'))).pcm]).toEqual(range(20).flatMap(pcmOf));
    expect(report.sound).toMatchObject([{ topic: '/uma8/audio', gapCount: 0, undecoded: 0 }]);
    expect(exportedAll(report)).toBe(true);
  });

  test('alone, when asked, is whole; what finds nothing for its formats, or in its span, is refused and leaves nothing', async () => {
    const { out, report } = await exported(driveMessages(1), { formats: ['wav'] });
    expect((await readdir(out)).sort()).toEqual(['export.json', 'uma8_audio.wav']);
    expect(report).toMatchObject({ skipped: [], unasked: expect.arrayContaining(['/bme680/temperature']) });
    expect(formatExport(report)).toContain('not in these formats: ');
    expect(exportedAll(report)).toBe(true);
    const folder = await scratchFolder();
    const path = join(folder, 'drive.mcap');
    await writeFile(path, madeBag([...driveMessages(1), temperatureMessage(20)]));
    const refused: [Partial<Options>, RegExp][] = [
      [{ formats: ['wav'], topics: ['/bme680/*'] }, /no wav is made of \/bme680\/temperature/],
      [{ from: '1h' }, /found none; there are messages from 2025-11-24T16:00:00/],
      [{ from: '10s', formats: ['wav'] }, /found none; there are messages/],
    ];
    for (const [options, message] of refused) {
      const chosen: Options = { formats: ['wav', 'csv'], gaps: 'silence', ...options };
      const error = await bagExport(path, join(folder, 'out'), chosen).catch((cause: unknown) => cause);
      expect(error).toMatchObject({ code: 'not-covered', message: expect.stringMatching(message) });
    }
    expect(await readdir(folder)).toEqual(['drive.mcap']);
  });

  test('splits at gaps when asked, and always when nothing came for an hour', async () => {
    const late = soundMessage(40_000);
    const { out, report } = await exported([soundMessage(0), soundMessage(5), late], { gaps: 'split' });
    expect(report.sound.map(({ file }) => file)).toEqual(['uma8_audio.wav', 'uma8_audio_1.wav', 'uma8_audio_2.wav']);
    expect([...(await samples(join(out, 'uma8_audio_1.wav'))).pcm]).toEqual(pcmOf(5));
    expect((await exported([soundMessage(0), late])).report.sound).toHaveLength(2);
  });

  test('over 4 GiB the header is that of RF64', () => {
    const small = Buffer.from(wavHeader(48_000, 8, 16));
    expect(small.subarray(0, 16).toString('latin1')).toBe('RIFF\x70\0\0\0WAVEJUNK');
    const header = Buffer.from(wavHeader(48_000, 8, 5_000_000_000));
    expect(header.subarray(0, 4).toString()).toBe('RF64');
    expect(header.subarray(12, 16).toString()).toBe('ds64');
    expect(header.readBigUInt64LE(28)).toBe(5_000_000_000n);
    expect(header.readBigUInt64LE(36)).toBe(312_500_000n);
    expect(header.readUInt32LE(100)).toBe(0xffffffff);
  });

  test('refuses channels that are not there', async () => {
    await expect(exported([soundMessage(0)], { channels: [2] })).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('exporting tables', () => {
  test('Parquet has nested fields as columns, lists, texts and times in nanoseconds', async () => {
    const { out, report } = await exported(driveMessages(3));
    expect(exportedAll(report)).toBe(true);
    const file = await asyncBufferFromFile(join(out, 'impacts.parquet'));
    const { schema } = parquetSchema(await parquetMetadataAsync(file)).children.reduce(
      (found, child) => ({ schema: { ...found.schema, [child.element.name]: child.element } }),
      { schema: {} as Record<string, unknown> },
    );
    expect(schema['header.stamp']).toMatchObject({ type: 'INT64', logical_type: { type: 'TIMESTAMP', unit: 'NANOS' } });
    const rows = await parquetReadObjects({ file, parsers: rawTimes });
    expect(rows).toEqual([
      expect.objectContaining({
        log_time: startNs + 500_000_000n,
        sequence: 0,
        'header.stamp': startNs + 500_000_000n,
        'header.frame_id': 'uma8',
        end: startNs + 1_500_000_000n,
        labels: ['glass_break'],
        scores: [0.5],
        score: 0.5,
      }),
    ]);
    const diagnostics = await parquetReadObjects({ file: await asyncBufferFromFile(join(out, 'diagnostics.parquet')) });
    expect(diagnostics).toHaveLength(3);
    expect(diagnostics[2]?.status).toMatchObject([
      {
        level: 1,
        name: 'uma8',
        message: 'a "quoted", °C text',
        values: [{ key: 'code', value: 'late' }, {}, { key: 'index', value: '2' }],
      },
    ]);
  });

  test('CSV quotes texts, and writes times whole', async () => {
    const { out } = await exported(driveMessages(2), { formats: ['csv'] });
    const text = await readFile(join(out, 'bme680_temperature.csv'), 'utf8');
    expect(text).toBe(
      'log_time,publish_time,sequence,header.stamp,header.frame_id,temperature,variance\n' +
        '2025-11-24T16:00:00.000000000Z,2025-11-24T16:00:00.000000000Z,0,2025-11-24T16:00:00.000000000Z,bme680,20,0\n' +
        '2025-11-24T16:00:01.000000000Z,2025-11-24T16:00:01.000000000Z,1,2025-11-24T16:00:01.000000000Z,bme680,20.125,0\n',
    );
    expect(await readFile(join(out, 'diagnostics.csv'), 'utf8')).toContain('""message"":""a \\""quoted\\"", °C text""');
    expect(await readdir(out)).not.toContain('uma8_audio.wav');
  });

  test('types that only the bag knows are decoded by the definition in it; messages that are not theirs are counted', async () => {
    const schema =
      'uint8 kind\nint64[] wide\nGeo[2] where\nbool[] flags\nuint64 huge\n===\nMSG: car_msgs/Geo\nfloat32 lat\nduration age\n';
    const data = Buffer.from(
      '00010000 07000000 01000000 ffffffffffffff7f 0000c03f 01000000 02000000 00002040 00000000 00000000 02000000 0001 0000 00000000 ffffffffffffffff'.replaceAll(
        ' ',
        '',
      ),
      'hex',
    );
    const base = { topic: '/car/state', type: 'car_msgs/msg/State', logTimeNs: startNs };
    const { out, report } = await exported(
      [
        { ...base, sequence: 0, data },
        { ...base, sequence: 1, data: data.subarray(0, 20) },
      ],
      {},
      () => schema,
    );
    const rows = await parquetReadObjects({ file: await asyncBufferFromFile(join(out, 'car_state.parquet')) });
    expect(rows).toMatchObject([
      {
        kind: 7,
        where: [
          { lat: 1.5, age: 1_000_000_002n },
          { lat: 2.5, age: 0n },
        ],
        flags: [false, true],
      },
    ]);
    expect(report.tables[0]).toMatchObject({ rows: 1, undecoded: 1, problem: expect.stringContaining('expected') });
    expect(exportedAll(report)).toBe(false);
  });

  test('what cannot be decoded is left out with the reason', async () => {
    const { report } = await exported(
      [
        soundMessage(0),
        { topic: '/x', type: 'x_msgs/msg/X', sequence: 0, logTimeNs: startNs, data: new Uint8Array(8) },
      ],
      {},
      () => 'y_msgs/Y missing',
    );
    expect(report.skipped).toMatchObject([
      { topic: '/x', reason: expect.stringContaining('expected a definition of y_msgs/msg/Y') },
    ]);
  });

  test('rows come in groups, whatever their number', async () => {
    const many = range(1500).map((index) => ({ ...soundMessage(index), topic: '/blob', type: 'a_msgs/msg/Blob' }));
    const { out } = await exported(many, { formats: ['parquet'] }, () => 'builtin_interfaces/Time t\nuint8[] data\n');
    const metadata = await parquetMetadataAsync(await asyncBufferFromFile(join(out, 'blob.parquet')));
    expect(metadata.row_groups.length).toBeGreaterThan(1);
    expect(metadata.num_rows).toBe(1500n);
  });
});

/** Timestamps as they are stored. */
const rawTimes = { timestampFromNanoseconds: (ns: bigint) => ns };
