/**
 * A detector process whose hearing is a threshold: it speaks the real protocol, so the supervisor is tested with a real process
 * and without a model. A chunk of 100 ms is a window. One that begins with 12345 kills it, one with 12346 makes it loop for ever. The
 * model late.onnx tells of an impact only 500 ms after it, leaky.onnx keeps 1.5 MB a chunk, slow.onnx takes 300 ms for one,
 * other.onnx has another version, liar.onnx reports nonsense.
 */
import { writeSync } from 'node:fs';
import type { HeardImpact } from '../../../agent/detector/protocol.ts';
import { SOCKET_FD, serveDetector } from '../../../agent/detector/serve.ts';
import type { ScoredWindow } from '../../../agent/detector/window-reports.ts';

const LOUD = 20_000;
const DEADLY = 12_345;
const ENDLESS = 12_346;
const CHUNK_NS = 100_000_000n;

/** What no detector process says: each line is ignored. */
const NONSENSE = [
  'no JSON',
  '{"kind":"progress","done":-5}',
  '{"kind":"progress","done":1e300}',
  '{"kind":"impact","onset_ns":"x","end_ns":"1","label":"l","score":1,"scores":{}}',
  '{"kind":"impact","onset_ns":"1","end_ns":"1","label":"l","score":1,"scores":{},"direction":{"azimuthDeg":"x"}}',
  '{"kind":"summary","windows":1,"histograms":[{"feature":"f","edges":[1,0],"counts":[1]}]}',
  '{"kind":"constructor"}',
  '',
].join('\n');

const LATE_NS = 500_000_000n;

const code = await serveDetector(async (setup) => {
  if (setup.modelPath === 'broken.onnx') throw new Error('expected a model, found a broken file');
  const lateNs = setup.modelPath === 'late.onnx' ? LATE_NS : 0n;
  const onsets: bigint[] = [];
  const kept: Buffer[] = [];
  let windows: ScoredWindow[] = [];
  const version = setup.modelPath === 'other.onnx' ? '2.0.0' : '1.0.0';
  return {
    about: { model: { name: 'threshold', version }, window_s: 0.1, hop_s: 0.1, drift_reference: { histograms: [] } },
    async push(pcm, firstSampleNs): Promise<HeardImpact[]> {
      if (pcm[0] === DEADLY) process.exit(3);
      while (pcm[0] === ENDLESS);
      if (setup.modelPath === 'slow.onnx') await new Promise((resolve) => setTimeout(resolve, 300));
      if (setup.modelPath === 'liar.onnx') writeSync(SOCKET_FD, NONSENSE);
      if (setup.modelPath === 'leaky.onnx') kept.push(Buffer.alloc(1.5e6, 1));
      const sureness = Math.min(1, Math.abs(pcm[0] ?? 0) / 32_768);
      windows.push({ end_ns: String(firstSampleNs + CHUNK_NS), sureness, share: 2 * sureness, run_ms: 1 });
      if (pcm.some((value) => value > LOUD)) onsets.push(firstSampleNs);
      const onsetNs = onsets[0];
      if (onsetNs === undefined || firstSampleNs < onsetNs + lateNs) return [];
      onsets.shift();
      const endNs = onsetNs + 50_000_000n;
      return [{ onsetNs, endNs, label: 'body_impact', score: 0.9, scores: { body_impact: 0.9 } }];
    },
    flush: async () => [],
    takeWindows: () => {
      const taken = windows;
      windows = [];
      return taken;
    },
    takeSummary: () => null,
  };
});
process.exit(code);
