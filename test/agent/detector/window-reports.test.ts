import { expect, test } from 'vitest';
import { LineReader } from '../../../agent/detector/protocol.ts';
import { parseReport } from '../../../agent/detector/window-reports.ts';

test('the largest reference that a description may have is heard whole, a longer line is dropped', () => {
  const edges = Array.from({ length: 257 }, (_, i) => i / 3);
  const counts = edges.slice(1).map(() => 123_456);
  const histograms = Array.from({ length: 128 }, (_, i) => ({ feature: `score:label-${i}`, edges, counts }));
  const model = { name: 'large', version: '1.0.0' };
  const ready = { kind: 'ready', model, window_s: 1, hop_s: 0.25, drift_reference: { histograms } };
  const text = `${JSON.stringify(ready)}\n`;
  const reader = new LineReader();
  const lines: string[] = [];
  for (let at = 0; at < text.length; at += 65_536) lines.push(...reader.read(text.slice(at, at + 65_536)));
  expect(lines.map(parseReport)).toEqual([ready]);
  expect(reader.read('a'.repeat(2_000_001))).toEqual([]);
  expect(reader.read('b\n')).toEqual(['b']);
});
