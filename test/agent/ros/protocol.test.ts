import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeHeader, encodeJson, type Frame, FrameReader, MAX_PAYLOAD_BYTES } from '../../../agent/ros/protocol.ts';

describe('frames between the agent and its ROS process', () => {
  test('arrive whole and in order, however the stream is cut', () => {
    const frame = fc.record({
      kind: fc.nat(20),
      channel: fc.nat(65_535),
      timeNs: fc.bigInt({ min: 0n, max: 2n ** 62n }),
      payload: fc.uint8Array({ maxLength: 300 }),
    });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 100 })), (frames, cuts) => {
        const stream = Buffer.concat(
          frames.flatMap(({ kind, channel, timeNs, payload }) => [
            encodeHeader(kind, channel, payload.length, timeNs),
            payload,
          ]),
        );
        const reader = new FrameReader();
        const seen: Frame[] = [];
        let offset = 0;
        for (let cut = 0; offset < stream.length; cut += 1) {
          const length = cuts[cut % Math.max(1, cuts.length)] ?? stream.length;
          // A reused buffer, as the socket has: frames must not keep it.
          const piece = Uint8Array.prototype.slice.call(stream, offset, offset + length);
          reader.read(piece, (each) => seen.push(each));
          piece.fill(0xee);
          offset += length;
        }
        expect(seen.map(({ payload, ...rest }) => ({ ...rest, payload: [...payload] }))).toEqual(
          frames.map(({ payload, ...rest }) => ({ ...rest, payload: [...payload] })),
        );
      }),
    );
  });

  test('of impossible size are refused before memory is taken for them', () => {
    const header = encodeHeader(17, 0, MAX_PAYLOAD_BYTES + 1, 0n);
    expect(() => new FrameReader().read(header, () => {})).toThrow(/at most 64000000 bytes, found 64000001/);
  });

  test('of JSON carry it', () => {
    const seen: string[] = [];
    new FrameReader().read(encodeJson(16, { kind: 'well', subject: 'ä' }), ({ payload }) => seen.push(`${payload}`));
    expect(seen).toEqual(['{"kind":"well","subject":"ä"}']);
  });
});
