import { parse } from '@foxglove/rosmsg';
import { MessageReader } from '@foxglove/rosmsg2-serialization';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CdrError, type CdrMessage, cdrReader } from '../../../agent/messages/cdr-reader.ts';
import { parseDefinitions } from '../../../agent/messages/message-definition.ts';
import { encodeDiagnosticArray, encodeImpact, schemaTexts } from '../../../agent/messages/messages.ts';
import { stampAt } from '../recording/recording-fixtures.ts';

const read = (type: string, text: string, bytes: Uint8Array): CdrMessage =>
  cdrReader(parseDefinitions(type, text), type)(bytes);
const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex');
const impact = encodeImpact(
  {
    stamp: stampAt(5n),
    endNs: 1_764_000_001_000_000_007n,
    eventId: 'e-1',
    label: 'glass',
    score: 0.5,
    scores: { glass: 0.5, metal: 0.25 },
    model: { name: 'm', version: '2' },
  },
  'uma8',
);

describe('reading CDR', () => {
  test('gives what was written, times as nanoseconds', () => {
    expect(read('fender_msgs/msg/Impact', schemaTexts['fender_msgs/msg/Impact'], impact)).toEqual({
      header: { stamp: stampAt(5n).capturedAtNs, frame_id: 'uma8' },
      event_id: 'e-1',
      end: 1_764_000_001_000_000_007n,
      label: 'glass',
      score: 0.5,
      labels: ['glass', 'metal'],
      scores: Float32Array.of(0.5, 0.25),
      model_name: 'm',
      model_version: '2',
      kind: 'impact',
      azimuth: Number.NaN,
      azimuth_confidence: Number.NaN,
      pressure_change: Number.NaN,
      level: '',
      detail: '',
    });
  });

  test("agrees with Foxglove's reader on nested messages", () => {
    const type = 'diagnostic_msgs/msg/DiagnosticArray';
    const bytes = encodeDiagnosticArray(stampAt(0n), 'v-1', [
      { source: 'uma8', level: 'warn', code: 'x', message: '40 °C', cure: 'wait', values: { a: 1 } },
      { source: 'sds', level: 'ok', code: 'y', message: '', cure: '', values: {} },
    ]);
    const theirs = new MessageReader(parse(schemaTexts[type], { ros2: true })).readMessage<{ status: object[] }>(bytes);
    expect(read(type, schemaTexts[type], bytes).status).toEqual(theirs.status);
  });

  test('reads big endian, CDR 2, bounded and fixed arrays, empty messages', () => {
    const text = 'uint8 a\nfloat64 b\nint16[2] c\nint64[<=2] d\nEmpty e\nbool[] f\n===\nMSG: p/Empty\n';
    const big = hex(
      '00000000 01 00000000000000 3ff8000000000000 fffe 0003 00000001 0000000000000009 00 000000 00000002 01 00',
    );
    const two = hex('00070000 01 000000 000000000000f83f feff 0300 01000000 0900000000000000 00 000000 02000000 01 00');
    const message = { a: 1, b: 1.5, c: Int16Array.of(-2, 3), d: BigInt64Array.of(9n), e: {}, f: [true, false] };
    expect(read('p/msg/T', text, big)).toEqual(message);
    expect(read('p/msg/T', text, two)).toEqual(message);
  });

  test.each([
    ['a length behind the end', 'uint8[] a', '00010000 ffffffff', /4294967295 elements/],
    ['a text behind the end', 'string a', '00010000 ffffff7f', /2147483647 bytes at byte 8, found 0/],
    ['a fixed array behind the end', 'float64[4000000000] a', '00010000 00', /4000000000 elements/],
    ['more than a bound', 'uint8[<=2] a', '00010000 03000000 010203', /at most 2 elements, found 3/],
    ['no header', 'uint8 a', '0001', /header of 4 bytes, found 2/],
    ['parameter lists', 'uint8 a', '00030000 00', /plain CDR/],
    ['a type in itself', 'T a', '00010000 00', /one another/],
    ['wide strings', 'wstring a', '00010000 00', /wide strings/],
  ])('refuses %s', (_, text, bytes, message) => {
    const run = (): unknown => read('p/msg/T', text, hex(bytes));
    expect(run).toThrow(CdrError);
    expect(run).toThrow(message);
  });

  test('types that double at each level cost no more than their bytes', () => {
    const levels = Array.from(
      { length: 28 },
      (_, level) => `===\nMSG: p/L${level}\nL${level + 1} a\nL${level + 1} b\n`,
    );
    const text = `L0 a\n${levels.join('')}===\nMSG: p/L28\nuint8 x\n`;
    expect(() => read('p/msg/T', text, hex('00010000 0000'))).toThrow(CdrError);
  });

  test('any bytes give a message or a CdrError', () => {
    const types = Object.entries(schemaTexts).map(([type, text]) => cdrReader(parseDefinitions(type, text), type));
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((tail) => Buffer.concat([hex('00010000'), tail])),
      fc
        .tuple(fc.nat(impact.byteLength - 1), fc.nat(255))
        .map(([at, value]) => Buffer.from(impact).fill(value, at, at + 1)),
    );
    fc.assert(
      fc.property(fc.constantFrom(...types), bytes, (reader, input) => {
        try {
          reader(input);
        } catch (error) {
          expect(error).toBeInstanceOf(CdrError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
