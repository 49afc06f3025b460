import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { missingForPulse, type PulseFixture, startPulse } from '../drivers/pulse-fixture.ts';
import { type CentralPlace, type FenderProcess, freePort, get, startAgent, startCentral, until } from './processes.ts';
import {
  CHANNELS,
  channelOf,
  correlationAt,
  findLag,
  type Mix,
  mixImpacts,
  realClips,
  wavSamples,
} from './real-sound.ts';

const CHROMIUM = '/usr/bin/chromium';
const VEHICLE = 'e2e-1';
const missing = [
  missingForPulse(),
  existsSync(CHROMIUM) ? null : 'chromium',
  spawnSync('sox', ['--version']).status === 0 ? null : 'sox',
].filter((name) => name !== null);
const why = [...missing, ...(realClips ? [] : ['the real clips of shared/data/esc50'])].join(', ');
const skip = realClips === null || (missing.length > 0 && !process.env.CI);

interface Event {
  id: string;
  label: string;
  score: number;
  captured_at_ns: string;
  clip: { state: string; start_at: string } | null;
}

describe.skipIf(skip)(
  `real impacts through the real arecord to the dashboard${why ? ` (skipped: no ${why})` : ''}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'fender-e2e-'));
    let pulse: PulseFixture;
    let central: FenderProcess;
    let agent: FenderProcess;
    let browser: Browser;
    let place: CentralPlace;
    let mix: Mix;
    let playedAtMs: number;

    const events = async () =>
      (await get<{ events: Event[] }>(place.httpPort, '/api/events?limit=200&order=asc')).events;

    beforeAll(async () => {
      mix = mixImpacts({ each: 4, snrDb: 10, gapS: 3 });
      place = { dataDir: join(folder, 'central'), httpPort: await freePort(), mqttPort: await freePort() };
      pulse = await startPulse();
      central = startCentral(place);
      agent = startAgent(
        folder,
        {
          vehicle: { id: VEHICLE },
          data_dir: join(folder, 'agent'),
          sensors: {
            particulate: { model: 'sps30', device: 'emulated' },
            bme680: { device: 'emulated' },
            uma8: { source: 'arecord', device: pulse.device },
          },
          sync: { url: `mqtt://127.0.0.1:${place.mqttPort}` },
          health: { listen: { port: 0 } },
        },
        pulse.env,
      );
      await until(
        'sound levels at central',
        async () =>
          (
            await get<{ streams: { stream: string }[] }>(place.httpPort, `/api/vehicles/${VEHICLE}/latest`)
          ).streams.some(({ stream }) => stream === 'uma8/level'),
        { processes: [central, agent] },
      );
      playedAtMs = Date.now();
      await pulse.play(new Uint8Array(mix.pcm.buffer));
      await sleep(3_000);
      await until(
        'every clip to be at central',
        async () => {
          const all = await events();
          return all.length > 0 && all.every(({ clip }) => clip?.state === 'ready');
        },
        { processes: [central, agent] },
      );
    }, 180_000);

    afterAll(async () => {
      await browser?.close();
      await agent?.end('SIGTERM');
      await central?.end('SIGTERM');
      await pulse?.stop();
    });

    /** When an event happened, in seconds of the played sound. */
    const playedS = (event: Event) => (Number(BigInt(event.captured_at_ns) / 1_000_000n) - playedAtMs) / 1000;

    test('each real knock and glass break is an event with its label', async () => {
      const found = await events();
      const heard = mix.impacts.map(({ file, label, startS, endS }) => ({
        file,
        label,
        heard: found
          .filter((event) => playedS(event) > startS - 1 && playedS(event) < endS + 1.5)
          .map((event) => event.label),
      }));
      const right = heard.filter(({ label, heard: labels }) => labels.includes(label));
      console.log(heard.map(({ file, heard: labels }) => `${file}: ${labels.join(', ') || 'not heard'}`).join('\n'));
      // The model's recall on this fold is not 1: one of the eight may be missed, none may be called by the other's name alone.
      expect(right.length, JSON.stringify(heard)).toBeGreaterThanOrEqual(mix.impacts.length - 1);
      expect(heard.filter(({ label, heard: labels }) => labels.length > 0 && !labels.includes(label))).toEqual([]);
    });

    test('the sound of every clip is what was played, on every channel', async () => {
      const channels = Array.from({ length: CHANNELS }, (_, channel) => channelOf(mix.pcm, channel));
      const correlations: number[] = [];
      for (const event of await events()) {
        const answer = await fetch(`http://127.0.0.1:${place.httpPort}/api/events/${event.id}/clip.wav`);
        expect(answer.status).toBe(200);
        const wav = wavSamples(Buffer.from(await answer.arrayBuffer()));
        const first = channelOf(wav, 0);
        const middleS = (Date.parse(event.clip?.start_at ?? '') - playedAtMs) / 1000 + first.length / 48_000 / 2;
        const lag = findLag(first, channels[0] as Float32Array, middleS, 1.5);
        for (const [channel, played] of channels.entries()) {
          correlations.push(correlationAt(channelOf(wav, channel), played, lag));
        }
      }
      console.log(
        `${correlations.length} channels of clips, least correlation ${Math.min(...correlations).toFixed(6)}`,
      );
      expect(correlations.length).toBeGreaterThanOrEqual(CHANNELS * (mix.impacts.length - 1));
      expect(Math.min(...correlations)).toBeGreaterThanOrEqual(0.99);
    });

    test('the dashboard in Chromium shows the events and plays one', async () => {
      browser = await chromium.launch({
        executablePath: CHROMIUM,
        args: [
          '--no-sandbox',
          '--disable-gpu',
          '--disable-quic',
          '--disable-background-networking',
          '--autoplay-policy=no-user-gesture-required',
        ],
      });
      const page = await browser.newPage({ viewport: { width: 1600, height: 1000 } });
      const problems: string[] = [];
      page.on('pageerror', (error) => problems.push(error.message));
      await page.goto(`http://127.0.0.1:${place.httpPort}/events`);
      const rows = page.locator('tbody tr');
      await rows.first().waitFor();
      expect(await rows.count()).toBe((await events()).length);
      await page.locator('tbody a[href^="/events/"]').first().click();
      await page.waitForURL(/\/events\/.+/);
      await page.getByRole('button', { name: /play/i }).first().click();
      const position = page.getByRole('slider', { name: 'Position in the clip' });
      await expect
        .poll(async () => Number(await position.getAttribute('aria-valuenow')), { timeout: 15_000 })
        .toBeGreaterThan(0.3);
      expect(problems).toEqual([]);
    });
  },
);
