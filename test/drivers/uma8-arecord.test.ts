/** The array read through the real arecord from a real ALSA device: faithful sound, and a return from everything that goes wrong. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AudioChunk, Diagnostic } from '../../drivers/sample.ts';
import { openArecord } from '../../drivers/uma8/arecord.ts';
import { Uma8Device, type Uma8Options } from '../../drivers/uma8/device.ts';
import { renderDrive } from '../../drivers/uma8/generated/render-to-wav.ts';
import { missingForPulse, type PulseFixture, startPulse } from './pulse-fixture.ts';
import { testClock } from './test-clock.ts';

const missing = process.env.CI ? null : missingForPulse();

/** A device that runs in the background, and what it has given so far. */
function listen(device: string, options: Partial<Uma8Options> = {}) {
  const chunks: AudioChunk[] = [];
  const diagnostics: Diagnostic[] = [];
  const stop = new AbortController();
  const open = openArecord({ device, sampleRateHz: 48_000, channels: 8 });
  const sink = { sample: (c: AudioChunk) => chunks.push(c), diagnostic: (d: Diagnostic) => diagnostics.push(d) };
  const running = new Uma8Device(options, { open, clock: testClock() }, sink).run(stop.signal);
  const ended = async () => {
    stop.abort();
    await running;
  };
  return { chunks, diagnostics, ended };
}

async function until(condition: () => boolean, what: string, seconds = 20): Promise<void> {
  for (let i = 0; i < seconds * 50; i++) {
    if (condition()) return;
    await delay(20);
  }
  throw new Error(`waited ${seconds} s in vain for ${what}`);
}

/** All frames of the chunks, one after the other. */
function joined(chunks: readonly AudioChunk[]): Int16Array {
  const all = new Int16Array(chunks.reduce((sum, c) => sum + c.pcm.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk.pcm, at);
    at += chunk.pcm.length;
  }
  return all;
}

/** The pids of this process's arecord children. */
function arecordPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        const [, comm, , parent] = /^\d+ \((.*)\) (\S) (\d+)/.exec(stat) ?? [];
        return comm === 'arecord' && Number(parent) === process.pid;
      } catch {
        return false;
      }
    });
}

describe.skipIf(missing !== null)(
  `the array through the real arecord${missing ? ` (missing: ${missing})` : ''}`,
  () => {
    let pulse: PulseFixture;

    beforeAll(async () => {
      pulse = await startPulse();
      Object.assign(process.env, pulse.env);
    });

    afterAll(async () => {
      await pulse?.stop();
      delete process.env.ALSA_CONFIG_PATH;
    });

    it('brings all eight channels of what is played, sample for sample', async () => {
      const blocks = [...renderDrive({ seed: 11, seconds: 3, background: 'drive', eventsPerMinute: 60 })];
      const played = new Int16Array(blocks.flatMap((block) => [...block.pcm]));
      // A second of the middle must appear whole and untouched. A busy machine can make PulseAudio itself drop out: it gets three chances.
      const needle = Buffer.from(played.buffer, 48_000 * 16 * 0.5, 48_000 * 16);
      const { chunks, diagnostics, ended } = listen(pulse.device);
      await until(() => chunks.length > 5, 'sound');
      let found = -1;
      for (let attempt = 0; attempt < 3 && found < 0; attempt++) {
        const before = chunks.length;
        await pulse.play(new Uint8Array(played.buffer));
        const soFar = chunks.length;
        await until(() => chunks.length > soFar + 5, 'the end of the sound');
        found = Buffer.from(joined(chunks.slice(before)).buffer).indexOf(needle);
      }
      await ended();
      expect(found).toBeGreaterThan(0);
      expect(chunks.every((chunk) => chunk.pcm.length === chunk.frames * 8)).toBe(true);
      expect(chunks.slice(0, -1).every((chunk) => chunk.frames === 4800)).toBe(true);
      expect(diagnostics[0]).toMatchObject({ source: 'uma8', level: 'ok', code: 'ok' });
    });

    it('stamps chunks evenly, by counting frames and not by their arrival', async () => {
      const { chunks, ended } = listen(pulse.device);
      await until(() => chunks.length > 50, 'five seconds of sound');
      await ended();
      const settled = chunks.slice(35, 50).map((chunk) => Number(chunk.stamp.monotonicNs));
      const steps = settled.slice(1).map((ns, i) => (ns - (settled[i] as number)) / 1e6);
      steps.sort((a, b) => a - b);
      expect(steps[steps.length >> 1]).toBeCloseTo(100, 0);
    });

    it('starts arecord again when it is killed, and measures what was lost', async () => {
      const { chunks, diagnostics, ended } = listen(pulse.device);
      await until(() => chunks.length > 5, 'sound');
      for (const pid of arecordPids()) process.kill(pid, 'SIGKILL');
      await until(() => chunks.some((chunk, i) => i > 5 && chunk.firstFrame === 0n), 'a second stream');
      await until(() => diagnostics.some((d) => d.code === 'gap'), 'the gap');
      await ended();
      expect(diagnostics.map((d) => d.code)).toEqual(expect.arrayContaining(['ok', 'exited', 'gap']));
      const gap = diagnostics.find((d) => d.code === 'gap');
      expect(gap?.values.lost_frames).toBeGreaterThan(0);
      expect(gap?.values.restarts).toBe(1);
    });

    it('replaces an arecord that hangs', async () => {
      const { chunks, diagnostics, ended } = listen(pulse.device);
      await until(() => chunks.length > 5, 'sound');
      for (const pid of arecordPids()) process.kill(pid, 'SIGSTOP');
      await until(() => chunks.some((chunk, i) => i > 5 && chunk.firstFrame === 0n), 'a second stream');
      await ended();
      expect(diagnostics.find((d) => d.code === 'stalled')).toMatchObject({ level: 'stale' });
      expect(arecordPids()).toEqual([]);
    });

    it('says which device is missing and what to do, and is back after its return', async () => {
      await pulse.unplug();
      const { chunks, diagnostics, ended } = listen(pulse.device);
      await until(() => diagnostics.length > 0, 'a diagnostic');
      expect(diagnostics[0]).toMatchObject({ level: 'error', code: 'device-missing' });
      expect(diagnostics[0]?.message).toContain('array');
      expect(diagnostics[0]?.cure).toContain('arecord -L');
      await delay(3000); // long enough for the backoff to be at its longest
      await pulse.plug();
      const returned = performance.now();
      await until(() => chunks.length > 0, 'sound');
      const seconds = (performance.now() - returned) / 1000;
      await ended();
      console.log(`sound ${seconds.toFixed(2)} s after the device's return`);
      expect(seconds).toBeLessThan(5);
      expect(diagnostics.at(-1)).toMatchObject({ level: 'ok' });
    });

    it('reports an unknown device', async () => {
      const { diagnostics, ended } = listen('no-such-device');
      await until(() => diagnostics.length > 0, 'a diagnostic');
      await ended();
      expect(diagnostics[0]).toMatchObject({ level: 'error', code: 'device-missing' });
    });

    it('reports that arecord itself is missing', async () => {
      const path = process.env.PATH;
      process.env.PATH = '/nonexistent';
      try {
        const { diagnostics, ended } = listen(pulse.device);
        await until(() => diagnostics.length > 0, 'a diagnostic');
        await ended();
        expect(diagnostics[0]).toMatchObject({ level: 'error', code: 'arecord-missing' });
        expect(diagnostics[0]?.cure).toContain('alsa-utils');
      } finally {
        process.env.PATH = path;
      }
    });
  },
);
