import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { joinCrc32 } from '../../../agent/bag/crc-join.ts';
import { readStream } from '../recording/recording-fixtures.ts';
import { makeSegment } from './torn-segment.ts';

test('the CRC of two parts is joined from theirs', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), fc.uint8Array({ maxLength: 3000 }), (first, last) => {
      const whole = crc32(Buffer.concat([first, last]));
      expect(joinCrc32(crc32(first), crc32(last), last.byteLength)).toBe(whole);
    }),
  );
});

test("a bag's data section has the CRC of its bytes, although no chunk is summed up twice", () => {
  const { bytes } = makeSegment(7, 40, 2);
  const end = readStream(bytes).find((record) => record.type === 'DataEnd');
  const dataBytes = bytes.lastIndexOf(Buffer.from([0x0f, 4, 0, 0, 0, 0, 0, 0, 0]));
  expect(end?.type === 'DataEnd' && end.dataSectionCrc).toBe(crc32(bytes.subarray(0, dataBytes)));
});
