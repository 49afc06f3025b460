/** What the dashboard shows of each kind of event: directions, the air, warnings about the model. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { degreesWords, placeWords } from '../../../central/web/src/format/event-words.ts';
import { formatDuration } from '../../../central/web/src/format/format-value.ts';
import { builtDashboard, launchChromium, leaveOut, type OpenPage, openPage, patience } from './browser.ts';
import { makeFindings } from './fixture-data.ts';
import { FixtureServer } from './fixture-server.ts';

describe('words', () => {
  it('name the place of an azimuth, with a question mark where it is not sure', () => {
    expect([0, 30, 90, 150, 180, -179, -100, -45].map((azimuth) => placeWords(azimuth, 0.9))).toEqual([
      'Front',
      'Front left',
      'Left',
      'Rear left',
      'Rear',
      'Rear',
      'Right',
      'Front right',
    ]);
    expect([placeWords(30, 0.5), placeWords(30, null)]).toEqual(['Front left?', 'Front left?']);
    expect([0, 30.4, -120, 180].map(degreesWords)).toEqual(['0° ahead', '30° left', '120° right', '180° behind']);
  });

  it('write durations of any length', () => {
    expect([0.42, 119, 200, 7_500].map((seconds) => formatDuration(seconds).replaceAll('\u00a0', ' '))).toEqual([
      '0.42 s',
      '119.0 s',
      '3 min 20 s',
      '2 h 5 min',
    ]);
  });
});

describe.skipIf(leaveOut)('kinds of events (needs /usr/bin/chromium)', () => {
  let server: FixtureServer;
  let browser: Browser;
  let opened: OpenPage;

  beforeAll(async () => {
    server = new FixtureServer(await builtDashboard());
    server.events.unshift(...makeFindings('van-01', Date.now() - 5_000));
    const url = await server.listen();
    browser = await launchChromium();
    opened = await openPage(browser, url);
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
    expect(opened.errors).toEqual([]);
  });

  it('shows in the list whence impacts came and how the air is, and filters by kind', async () => {
    const { page } = opened;
    await page.goto('/events');
    const row = (id: string) => page.locator('tbody tr', { has: page.locator(`a[href="/events/${id}"]`) });
    await row('smoke').waitFor();
    expect(await row('from-the-left').innerText()).toContain('Front left');
    expect(await row('from-the-left').locator('.direction-picture').count()).toBe(1);
    expect(await row('from-behind').innerText()).toContain('Rear?');
    expect(await row('smoke').innerText()).toMatch(/Very high, PM2.5 412\.0\sµg\/m³/);
    expect(await row('smoke').innerText()).toContain('goes on');
    expect(await row('bad-air').innerText()).toMatch(/21\smin 5\ss/);
    await page.getByRole('combobox', { name: 'Kind' }).selectOption('air');
    await page.getByText('of 2 events').waitFor();
    expect(new URL(page.url()).searchParams.get('kind')).toBe('air');
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await page.getByText('of 142 events').waitFor();
  });

  it('shows on the page of an impact the direction with a picture, and the change of pressure', async () => {
    const { page } = opened;
    await page.goto('/events/from-the-left');
    const direction = page.locator('.direction');
    await direction.waitFor();
    expect(await direction.innerText()).toContain('Front left');
    expect(await direction.innerText()).toContain('30° left, sure 0.80');
    expect(await direction.locator('.direction-wedge').count()).toBe(1);
    expect(await page.locator('.fact-list').innerText()).toContain('−14.2 Pa');
    await page.goto('/events/event-0000');
    await page.locator('.scores').waitFor();
    expect(await page.locator('.direction').count()).toBe(0);
  });

  it('shows of smoke its level and values beside the usual ones, and how it goes on', async () => {
    const { page } = opened;
    await page.goto('/events/smoke');
    const panel = page.locator('section', { has: page.getByText('The air in the cabin') });
    await panel.getByText('Very high').waitFor();
    const cells = await panel.locator('tbody tr').first().locator('th, td').allInnerTexts();
    expect(cells.map((text) => text.replace('\u00a0', ' '))).toEqual(['PM2.5', '412.0 µg/m³', '8.0 µg/m³']);
    await panel.getByText('it goes on').waitFor();
    const smoke = server.events.find(({ id }) => id === 'smoke');
    if (!smoke) throw new Error('expected the smoke in the fixture');
    Object.assign(smoke, { ongoing: false, duration_s: 300 });
    server.send('update', { event_id: 'smoke' });
    await panel.getByText('it is over').waitFor(patience);
  });

  it('shows a drift as a warning, with its model and without a clip', async () => {
    const { page } = opened;
    await page.goto('/events/drift');
    await page.getByText('A warning about the model').waitFor();
    const text = await page.locator('main').innerText();
    expect(text).toContain('hellinger 0.413, expected at most 0.3');
    expect(text).toMatch(/Found\s+At most/);
    expect(text).toContain('it goes on');
    expect(text).toContain('impact 1.0.0');
    expect(await page.getByText('Waiting for the clip').count()).toBe(0);
  });
});
