/** The detector as the agent runs it, the real process with the shipped model: killed, stopped and swapped while it listens. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { parseConfig } from '../../../agent/config/load.ts';
import { detectorOptions } from '../../../agent/detector/detector-options.ts';
import { DetectorSupervisor } from '../../../agent/detector/supervisor.ts';

const ROOT = join(import.meta.dirname, '../../..');
const MODEL = join(ROOT, 'models/impact.int8.onnx');
const FRAMES = 4_800;
const CHANNELS = 8;
/** Promised are 2 s (`npm run bench -- --only detector` measures them); a test has to bear a busy machine. */
const HEARS_AGAIN_WITHIN_MS = 10_000;
const SWAPS = 10;
/** A loaded model takes nearly 4 MB of a process: kept at each swap, they would be nearly twice this. */
const GROWN_BYTES = 20e6;

let end: () => Promise<void> = async () => {};
afterEach(() => end());

/** A detector on faint noise in real time, once it hears. */
async function listen() {
  const config = parseConfig('detector: {hang_timeout_s: 0.6}', 'test.yaml');
  const { active } = await detectorOptions(config, '/nowhere', { programFolder: ROOT, checkedModel: null });
  let windows = 0;
  const supervisor = new DetectorSupervisor(active, {
    impact: () => {},
    diagnostic: () => {},
    windows: (scored) => {
      windows += scored.length;
    },
  });
  supervisor.start();
  const pcm = Int16Array.from({ length: FRAMES * CHANNELS }, (_, i) => ((i * 7_919) % 601) - 300);
  const startNs = process.hrtime.bigint();
  let pushed = 0;
  const timer = setInterval(() => {
    for (; process.hrtime.bigint() - startNs >= BigInt(pushed + 1) * 100_000_000n; pushed += 1) {
      const monotonicNs = startNs + BigInt(pushed) * 100_000_000n;
      const stamp = { capturedAtNs: monotonicNs, monotonicNs, bootId: 'b', synchronised: true, estimatedErrorNs: 1n };
      const firstFrame = BigInt(pushed * FRAMES);
      supervisor.push({ stamp, firstFrame, sampleRateHz: 48_000, channels: CHANNELS, frames: FRAMES, pcm });
    }
  }, 20);
  end = async () => {
    clearInterval(timer);
    await supervisor.stop(1_000);
  };
  const nextWindows = async (timeout: number): Promise<void> => {
    const before = windows;
    await vi.waitFor(() => expect(windows).toBeGreaterThan(before), { timeout, interval: 10 });
  };
  await nextWindows(60_000);
  return { supervisor, nextWindows, pid: () => supervisor.statistics().pid ?? 0 };
}

function residentBytes(pid: number): number {
  return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

describe('the detector process with the shipped model', () => {
  it.each(['SIGKILL', 'SIGSTOP'] as const)(
    'hears new windows again soon after a %s',
    async (signal) => {
      const { supervisor, nextWindows, pid } = await listen();
      const before = pid();
      const startedMs = performance.now();
      process.kill(before, signal);
      await vi.waitFor(() => expect([before, 0]).not.toContain(pid()), { timeout: 60_000, interval: 10 });
      await nextWindows(60_000);
      const tookMs = performance.now() - startedMs;
      console.log(`heard again ${Math.round(tookMs)} ms after a ${signal}`);
      expect(tookMs).toBeLessThan(HEARS_AGAIN_WITHIN_MS);
      expect(supervisor.statistics().restarts).toBeGreaterThan(0);
    },
    150_000,
  );

  it('is not larger after many swaps, and leaves no process of one behind', async () => {
    const { supervisor, nextWindows, pid } = await listen();
    const swapTo = async (modelPath: string): Promise<void> => {
      await supervisor.swap({ modelPath });
      await nextWindows(60_000);
    };
    // As measured later: a process that has taken over and listened for a moment.
    await swapTo(MODEL);
    await sleep(1_000);
    const before = residentBytes(pid());
    const pids = new Set([pid()]);
    for (let swap = 0; swap < SWAPS; swap += 1) {
      await swapTo(MODEL);
      pids.add(pid());
    }
    await sleep(1_000);
    const after = residentBytes(pid());
    console.log(
      `resident before ${SWAPS} swaps ${Math.round(before / 1e6)} MB, after them ${Math.round(after / 1e6)} MB`,
    );
    expect(after - before).toBeLessThan(GROWN_BYTES);
    expect(supervisor.statistics().swaps).toBe(SWAPS + 1);
    pids.delete(pid());
    for (const old of pids) {
      await vi.waitFor(() => expect(() => process.kill(old, 0)).toThrow(/ESRCH/), { timeout: 10_000, interval: 50 });
    }
  }, 300_000);
});
