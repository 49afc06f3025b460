import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { parseConfig } from '../../../agent/config/load.ts';
import { checkModelFile } from '../../../agent/detector/checked-model.ts';
import { DetectorNode } from '../../../agent/detector/detector-node.ts';
import { detectorOptions } from '../../../agent/detector/detector-options.ts';
import type { EventUpdate, Finding } from '../../../agent/impacts/impact-node.ts';
import type { AudioChunk, Clock, Diagnostic } from '../../../drivers/sample.ts';

const ROOT = join(import.meta.dirname, '../../..');
const RATE_HZ = 48_000;
const CHANNELS = 8;
const FRAMES = 4_800;
const PATIENCE = { timeout: 60_000, interval: 20 };
const stampAt = (monotonicNs: bigint) => ({
  capturedAtNs: monotonicNs,
  monotonicNs,
  bootId: 'b',
  synchronised: true,
  estimatedErrorNs: 1n,
});
const clock: Clock = { now: () => stampAt(1n), monotonicNs: () => 1n, at: stampAt };

/** Noise that no vehicle makes: every sample as loud as can be. */
function chunk(index: number): AudioChunk {
  const pcm = new Int16Array(FRAMES * CHANNELS);
  for (let i = 0; i < pcm.length; i += 1) pcm[i] = ((i + index) * 2_654_435_761) % 65_536 > 32_768 ? 30_000 : -30_000;
  const stamp = stampAt(BigInt(index) * 100_000_000n);
  return { stamp, firstFrame: BigInt(index * FRAMES), sampleRateHz: RATE_HZ, channels: CHANNELS, frames: FRAMES, pcm };
}

test('the shipped model and a candidate, killed and stopped, score every window, agree, and tell of sound they do not know', {
  timeout: 120_000,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fender-node-'));
  const text = `detector: {candidate: models/impact.int8.onnx, drift_min_windows: 10, drift_threshold: {hellinger: 0.2}}`;
  const checkedModel = await checkModelFile(join(ROOT, 'models/impact.int8.onnx'));
  const options = await detectorOptions(parseConfig(text, 'test.yaml'), folder, { programFolder: ROOT, checkedModel });
  const rows = new Map<string, Readonly<Record<string, number>>>();
  const findings: Finding[] = [];
  const updates: (EventUpdate & { readonly eventId: string })[] = [];
  const diagnostics: Diagnostic[] = [];
  const node = new DetectorNode(
    // On a busy machine the candidate would wait for the test's other processes.
    { ...options, candidate: options.candidate && { ...options.candidate, niceness: 0 }, measureAfterMs: 3_600_000 },
    {
      clock,
      appendTelemetry: (stream, _stamp, values) => rows.set(stream, values),
      report: (diagnostic) => diagnostics.push(diagnostic),
      impact: () => {},
      found: (finding) => `event-${findings.push(finding)}`,
      update: (eventId, update) => updates.push({ eventId, ...update }),
    },
  );
  node.start();
  let index = 0;
  const hear = async (count: number): Promise<void> => {
    for (let pushed = 0; pushed < count; pushed += 1) {
      node.push(chunk(index));
      index += 1;
    }
    await vi.waitFor(() => expect(node.statistics().processedChunks).toBe(index), PATIENCE);
  };
  try {
    await hear(1);
    await vi.waitFor(() => expect(node.statistics().shadow?.model).not.toBeNull(), PATIENCE);
    for (const signal of ['SIGKILL', 'SIGSTOP', null] as const) {
      await hear(20);
      if (signal !== null) process.kill(node.statistics().pid ?? 0, signal);
      await hear(7);
    }
    const { scoredWindows, missedWindows, restartsBy, choice } = node.statistics();
    expect({ scoredWindows, missedWindows }).toEqual({
      scoredWindows: Math.floor((index - 10) / 2.5) + 1,
      missedWindows: 0,
    });
    expect(restartsBy).toEqual({ died: 1, hung: 1, memory: 0 });
    expect(choice.measured).toBeNull();
  } finally {
    await node.stop(20_000);
    await rm(folder, { recursive: true });
  }
  // The same model twice: it agrees with itself in all that both scored.
  expect(rows.get('detector/shadow')).toMatchObject({ agreement_ratio: 1, difference: 0, events_active_only: 0 });
  expect(rows.get('detector/shadow')?.windows).toBeGreaterThan(20);
  expect(rows.get('detector/shadow')?.candidate_p50_ms).toBeGreaterThan(0);
  expect(rows.get('detector/drift')).toMatchObject({ judged: 1, drifting: 1 });
  expect(rows.get('detector/drift')?.rms_dbfs_hellinger).toBeGreaterThan(0.5);
  const counts = Object.values(rows.get('detector/rms_dbfs') ?? {});
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(rows.get('detector/drift')?.windows);
  expect(findings).toMatchObject([{ kind: 'drift', label: 'model_drift', ongoing: true, model: { name: 'impact' } }]);
  // Nobody else would end the event; what drifted is still said.
  expect(updates).toMatchObject([{ eventId: 'event-1', ongoing: false, durationS: 0 }]);
  expect(updates[0]?.detail).toBe(`${findings[0]?.detail}; over: the agent ended`);
  expect(diagnostics.filter(({ source }) => source === 'drift')).toMatchObject([{ level: 'warn', code: 'drift' }]);
});
