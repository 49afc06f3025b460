/**
 * A detector process whose hearing is a threshold: it speaks the real protocol, so the supervisor is tested with a real process
 * and without a model. A chunk that begins with 12345 kills it. The model late.onnx tells of an impact only 500 ms after it.
 */
import type { HeardImpact } from '../../../agent/detector/protocol.ts';
import { serveDetector } from '../../../agent/detector/serve.ts';

const LOUD = 20_000;
const DEADLY = 12_345;

const LATE_NS = 500_000_000n;

const code = await serveDetector(async (setup) => {
  if (setup.modelPath === 'broken.onnx') throw new Error('expected a model, found a broken file');
  const lateNs = setup.modelPath === 'late.onnx' ? LATE_NS : 0n;
  const onsets: bigint[] = [];
  return {
    model: { name: 'threshold', version: '1.0.0' },
    async push(pcm, firstSampleNs): Promise<HeardImpact[]> {
      if (pcm[0] === DEADLY) process.exit(3);
      if (pcm.some((value) => value > LOUD)) onsets.push(firstSampleNs);
      const onsetNs = onsets[0];
      if (onsetNs === undefined || firstSampleNs < onsetNs + lateNs) return [];
      onsets.shift();
      const endNs = onsetNs + 50_000_000n;
      return [{ onsetNs, endNs, label: 'body_impact', score: 0.9, scores: { body_impact: 0.9 } }];
    },
    flush: async () => [],
  };
});
process.exit(code);
