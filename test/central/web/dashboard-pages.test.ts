/** What the dashboard's pages show and how one finds things in them, in a real Chromium on real answers. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { builtDashboard, launchChromium, leaveOut, type OpenPage, openPage, patience } from './browser.ts';
import { fieldValue } from './fixture-data.ts';
import { FixtureServer } from './fixture-server.ts';

describe.skipIf(leaveOut)('dashboard pages (needs /usr/bin/chromium)', () => {
  let server: FixtureServer;
  let browser: Browser;
  let opened: OpenPage;

  beforeAll(async () => {
    server = new FixtureServer(await builtDashboard());
    const url = await server.listen();
    browser = await launchChromium();
    opened = await openPage(browser, url);
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
    expect(opened.errors).toEqual([]);
  });

  it('shows each vehicle with state, health, impacts and newest values with units', async () => {
    const { page } = opened;
    await page.goto('/');
    const card = page.getByRole('article', { name: 'van-02' });
    await card.getByText('Online').waitFor();
    await card.getByText('1 error').waitFor();
    await card.getByText('1 warning').waitFor();
    const events = server.events.filter(({ vehicle }) => vehicle === 'van-02').length;
    expect(await card.getByRole('link', { name: String(events), exact: true }).isVisible()).toBe(true);
    const pressure = card.locator('.glance', { hasText: 'Pressure' });
    expect(await pressure.locator('.glance-value').innerText()).toMatch(/^101[23]\.\d\shPa$/);
    await card.locator('.sparkline path[d^="M"]').first().waitFor();
    const offline = page.getByRole('article', { name: 'truck-17' });
    expect(await offline.getByText('Offline').isVisible()).toBe(true);
    expect(await page.locator('.tiles').innerText()).toContain('of 4');
  });

  it('shows the fleet as a table that sorts by a click on a heading', async () => {
    const { page } = opened;
    await page.goto('/');
    await page.getByRole('radio', { name: 'Table' }).check();
    const table = page.getByRole('table', { name: 'Vehicles' });
    await table.getByRole('button', { name: 'Sensors' }).click();
    expect(await table.getByRole('columnheader', { name: 'Sensors' }).getAttribute('aria-sort')).toBe('descending');
    expect(await table.locator('tbody tr').first().innerText()).toContain('van-02');
  });

  it('draws every field of a vehicle, tells what is wrong and what to do, and sums up the ledger', async () => {
    const { page } = opened;
    await page.goto('/vehicles/van-02');
    for (const title of ['Particulate matter', 'Temperature', 'Air pressure', 'Gas resistance', 'Sound level', 'CPU']) {
      await page.locator('.chart-title', { hasText: new RegExp(`^${title}$`) }).waitFor();
    }
    // Charts are drawn when they come into sight.
    const last = page.locator('.chart', { hasText: 'Outbox depth' });
    await last.scrollIntoViewIfNeeded();
    await last.locator('canvas').waitFor();
    expect(await page.locator('.lane-mark').count()).toBeGreaterThan(0);
    const diagnostics = page.getByRole('region', { name: 'Diagnostics' });
    expect(await diagnostics.locator('li').first().innerText()).toContain('unplugged');
    expect(await diagnostics.getByText('Check the four wires').isVisible()).toBe(true);
    const ledger = page.getByRole('region', { name: 'Ledger' });
    await ledger.getByText('3 are missing and not explained').waitFor();
    expect(await ledger.getByText('(disk_short)').isVisible()).toBe(true);
  });

  it('asks for another history when another time range is chosen', async () => {
    const { page } = opened;
    await page.goto('/vehicles/van-01');
    const asked = page.waitForRequest((request) => {
      const { pathname, searchParams } = new URL(request.url());
      const spanMs = Date.parse(searchParams.get('to') ?? '') - Date.parse(searchParams.get('from') ?? '');
      return pathname.endsWith('/history') && spanMs === 21_600_000;
    });
    await page.getByRole('radio', { name: 'Last 6 hours' }).check();
    await asked;
    await page.getByRole('radio', { name: 'Between two moments' }).check();
    await page.getByLabel('From').fill('2026-01-01T12:00:00');
    await page.getByLabel('To', { exact: true }).fill('2026-01-01T11:00:00');
    await page.getByText('The end must be after the beginning.').waitFor();
    expect(await page.getByRole('button', { name: 'Show', exact: true }).isDisabled()).toBe(true);
  });

  it('filters, sorts and pages events, and keeps all that in the address', async () => {
    const { page } = opened;
    await page.goto('/events');
    const rows = page.locator('tbody tr');
    await page.getByText('1–25 of 137 events').waitFor();
    await page.getByRole('button', { name: 'Next' }).click();
    await page.getByText('26–50 of 137 events').waitFor();
    expect(new URL(page.url()).searchParams.get('offset')).toBe('25');

    await page.getByRole('combobox', { name: 'Label' }).selectOption('glass_break');
    await page.getByRole('combobox', { name: 'Vehicle' }).selectOption('van-01');
    await page.getByRole('slider', { name: /Score at least/ }).fill('0.8');
    const fitting = server.events.filter(
      ({ label, vehicle, score }) => label === 'glass_break' && vehicle === 'van-01' && score >= 0.8,
    );
    await page.getByText(`of ${fitting.length} events`).waitFor();
    expect(await rows.count()).toBe(Math.min(25, fitting.length));

    await page.getByRole('button', { name: 'Score', exact: true }).click();
    await expect.poll(() => new URL(page.url()).searchParams.get('sort'), patience).toBe('score');
    const best = Math.max(...fitting.map(({ score }) => score));
    await expect
      .poll(async () => Number(await rows.first().locator('.score-value').innerText()), patience)
      .toBeCloseTo(Math.min(best, 0.994), 1);
    await page.reload();
    await page.getByText(`of ${fitting.length} events`).waitFor();
    expect(await page.getByRole('combobox', { name: 'Label' }).inputValue()).toBe('glass_break');
    expect(await page.getByRole('columnheader', { name: 'Score' }).getAttribute('aria-sort')).toBe('descending');
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await page.getByText('of 137 events').waitFor();
  });

  it('filters events by time in the viewer’s zone', async () => {
    const { page } = opened;
    const newest = server.events[0];
    const third = server.events[2];
    if (!newest || !third) throw new Error('expected events in the fixture');
    await page.goto(`/events?from=${third.captured_at}`);
    await page.getByText('of 3 events').waitFor();
    const time = page.locator('tbody tr').first().locator('time');
    expect(await time.getAttribute('title')).toContain(newest.captured_at.slice(11, 19));
    expect(await time.getAttribute('title')).toMatch(/\.\d{9} UTC$/);
    const berlin = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Berlin', timeStyle: 'medium' });
    expect(await time.innerText()).toContain(berlin.format(new Date(newest.captured_at)));
  });

  it('shows an event with scores, model, all sensors and both downloads', async () => {
    const { page } = opened;
    const event = server.events[0];
    if (!event) throw new Error('expected events in the fixture');
    await page.goto(`/events/${event.id}`);
    await page.locator('.timeline:not(.timeline-waiting)').waitFor();
    const scores = page.locator('.scores');
    expect(await scores.locator('dt').allInnerTexts()).toHaveLength(3);
    expect(await page.locator('main').innerText()).toContain('impact 1.0.0');
    for (const title of ['Particulate matter', 'Temperature', 'Relative humidity', 'Air pressure', 'Gas resistance']) {
      expect(await page.locator('.time-row-title', { hasText: title }).isVisible()).toBe(true);
    }
    await page.getByRole('button', { name: 'To the onset' }).click();
    await page.getByText('at the onset', { exact: true }).waitFor();
    const pressure = page.locator('.time-row', { hasText: 'Air pressure' }).locator('.legend-value');
    const atImpact = fieldValue('pressure_pa', Date.parse(event.captured_at) + 300) / 100;
    expect(Number(await pressure.innerText())).toBeCloseTo(atImpact, 0);
    const downloading = page.waitForEvent('download');
    await page.getByRole('link', { name: /WAV/ }).click();
    expect((await downloading).suggestedFilename()).toBe(`${event.id}.wav`);
    expect(await page.getByRole('link', { name: /MCAP/ }).getAttribute('href')).toBe(
      `/api/events/${event.id}/clip.mcap`,
    );
  });

  it('says so when a vehicle, an event or a page does not exist', async () => {
    const { page } = opened;
    await page.goto('/vehicles/nobody');
    await page.getByText('No vehicle is called “nobody”').waitFor();
    await page.goto('/events/none');
    await page.getByText('There is no event with this id').waitFor();
    await page.goto('/nowhere');
    await page.getByText('Nothing lives at this address').waitFor();
  });
});
