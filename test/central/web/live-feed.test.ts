/** The live feed without a browser: events survive any cutting of the stream, and a lost feed is opened again. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createEventStreamDecoder } from '../../../central/web/src/api/event-stream.ts';
import { withSample } from '../../../central/web/src/api/live-bridge.ts';
import { LiveFeed } from '../../../central/web/src/api/live-feed.ts';
import { LiveStore } from '../../../central/web/src/api/live-store.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('the event stream decoder', () => {
  it('finds every event, wherever the stream is cut and however lines end', () => {
    const event = fc.record({
      name: fc.constantFrom('sample', 'impact', 'message'),
      data: fc.array(
        fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(/[\r\n]/g, ' ')),
        { minLength: 1, maxLength: 3 },
      ),
      end: fc.constantFrom('\n', '\r\n', '\r'),
      comment: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 6 }), fc.array(fc.nat(400), { maxLength: 12 }), (events, cuts) => {
        let text = '';
        for (const { name, data, end, comment } of events) {
          if (comment) text += `: alive${end}`;
          text += `event: ${name}${end}${data.map((line) => `data: ${line}${end}`).join('')}${end}`;
        }
        // A last carriage return waits for its second half; any further byte settles it.
        const stream = bytes(`${text}:`);
        const decode = createEventStreamDecoder();
        const places = [...cuts.map((cut) => Math.min(cut, stream.length)), 0, stream.length].toSorted((a, b) => a - b);
        const found = places.slice(1).flatMap((end, index) => decode(stream.subarray(places[index], end)));
        expect(found).toEqual(events.map(({ name, data }) => ({ name, data: data.join('\n') })));
      }),
    );
  });

  it('never throws on any bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), (pieces) => {
        const decode = createEventStreamDecoder();
        for (const piece of pieces) decode(piece);
      }),
    );
  });

  it('gives up an event without end instead of keeping all of it', () => {
    const decode = createEventStreamDecoder();
    const piece = bytes(`data: ${'x'.repeat(100_000)}\n`);
    for (let count = 0; count < 50; count += 1) expect(decode(piece)).toEqual([]);
    expect(decode(bytes('\n')).every(({ data }) => data.length < 2_000_000)).toBe(true);
    expect(decode(bytes('data: fine\n\n'))).toEqual([{ name: 'message', data: 'fine' }]);
  });
});

describe('the live feed', () => {
  it('opens again after the stream ends or fails, and says so once it works', async () => {
    const ended = new AbortController();
    const states: string[] = [];
    const heard: string[] = [];
    let opened = 0;
    const feed = new LiveFeed(async () => {
      opened += 1;
      if (opened === 2) throw new Error('expected by the test');
      return new ReadableStream({
        start(controller) {
          controller.enqueue(bytes(`data: ${opened}\n\n`));
          if (opened === 1) controller.close();
        },
      });
    });
    let reopened = 0;
    feed.watchState(() => states.push(feed.state));
    feed.listen({
      event: ({ data }) => {
        heard.push(data);
        if (data === '3') ended.abort();
      },
      reopened: () => {
        reopened += 1;
      },
    });
    const run = feed.run(ended.signal);
    await expect.poll(() => heard, { timeout: 10_000 }).toEqual(['1', '3']);
    expect(states).toEqual(['open', 'lost', 'open']);
    expect(reopened).toBe(1);
    // The third stream stays open; the run ends when its reader is told to.
    void run;
  });
});

describe('what the live feed brought', () => {
  it('is bounded, in order, and free of late samples', () => {
    const store = new LiveStore();
    const sample = (t: number, value: number) => ({
      vehicle: 'van-01',
      stream: 'bme680/environment',
      captured_at: new Date(t).toISOString(),
      clock: 'synchronised' as const,
      values: { temperature_c: value },
    });
    for (let second = 1; second <= 1_500; second += 1) store.addSample(sample(second * 1000, second));
    store.addSample(sample(500_000, -1));
    const points = store.points('van-01', 'bme680/environment');
    expect(points).toHaveLength(1_200);
    expect(points.at(-1)).toEqual({ t: 1_500_000, values: { temperature_c: 1_500 } });
    expect(points.every((point, index) => index === 0 || point.t > (points[index - 1]?.t ?? 0))).toBe(true);
  });

  it('replaces the newest values of a stream, but not by older ones', () => {
    const clock = 'synchronised' as const;
    const streams = [
      { stream: 'a', captured_at: '2026-01-01T00:00:10.000Z', captured_at_ns: '1', clock, values: { x: 1, y: 2 } },
    ];
    const newer = { vehicle: 'v', stream: 'a', captured_at: '2026-01-01T00:00:11.000Z', clock, values: { x: 5 } };
    const older = { ...newer, captured_at: '2026-01-01T00:00:09.000Z' };
    expect(withSample(streams, newer)[0]).toMatchObject({
      values: { x: 5, y: 2 },
      captured_at_ns: '1767225611000000000',
    });
    expect(withSample(streams, older)).toBe(streams);
    expect(withSample(streams, { ...newer, stream: 'b' })).toHaveLength(2);
  });
});
