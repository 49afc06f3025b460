import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { downmix, SlidingWindows } from '../../models/windows.ts';

describe('sliding windows', () => {
  test('are the same however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 20 }),
        (a, b, cuts) => {
          const [hop, window] = a < b ? [a, b] : [b, a];
          const windows = new SlidingWindows(window, hop);
          const seen: { start: number; samples: number[] }[] = [];
          let at = 0;
          for (const size of cuts) {
            const chunk = Float32Array.from({ length: size }, (_, i) => at + i);
            at += size;
            for (const { start, samples } of windows.push(chunk)) {
              seen.push({ start, samples: [...samples] });
            }
          }
          const count = at < window ? 0 : Math.floor((at - window) / hop) + 1;
          expect(seen.length).toBe(count);
          seen.forEach(({ start, samples }, i) => {
            expect(start).toBe(i * hop);
            expect(samples).toEqual(Array.from({ length: window }, (_, k) => i * hop + k));
          });
        },
      ),
    );
  });

  test('begin anew after a reset, and refuse a hop longer than the window', () => {
    const windows = new SlidingWindows(4, 2);
    expect([...windows.push(new Float32Array(3))]).toEqual([]);
    windows.reset();
    expect([...windows.push(new Float32Array(3))]).toEqual([]);
    expect([...windows.push(new Float32Array(1))].map(({ start }) => start)).toEqual([0]);
    expect(() => new SlidingWindows(2, 3)).toThrow(RangeError);
  });
});

test('downmixing takes the mean of the channels, full scale being one', () => {
  expect([...downmix(Int16Array.of(-32768, -32768, 16384, 0, 8192, -8192), 2)]).toEqual([-1, 0.25, 0]);
});
