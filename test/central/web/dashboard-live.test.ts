/** What changes on the dashboard by itself: values, impacts, clips, connections; and that the sound plays. */
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { builtDashboard, launchChromium, leaveOut, type OpenPage, openPage, patience } from './browser.ts';
import { FixtureServer } from './fixture-server.ts';

describe.skipIf(leaveOut)('dashboard, live (needs /usr/bin/chromium)', () => {
  let server: FixtureServer;
  let browser: Browser;
  let url: string;
  let opened: OpenPage;

  beforeAll(async () => {
    server = new FixtureServer(await builtDashboard());
    url = await server.listen();
    browser = await launchChromium();
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  beforeEach(async () => {
    opened = await openPage(browser, url);
    // Media elements that are never put into the page are remembered, so that tests can look at them.
    await opened.page.addInitScript(() => {
      const made: HTMLMediaElement[] = [];
      Object.assign(globalThis, { madeMedia: made });
      const create = document.createElement.bind(document);
      document.createElement = ((name: string, options?: ElementCreationOptions) => {
        const element = create(name, options);
        if (element instanceof HTMLMediaElement) made.push(element);
        return element;
      }) as typeof document.createElement;
    });
  });

  afterEach(async () => {
    expect(opened.errors).toEqual([]);
    await opened.context.close();
  });

  it('moves the newest values of the fleet', async () => {
    const { page } = opened;
    await page.goto('/');
    const level = page.getByRole('article', { name: 'van-01' }).locator('.glance', { hasText: 'Sound level' });
    const first = await level.locator('.glance-number').innerText();
    await expect.poll(() => level.locator('.glance-number').innerText(), patience).not.toBe(first);
  });

  it('shows a new impact in the list, as a notice and in the header', async () => {
    const { page } = opened;
    await page.goto('/events');
    await page.getByText('Live', { exact: true }).waitFor();
    const before = server.events.length;
    server.impact('fresh-1', 'van-01', 'glass_break', 0.97);
    await page.getByText(`of ${before + 1} events`).waitFor();
    const row = page.locator('tbody tr').first();
    expect(await row.getByRole('link').first().getAttribute('href')).toBe('/events/fresh-1');
    expect(await row.getAttribute('class')).toBe('fresh');
    const notices = page.getByRole('region', { name: 'New events' });
    expect(await notices.getAttribute('aria-live')).toBe('polite');
    expect(await notices.innerText()).toContain('Glass break');
    expect(await page.locator('.last-impact').innerText()).toContain('Glass break');
    await notices.getByRole('link', { name: 'Open' }).click();
    await page.waitForURL('**/events/fresh-1');
    await expect.poll(() => notices.locator('.toast').count(), patience).toBe(0);
  });

  it('keeps quiet about impacts when notices are switched off', async () => {
    const { page } = opened;
    await page.goto('/');
    await page.getByText('Live', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Notices of impacts' }).click();
    server.impact('quiet-1', 'van-02', 'body_impact', 0.8);
    await page.locator('.last-impact').waitFor();
    expect(await page.locator('.toast').count()).toBe(0);
    await page.reload();
    expect(await page.getByRole('button', { name: 'Notices of impacts' }).getAttribute('aria-pressed')).toBe('false');
  });

  it('tells on later pages that there is something newer', async () => {
    const { page } = opened;
    await page.goto('/events?offset=50');
    await page.getByText('Live', { exact: true }).waitFor();
    server.impact('newer-1', 'van-02', 'body_impact', 0.8);
    await page.getByRole('button', { name: 'Show the newest first' }).click();
    await page.getByText(/^1–25 of/).waitFor();
  });

  it('opens the player by itself when the clip arrives', async () => {
    const { page } = opened;
    server.impact('waiting-1', 'van-01', 'body_impact', 0.9);
    await page.goto('/events/waiting-1');
    await page.getByText('Waiting for the clip').waitFor();
    await page.getByText('Live', { exact: true }).waitFor();
    server.clipArrives('waiting-1');
    await page.locator('.timeline:not(.timeline-waiting)').waitFor();
  });

  it('plays and pauses the sound with the space bar, and shows waveform and spectrogram of any channel', async () => {
    const { page } = opened;
    await page.goto('/events/event-0000');
    await page.locator('.timeline:not(.timeline-waiting)').waitFor();
    const position = page.getByRole('slider', { name: 'Position in the clip' });
    const mediaTime = () =>
      page.evaluate(() => {
        const { madeMedia } = globalThis as unknown as { madeMedia: HTMLMediaElement[] };
        return madeMedia.at(-1)?.currentTime ?? -1;
      });
    expect(await mediaTime()).toBe(0);
    await page.keyboard.press('Space');
    await expect.poll(mediaTime, patience).toBeGreaterThan(0.4);
    await page.getByRole('button', { name: 'Pause' }).waitFor();
    await page.keyboard.press('Space');
    await page.getByRole('button', { name: 'Play' }).waitFor();
    const stopped = await mediaTime();
    expect(Number(await position.getAttribute('aria-valuenow'))).toBeCloseTo(stopped, 0);
    expect(await mediaTime()).toBe(stopped);

    const inked = () =>
      page.evaluate(() => {
        const canvas = document.querySelector('.spectrogram canvas') as HTMLCanvasElement | null;
        const pixels = canvas?.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
        return new Set(new Uint32Array(Uint8Array.from(pixels).buffer)).size;
      });
    await expect.poll(inked, patience).toBeGreaterThan(20);
    const loudness = await page.getByText(/^peak/).innerText();
    await position.focus();
    await page.keyboard.press('5');
    await page.getByText('Sound, channel 5').waitFor();
    await expect.poll(() => page.getByText(/^peak/).innerText(), patience).not.toBe(loudness);
    expect(server.asked).toContain('/api/events/event-0000/clip.wav?channel=5');
    await expect.poll(mediaTime, patience).toBeCloseTo(stopped, 1);
  });

  it('moves in the clip by keyboard and by pointer', async () => {
    const { page } = opened;
    await page.goto('/events/event-0000');
    await page.locator('.timeline:not(.timeline-waiting)').waitFor();
    const position = page.getByRole('slider', { name: 'Position in the clip' });
    await position.press('o');
    expect(await position.getAttribute('aria-valuetext')).toBe('2.00 s, at the onset');
    await position.press('ArrowRight');
    expect(await position.getAttribute('aria-valuetext')).toBe('2.10 s, 0.10 s after the onset');
    await position.press('End');
    expect(await position.getAttribute('aria-valuenow')).toBe('5');
    const box = await position.boundingBox();
    await page.mouse.click((box?.x ?? 0) + (box?.width ?? 0) / 2, (box?.y ?? 0) + 10);
    expect(Number(await position.getAttribute('aria-valuenow'))).toBeCloseTo(2.5, 1);
  });

  it('shows when a vehicle goes offline', async () => {
    const { page } = opened;
    await page.goto('/vehicles/van-01');
    await page.getByText('Online', { exact: true }).waitFor();
    await page.getByText('Live', { exact: true }).waitFor();
    const vehicle = server.vehicles.find(({ id }) => id === 'van-01');
    if (!vehicle) throw new Error('expected van-01 in the fixture');
    vehicle.online = false;
    server.send('vehicle', { id: 'van-01', online: false });
    await page.getByText('Offline', { exact: true }).waitFor();
    vehicle.online = true;
    server.send('vehicle', { id: 'van-01', online: true });
    await page.getByText('Online', { exact: true }).waitFor();
  });

  it('says that the connection is lost, comes back by itself, and shows what was missed', async () => {
    const { page } = opened;
    await page.goto('/events');
    await page.getByText('Live', { exact: true }).waitFor();
    const before = server.events.length;
    await page.getByText(`of ${before} events`).waitFor();
    server.failing.set('/api/live', 502);
    server.cutLive();
    await page.getByText('Connection lost', { exact: true }).waitFor();
    server.impact('missed-1', 'van-02', 'body_impact', 0.77);
    server.failing.clear();
    await page.getByText('Live', { exact: true }).waitFor();
    await page.getByText(`of ${before + 1} events`).waitFor();
  });
});
