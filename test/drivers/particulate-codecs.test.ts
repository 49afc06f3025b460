import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as plantower from '../../drivers/plantower/codec.ts';
import type { ParticulateSample, Stamp } from '../../drivers/sample.ts';
import * as sds011 from '../../drivers/sds011/codec.ts';
import type { ProtocolOutput, SerialProtocol } from '../../drivers/serial-device.ts';
import * as sps30 from '../../drivers/sps30/codec.ts';
import { testClock } from './test-clock.ts';

const stamp: Stamp = testClock().now();
const word = fc.integer({ min: 0, max: 0xffff });
const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

/** Feeds `bytes` cut at `cuts` and returns all outputs. */
function feed(protocol: SerialProtocol<ParticulateSample>, bytes: Uint8Array, cuts: readonly number[]) {
  const outputs: ProtocolOutput<ParticulateSample>[] = [];
  let start = 0;
  for (const cut of [...cuts.map((c) => c % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    outputs.push(...protocol.receive(bytes.slice(start, cut), stamp));
    start = cut;
  }
  return outputs;
}

const samples = (outputs: readonly ProtocolOutput<ParticulateSample>[]) =>
  outputs.flatMap((output) => (output.kind === 'sample' ? [output.sample] : []));

interface Language {
  readonly name: string;
  protocol(): SerialProtocol<ParticulateSample>;
  /** Any measurement frame. */
  readonly frame: fc.Arbitrary<Uint8Array>;
  /** A byte by which garbage could pass for a frame's beginning. */
  readonly first: number;
  decode(frame: Uint8Array): ParticulateSample;
}

const words3 = fc.tuple(word, word, word);
const languages: Language[] = [
  {
    name: 'plantower',
    protocol: () => new plantower.PlantowerProtocol('active'),
    first: 0x42,
    frame: fc
      .tuple(words3, words3, fc.tuple(word, word, word, word, word, word), fc.integer({ min: 0, max: 255 }))
      .map(([standardUgM3, atmosphericUgM3, counts, version]) =>
        plantower.encodeMeasurement({ standardUgM3, atmosphericUgM3, counts, version, errorCode: 0 }),
      ),
    decode: (frame) => plantower.decodeMeasurement(frame, stamp),
  },
  {
    name: 'sds011',
    protocol: () => new sds011.Sds011Protocol('active'),
    first: 0xaa,
    frame: fc.tuple(word, word, word).map(([a, b, id]) => sds011.encodeReport(a / 10, b / 10, id)),
    decode: (frame) => sds011.decodeReport(frame, stamp),
  },
  {
    name: 'sps30',
    protocol: () => new sps30.Sps30Protocol(),
    first: 0x7e,
    frame: fc
      .array(fc.float({ noNaN: true }), { minLength: 10, maxLength: 10 })
      .map((values) => sps30.encodeShdlc({ command: sps30.SPS30_READ, state: 0, data: sps30.encodeReading(values) })),
    decode: (frame) => {
      const [result] = new sps30.ShdlcReader(true).push(frame);
      if (!result || !('frame' in result)) throw new Error('the test frame is not valid');
      return sps30.decodeReading(result.frame.data, stamp);
    },
  },
];

describe.each(languages)('$name codec', ({ protocol, frame, first, decode }) => {
  const noise = fc.uint8Array({ maxLength: 60 });
  const lookalike = fc
    .array(fc.constantFrom(first, 0x4d, 0xc0, 0, 28, 4, 0x7d), { maxLength: 40 })
    .map((a) => Uint8Array.from(a));
  const cuts = fc.array(fc.nat({ max: 2000 }), { maxLength: 12 });

  test('never throws on any bytes, cut anywhere, and reads them alike however they are cut', () => {
    fc.assert(
      fc.property(fc.oneof(noise, lookalike), cuts, (bytes, where) => {
        expect(feed(protocol(), bytes, where)).toEqual(feed(protocol(), bytes, []));
      }),
    );
  });

  test('finds every valid frame between garbage, half frames and frames with a wrong checksum', () => {
    const spoilt = fc.tuple(frame, fc.nat()).map(([bytes, n]) => bytes.slice(0, 1 + (n % (bytes.length - 1))));
    const wrong = frame.map((bytes) => bytes.map((byte, i) => (i === bytes.length - 3 ? byte ^ 0x5a : byte)));
    const between = fc.oneof(fc.constant(new Uint8Array(0)), noise, lookalike, spoilt, wrong);
    fc.assert(
      fc.property(fc.array(fc.tuple(between, frame), { minLength: 1, maxLength: 5 }), cuts, (parts, where) => {
        const bytes = Uint8Array.from(parts.flatMap(([garbage, valid]) => [...garbage, ...valid]));
        const found = samples(feed(protocol(), bytes, where)).map((sample) => JSON.stringify(sample, bigintText));
        for (const [, valid] of parts) expect(found).toContain(JSON.stringify(decode(valid), bigintText));
      }),
      { numRuns: 300 },
    );
  });

  test('counts the bytes that belonged to no frame', () => {
    fc.assert(
      fc.property(frame, (valid) => {
        const reader = protocol();
        feed(reader, Uint8Array.of(1, 2, 3, ...valid, ...valid), [7]);
        expect(reader.discardedBytes).toBe(3);
      }),
    );
  });
});

const bigintText = (_: string, value: unknown) => (typeof value === 'bigint' ? `${value}` : value);

describe('frames of the data sheets', () => {
  test('Plantower commands are those of appendix II', () => {
    expect(plantower.encodeCommand(0xe2, 0)).toEqual(hex('42 4d e2 00 00 01 71'));
    expect(plantower.encodeCommand(0xe1, 0)).toEqual(hex('42 4d e1 00 00 01 70'));
    expect(plantower.encodeCommand(0xe4, 1)).toEqual(hex('42 4d e4 00 01 01 74'));
  });

  test('a Plantower frame gives standard and atmospheric values and counts per cm³', () => {
    const frame = hex('424d001c 0005 0008 000a 0004 0007 0009 0384 00fa 0032 0008 0002 0001 9700 0367');
    const sum = frame.subarray(0, 30).reduce((a, b) => a + b, 0);
    frame.set([sum >> 8, sum & 0xff], 30);
    const [sample] = samples(new plantower.PlantowerProtocol('active').receive(frame, stamp));
    expect(sample).toMatchObject({ pm1UgM3: 4, pm25UgM3: 7, pm10UgM3: 9, standardUgM3: { pm1: 5, pm25: 8, pm10: 10 } });
    expect(sample?.countsPerCm3).toMatchObject({ '>0.3': 9, '>0.5': 2.5, '>10': 0.01 });
  });

  test('the SDS011 report and query of protocol V1.3', () => {
    const [sample] = samples(new sds011.Sds011Protocol('active').receive(hex('aac0d4043a0aa1601dab'), stamp));
    expect(sample).toMatchObject({ pm25UgM3: 123.6, pm10UgM3: 261.8 });
    expect(sds011.encodeCommand(4, 0, 0)).toEqual(hex('aab404000000000000000000000000ffff02ab'));
  });

  test('the SPS30 start and read frames of section 5.3, and stuffing of section 5.2', () => {
    expect(sps30.encodeStart()).toEqual(hex('7e 00 00 02 01 03 f9 7e'));
    expect(new sps30.Sps30Protocol().poll()).toEqual(hex('7e 00 03 00 fc 7e'));
    const stuffed = sps30.encodeShdlc({ command: 0x80, state: null, data: Uint8Array.of(0x7e, 0x7d, 0x11, 0x13) });
    expect(Buffer.from(stuffed).toString('hex')).toContain('7d5e7d5d7d317d33');
  });

  test('an idle SPS30 that is asked to read is started', () => {
    const answer = sps30.encodeShdlc({
      command: sps30.SPS30_READ,
      state: sps30.SPS30_WRONG_STATE,
      data: new Uint8Array(0),
    });
    expect(new sps30.Sps30Protocol().receive(answer, stamp)).toEqual([{ kind: 'send', bytes: sps30.encodeStart() }]);
  });

  test('an error that an SPS30 reports of its fan or laser is told beside the reading', () => {
    const data = sps30.encodeReading([1, 2, 3, 4, 5, 6, 7, 8, 9, 1]);
    const answer = sps30.encodeShdlc({ command: sps30.SPS30_READ, state: 0x80, data });
    const outputs = new sps30.Sps30Protocol().receive(answer, stamp);
    expect(outputs).toMatchObject([{ kind: 'sample' }, { kind: 'fault', code: 'device-error' }]);
  });
});
