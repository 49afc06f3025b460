/** What `fender bag view` shows, in a real Chromium on real files: sensors, series, sound, statistics, and what is wrong with a bag. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bagFiles } from '../../../agent/bag/bag-folder.ts';
import { type BagView, openBagView } from '../../../agent/bag-view/bag-view.ts';
import { driveSample, driveValues } from '../../bench/hour-bag.ts';
import {
  brokenFiles,
  driveBag,
  flacBag,
  foreignBag,
  foreignValues,
  stopped,
  stoppedRecordings,
  storedLz4,
} from './bag-fixtures.ts';
import { builtDashboard, launchChromium, leaveOut, type OpenPage, openPage, overflowX, patience } from './browser.ts';
import { poorContrasts } from './contrast.ts';

/** The drive's length: an impact is in its 31st second, and one segment ends in its middle. */
const driveS = 32;

describe.skipIf(leaveOut)('bag viewer (needs /usr/bin/chromium)', () => {
  let folder: string;
  let browser: Browser;
  let dashboard: string;
  let view: BagView;
  let opened: OpenPage;
  /** What the one server gives; it reads its options anew for every request. */
  const given: { name: string; files: readonly string[] } = { name: '', files: [] };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fender-bag-view-'));
    dashboard = await builtDashboard();
    browser = await launchChromium();
    view = await openBagView(Object.assign(given, { dashboard, port: 0 }));
    opened = await openPage(browser, view.url);
    await driveBag(join(folder, 'drive'), driveS);
  });

  afterAll(async () => {
    await browser?.close();
    await view?.close();
    await rm(folder, { recursive: true, force: true });
  });

  afterEach(() => expect(opened.errors.splice(0)).toEqual([]));

  async function show(path: string): Promise<Page> {
    given.name = path;
    given.files = await bagFiles(join(folder, path));
    await opened.page.goto(view.url);
    return opened.page;
  }

  /** Everything in view is read and summed up. */
  async function settled(page: Page): Promise<void> {
    await page.locator('.bag-rows').waitFor();
    await expect.poll(() => page.getByText(/reading \d+ %/).count(), patience).toBe(0);
    await expect.poll(() => page.locator('.bag-statistics [aria-busy="false"]').count(), patience).toBe(1);
  }

  /** Colours of a row's canvas: more than two when something is drawn. */
  function colours(page: Page, title: string | RegExp): Promise<number> {
    return page
      .locator('.time-row', { hasText: title })
      .locator('canvas')
      .evaluate((canvas) => {
        const { width, height } = canvas as HTMLCanvasElement;
        const pixels = (canvas as HTMLCanvasElement).getContext('2d')?.getImageData(0, 0, width, height).data ?? [];
        return new Set(new Uint32Array(Uint8Array.from(pixels).buffer)).size;
      });
  }

  /** A cell of the statistics as a number. */
  async function statistic(page: Page, series: string | RegExp, column: string): Promise<number> {
    const row = page.locator('.bag-statistics tbody tr', { hasText: series });
    const text = await row.locator(`[data-column="${column}"]`).innerText();
    return Number(text.replace(/[\s*≈]/g, '').replace('−', '-'));
  }

  it('finds the sensors of a recording of two segments, draws them all, and plays the sound', async () => {
    const page = await show('drive');
    await settled(page);
    const list = page.getByRole('region', { name: 'Sensors' });
    for (const name of ['UMA-8 audio', 'BME680 temperature', 'BME680 pressure', 'Plantower particulate']) {
      await list.getByText(name, { exact: true }).waitFor();
    }
    await list.getByText('8 × 48 kHz').waitFor();
    await page.locator('.bag-facts').getByText('32.0 s').waitFor();
    await page.locator('.bag-facts').getByText('in 2 files').waitFor();
    for (const title of ['Sound, channel 0', 'Spectrogram', 'Temperature', 'Air pressure', 'Particulate matter']) {
      await expect.poll(() => colours(page, title), patience).toBeGreaterThan(2);
    }
    const cursor = page.getByRole('slider', { name: 'Cursor' });
    expect(await cursor.getAttribute('aria-valuenow')).toBe('0');
    await page.getByRole('button', { name: 'Play' }).click();
    await expect.poll(async () => Number(await cursor.getAttribute('aria-valuenow')), patience).toBeGreaterThan(0.5);
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('button', { name: 'Play' }).waitFor();
    // Texts follow within a tenth of a second; then it stands.
    let before: string | null;
    do {
      before = await cursor.getAttribute('aria-valuenow');
      await page.waitForTimeout(250);
    } while (before !== (await cursor.getAttribute('aria-valuenow')));
    expect(Number(before)).toBeGreaterThan(0.5);
  });

  /** How many of a canvas's columns between two moments have anything drawn in them, of all there. */
  function drawnColumns(page: Page, canvas: string, fromS: number, toS: number): Promise<number> {
    return page.locator(canvas).evaluate(
      (element, [from = 0, to = 0]) => {
        const { width, height } = element as HTMLCanvasElement;
        const context = (element as HTMLCanvasElement).getContext('2d');
        const [first, end] = [Math.ceil(from * width), Math.floor(to * width)];
        const alpha = context?.getImageData(first, 0, end - first, height).data ?? new Uint8ClampedArray();
        const drawn = new Set<number>();
        for (let at = 3; at < alpha.length; at += 4) if (alpha[at] !== 0) drawn.add(((at - 3) / 4) % (end - first));
        return drawn.size / (end - first);
      },
      [fromS, toS].map((timeS) => timeS / (stopped.secondS + stopped.eachS - stopped.firstS)),
    );
  }

  it.each([true, false])('leaves empty where nothing was recorded (with an overview: %s)', async (overview) => {
    given.name = 'stopped';
    given.files = await stoppedRecordings(join(folder, `stopped-${overview}`), overview);
    const { page } = opened;
    await page.goto(view.url);
    await settled(page);
    // The overview's periods are whole seconds: the last one reaches a little into the stop.
    const stopS = [stopped.eachS + 1.1, stopped.secondS - stopped.firstS - 1.1] as const;
    const rows = page.locator('.bag-rows .time-row');
    expect(await rows.count()).toBeGreaterThan(1);
    for (const canvas of ['.bag-strip canvas', '.time-row:has-text("Sound, channel 0") canvas', '.bag-spectrum']) {
      await expect.poll(() => drawnColumns(page, canvas, 1, stopped.eachS - 1), patience).toBe(1);
      expect(await drawnColumns(page, canvas, ...stopS), canvas).toBe(0);
    }
  });

  it("tells times in the viewer's zone and says so, with exact UTC at hand", async () => {
    const page = await show('drive');
    // The bag is of May, when Berlin is two hours ahead, whatever today is.
    const starts = page.locator('.bag-facts > div', { hasText: 'Starts' }).locator('dd');
    await expect.poll(() => starts.innerText(), patience).toBe('2026-05-03 14:00:00.000 UTC+2');
    expect(await starts.locator('time').getAttribute('title')).toBe('2026-05-03 12:00:00.000000000 UTC');
    await page.locator('.ruler').getByText('2026-05-03 · UTC+2').waitFor();
    const position = page.locator('.bag-cursor-time');
    expect(await position.innerText()).toBe('14:00:00.000');
    expect(await position.getAttribute('title')).toBe('2026-05-03 12:00:00.000000000 UTC');
    await page.getByText('Times in Europe/Berlin; hover for exact UTC').waitFor();
  });

  it('shows what is chosen, at the span that is chosen, with the values under the cursor', async () => {
    const page = await show('drive');
    await settled(page);
    await page.getByRole('checkbox', { name: 'UMA-8 audio: Channel 5' }).check();
    await page.locator('.time-row-title', { hasText: 'Sound, channel 5' }).waitFor();
    await page.getByRole('checkbox', { name: 'BME680 pressure: Air pressure' }).uncheck();
    await expect.poll(() => page.locator('.time-row-title', { hasText: 'Air pressure' }).count(), patience).toBe(0);

    const plot = await page.locator('.time-row', { hasText: 'Temperature' }).locator('.time-row-plot').boundingBox();
    if (!plot) throw new Error('expected the row of the temperature');
    const [y, quarter] = [plot.y + plot.height / 2, plot.width / 4];
    await page.mouse.move(plot.x + quarter, y);
    await page.mouse.down();
    await page.mouse.move(plot.x + 2 * quarter, y, { steps: 5 });
    await page.mouse.up();
    await page.getByText('8.00 s in view').waitFor();
    await page.mouse.move(plot.x + 2 * quarter, y);
    const shown = page.locator('.time-row', { hasText: 'Temperature' }).locator('.legend-value');
    const middle = driveValues.temperatureC(12);
    await expect.poll(async () => Number(await shown.innerText()), patience).toBeCloseTo(middle, 1);
    await page.mouse.click(plot.x + 2 * quarter, y);
    const cursor = page.getByRole('slider', { name: 'Cursor' });
    await expect.poll(async () => Number(await cursor.getAttribute('aria-valuenow')), patience).toBeCloseTo(12, 0);

    await page.mouse.wheel(0, 0);
    await page.locator('.ruler .time-row-plot').hover();
    await page.mouse.wheel(0, -600);
    await expect.poll(() => page.getByText('8.00 s in view').count(), patience).toBe(0);
    await page.getByRole('button', { name: 'All' }).click();
    await page.getByText('32.0 s in view').waitFor();
  });

  it('draws the line between two messages that are both out of view', async () => {
    const page = await show('drive');
    await settled(page);
    const cursor = page.getByRole('slider', { name: 'Cursor' });
    // The impact, between the messages of 29.5 s and 30.5 s.
    await cursor.press('.');
    for (let step = 0; step < 8; step += 1) await cursor.press('+');
    await page.getByText('125 ms in view').waitFor();
    const canvas = page.locator('.time-row', { hasText: 'Temperature' }).locator('canvas');
    const inked = () =>
      canvas.evaluate((element) => {
        const { width, height } = element as HTMLCanvasElement;
        const context = (element as HTMLCanvasElement).getContext('2d');
        const column = context?.getImageData(Math.floor(width / 4), 0, 1, height).data ?? [];
        return Array.from(column).filter((value, at) => at % 4 === 3 && value > 0).length;
      });
    await expect.poll(inked, patience).toBeGreaterThan(0);
  });

  it('sums up the span in view as its messages are', async () => {
    const page = await show('drive');
    await settled(page);
    const seconds = Array.from({ length: driveS }, (_, second) => driveValues.pressurePa(second) / 100);
    const mean = seconds.reduce((sum, value) => sum + value, 0) / driveS;
    const deviation = Math.sqrt(seconds.reduce((sum, value) => sum + (value - mean) ** 2, 0) / driveS);
    expect(await statistic(page, 'Air pressure', 'count')).toBe(driveS);
    expect(await statistic(page, 'Air pressure', 'rate')).toBeCloseTo(1, 2);
    expect(await statistic(page, 'Air pressure', 'gaps')).toBe(0);
    expect(await statistic(page, 'Air pressure', 'mean')).toBeCloseTo(mean, 1);
    expect(await statistic(page, 'Air pressure', 'deviation')).toBeCloseTo(deviation, 1);
    expect(await statistic(page, 'Air pressure', 'min')).toBeCloseTo(Math.min(...seconds), 1);
    expect(await statistic(page, 'Air pressure', 'max')).toBeCloseTo(Math.max(...seconds), 1);
    expect(await page.locator('.bag-histogram').count()).toBeGreaterThan(4);

    // Sound from all its samples: 1.5 million of one channel.
    const samples = Array.from({ length: 48_000 }, (_, frame) => driveSample(0, frame, 0) / 32_768);
    const blow = Array.from({ length: 48_000 }, (_, frame) => driveSample(30, frame, 0) / 32_768);
    const square = (values: number[]) => values.reduce((sum, value) => sum + value * value, 0);
    const expected = Math.sqrt(((driveS - 1) * square(samples) + square(blow)) / (driveS * 48_000));
    expect(await statistic(page, 'Channel 0', 'count')).toBe(driveS * 48_000);
    expect(await statistic(page, 'Channel 0', 'deviation')).toBeCloseTo(expected, 4);
    expect(await statistic(page, 'Channel 0', 'max')).toBeCloseTo(Math.max(...blow), 4);
    expect(await statistic(page, 'Channel 0', 'rate')).toBe(48_000);
  });

  it('marks impacts, and goes to one by a click and by the keyboard', async () => {
    const page = await show('drive');
    await settled(page);
    const mark = page.getByRole('button', { name: /Glass break, score 0.94/ });
    await mark.click();
    const cursor = page.getByRole('slider', { name: 'Cursor' });
    const cursorS = async () => Number(await cursor.getAttribute('aria-valuenow'));
    await expect.poll(cursorS, patience).toBe(30.25);
    await cursor.press('Home');
    await expect.poll(cursorS, patience).toBe(0);
    await cursor.press('.');
    await expect.poll(cursorS, patience).toBe(30.25);
    await cursor.press('+');
    await cursor.press('+');
    await cursor.press('+');
    await page.getByText('4.00 s in view').waitFor();
    await cursor.press('ArrowRight');
    await expect.poll(cursorS, patience).toBe(30.29);
    await page.getByRole('slider', { name: 'Span in view' }).press('Home');
    await cursor.press('0');
    await page.getByText('32.0 s in view').waitFor();
    await cursor.press('Space');
    await page.getByRole('button', { name: 'Pause' }).waitFor();
    await cursor.press('Space');
    await page.getByRole('button', { name: 'Play' }).waitFor();
  });

  it('shows messages of types it has never heard of by the definitions in the bag, in chunks packed by lz4', async () => {
    await foreignBag(join(folder, 'foreign.mcap'), storedLz4);
    const page = await show('foreign.mcap');
    await settled(page);
    for (const title of ['linear_acceleration', 'latitude', 'data']) {
      await page.locator('.time-row-title', { hasText: title }).first().waitFor();
    }
    const times = Array.from({ length: 2000 }, (_, index) => index / 100);
    const z = times.map(foreignValues.accelerationZ);
    expect(await statistic(page, 'linear_acceleration.z', 'count')).toBe(2000);
    expect(await statistic(page, 'linear_acceleration.z', 'rate')).toBeCloseTo(100, 1);
    expect(await statistic(page, 'linear_acceleration.z', 'max')).toBeCloseTo(Math.max(...z), 3);
    expect(await statistic(page, 'linear_acceleration.z', 'mean')).toBeCloseTo(9.81, 3);
    expect(await statistic(page, 'latitude', 'max')).toBeCloseTo(foreignValues.latitude(19.8), 6);
    expect(await page.getByRole('button', { name: 'Play' }).count()).toBe(0);
  });

  it('hears sound that was recorded as FLAC, with what was recorded plain in between, as one', async () => {
    await flacBag(join(folder, 'flac.mcap'));
    const page = await show('flac.mcap');
    await settled(page);
    await page.getByText('4 × 48 kHz').waitFor();
    expect(await statistic(page, 'Channel 0', 'count')).toBe(240_000);
    expect(await statistic(page, 'Channel 0', 'max')).toBeCloseTo(8000 / 32_768, 3);
    expect(await statistic(page, 'Channel 0', 'deviation')).toBeCloseTo(8000 / 32_768 / Math.SQRT2, 3);
    await expect.poll(() => colours(page, 'Spectrogram'), patience).toBeGreaterThan(20);
    await page.getByRole('button', { name: 'Play' }).click();
    const cursor = page.getByRole('slider', { name: 'Cursor' });
    await expect.poll(async () => Number(await cursor.getAttribute('aria-valuenow')), patience).toBeGreaterThan(0.2);
  });

  it('says what a file is that is no bag, where it saw it, and what to do', async () => {
    await brokenFiles(join(folder, 'broken'), join(folder, 'drive/drive_0.mcap'));
    const expected = {
      'empty.mcap': /At offset 0: expected an MCAP bag, found an empty file/,
      'picture.mcap': /found a PNG picture/,
      'drive.db3': /SQLite3.*ros2 bag convert/,
      'noise.mcap': /begins with 89 4d 43 41 50 30 0d 0a, found 0d d2/,
      'magic-only.mcap': /nothing in it can be read/i,
      'huge.mcap': /At offset 8: .*expected 1099511627785 bytes, found 4088/,
      'sparse.mcap': /nothing in it can be read/i,
    };
    for (const [name, words] of Object.entries(expected)) {
      const page = await show(`broken/${name}`);
      const alert = page.getByRole('alert');
      await alert.waitFor();
      expect(await alert.innerText(), name).toMatch(words);
      expect(await alert.innerText(), name).toContain(name);
    }
  });

  it('shows what there is of a torn, a bit-flipped and a wrongly indexed bag, and says what is wrong with it', async () => {
    const torn = await show('broken/torn.mcap.active');
    await settled(torn);
    await torn
      .getByText(
        /At offset \d+: the file ends in the middle of a record: expected \d+ bytes, found \d+; it is still being written/,
      )
      .waitFor();
    await torn.getByText('fender bag recover').first().waitFor();
    await expect.poll(() => colours(torn, 'Temperature'), patience).toBeGreaterThan(2);
    expect(await statistic(torn, 'Temperature', 'count')).toBeGreaterThan(8);

    const flipped = await show('broken/flipped.mcap');
    await settled(flipped);
    await flipped
      .getByText(/At offset \d+: the chunk is damaged: expected records with the CRC-32 0x[0-9a-f]{8}, found 0x/)
      .waitFor();
    expect(await statistic(flipped, 'Channel 0', 'count')).toBe((48_000 * driveS) / 2 - 4800);

    const summary = await show('broken/summary.mcap');
    await settled(summary);
    await summary.getByText(/no usable index/).waitFor();
    expect(await statistic(summary, 'Air pressure', 'count')).toBe(driveS / 2);
  });

  it('is for this computer alone', async () => {
    const { port } = new URL(view.url);
    for (const path of ['api/bag/files/7', '../../package.json', '%2e%2e%2fpackage.json']) {
      expect((await fetch(`http://127.0.0.1:${port}/${path}`)).status, path).toBe(404);
    }
    const { request } = await import('node:http');
    const status = await new Promise((resolve) => {
      request({ host: '127.0.0.1', port, path: '/api/bag', headers: { host: 'evil.example' } }, (response) =>
        resolve(response.statusCode),
      ).end();
    });
    expect(status).toBe(421);
  });

  it('fits 400 and 1600 px, light and dark, with texts that can be read', async () => {
    const page = await show('drive');
    await settled(page);
    for (const width of [400, 1600]) {
      await page.setViewportSize({ width, height: 900 });
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        await expect.poll(() => overflowX(page), patience).toBe(0);
        expect(await page.evaluate(poorContrasts), `${width} ${colorScheme}`).toEqual([]);
      }
    }
  });
});
