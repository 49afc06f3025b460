/** What the dashboard shows without data (loading, nothing, failed), for the keyboard, on narrow screens, in the dark. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { builtDashboard, launchChromium, leaveOut, openPage, overflowX, patience } from './browser.ts';
import { poorContrasts } from './contrast.ts';
import { FixtureServer } from './fixture-server.ts';

const pages = ['/', '/vehicles/van-02', '/events', '/events/event-0000', '/events/event-0003'] as const;

/** Waits until a page has its data: no bars of loading are left. */
async function settled(page: Page): Promise<void> {
  await page.locator('h1').waitFor();
  await expect.poll(() => page.locator('.skeleton').count(), patience).toBe(0);
}

describe.skipIf(leaveOut)('dashboard states (needs /usr/bin/chromium)', () => {
  let server: FixtureServer;
  let browser: Browser;
  let url: string;

  beforeAll(async () => {
    server = new FixtureServer(await builtDashboard());
    url = await server.listen();
    browser = await launchChromium();
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  afterEach(() => {
    server.failing.clear();
    server.silent.clear();
  });

  it.each([
    ['/', '/api/vehicles', 'the fleet'],
    ['/vehicles/van-01', '/api/vehicles/van-01', 'the vehicle van-01'],
    ['/events', '/api/events', 'the events'],
    ['/events/event-0000', '/api/events/event-0000', 'this event'],
  ])('%s says what failed and loads on a second try', async (path, api, what) => {
    const { page, context, errors } = await openPage(browser, url);
    server.failing.set(api, 503);
    await page.goto(path);
    const alert = page.getByRole('alert').filter({ hasText: `Could not load ${what}` });
    await alert.waitFor();
    expect(await alert.innerText()).toContain('HTTP 503, storage-unavailable');
    server.failing.clear();
    await alert.getByRole('button', { name: 'Try again' }).click();
    await expect.poll(() => alert.count(), patience).toBe(0);
    expect(errors).toEqual([]);
    await context.close();
  });

  it.each([
    ['/', '/api/vehicles', 'Loading the fleet…'],
    ['/vehicles/van-01', '/api/vehicles/van-01', 'Loading the vehicle van-01…'],
    ['/events', '/api/events', 'Loading the events…'],
    ['/events/event-0000', '/api/events', 'Loading this event…'],
  ])('%s announces that it is loading', async (path, api, words) => {
    const { page, context } = await openPage(browser, url);
    server.silent.add(api);
    await page.goto(path);
    const status = page.getByRole('status').filter({ hasText: words });
    await status.waitFor();
    expect(await status.locator('.skeleton').count()).toBeGreaterThan(0);
    await context.close();
  });

  it('says that there are no vehicles and no events, and what to do', async () => {
    const { page, context } = await openPage(browser, url);
    const { vehicles, events } = server;
    Object.assign(server, { vehicles: [], events: [] });
    await page.goto('/');
    await page.getByText('No vehicle has reported yet').waitFor();
    await page.goto('/events');
    await page.getByText('No events yet').waitFor();
    Object.assign(server, { vehicles, events });
    await page.goto('/events?min_score=1');
    await page.getByText('No event fits these filters').waitFor();
    await page.getByRole('main').getByRole('button', { name: 'Clear filters' }).last().click();
    await page.getByText('of 137 events').waitFor();
    await page.goto('/vehicles/prototype-with-a-long-name-0042');
    await page.getByText('No measurements yet').waitFor();
    await context.close();
  });

  it('keeps old data with a note when a refresh fails', async () => {
    const { page, context } = await openPage(browser, url);
    await page.goto('/events');
    await page.getByText('of 137 events').waitFor();
    server.failing.set('/api/events', 500);
    server.send('impact', { ...server.events[0], id: 'unseen' });
    await page.getByText('Could not refresh the events').waitFor();
    expect(await page.locator('tbody tr').count()).toBe(25);
    await context.close();
  });

  it.each(['light', 'dark'] as const)('has enough contrast and fits 400 px on every page, %s', async (colorScheme) => {
    const { page, context, errors } = await openPage(browser, url, {
      colorScheme,
      viewport: { width: 400, height: 800 },
    });
    for (const path of pages) {
      await page.goto(path);
      await settled(page);
      expect(await overflowX(page), `${path} is wider than 400 px`).toBe(0);
      expect(await page.evaluate(poorContrasts), `${path}, ${colorScheme}`).toEqual([]);
    }
    const background = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    expect(background).toBe(colorScheme === 'dark' ? 'rgb(15, 20, 24)' : 'rgb(244, 246, 248)');
    expect(errors).toEqual([]);
    await context.close();
  });

  it('fits 1600 px, and keeps a chosen theme', async () => {
    const { page, context } = await openPage(browser, url, {
      viewport: { width: 1600, height: 900 },
      colorScheme: 'light',
    });
    for (const path of pages) {
      await page.goto(path);
      await settled(page);
      expect(await overflowX(page), path).toBe(0);
    }
    const theme = page.getByRole('button', { name: /^Theme/ });
    await theme.click();
    await theme.click();
    expect(await theme.getAttribute('aria-label')).toBe('Theme: dark');
    await page.reload();
    expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe('dark');
    await settled(page);
    expect(await page.evaluate(poorContrasts)).toEqual([]);
    await context.close();
  });

  it('is operated by the keyboard: skip link, visible focus, sorting, opening', async () => {
    const { page, context } = await openPage(browser, url);
    await page.goto('/events');
    await settled(page);
    // A key pressed before the first frame goes nowhere.
    await page.bringToFront();
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    await page.keyboard.press('Tab');
    const skip = page.getByRole('link', { name: 'Skip to the content' });
    await expect.poll(() => page.evaluate(() => document.activeElement?.className), patience).toBe('skip-link');
    expect((await skip.boundingBox())?.y).toBeGreaterThanOrEqual(0);
    await page.keyboard.press('Enter');
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('main');
    const focused: string[] = [];
    for (let step = 0; step < 26; step += 1) {
      await page.keyboard.press('Tab');
      const outline = await page.evaluate(() => {
        const element = document.activeElement;
        const drawn = element?.matches('.segments input') ? element.nextElementSibling : element;
        return drawn ? getComputedStyle(drawn).outlineStyle : 'nothing';
      });
      expect(outline, 'the focus is visible').not.toBe('none');
      focused.push(await page.evaluate(() => document.activeElement?.textContent ?? ''));
    }
    expect(focused).toContain('Score');
    await page.getByRole('button', { name: 'Vehicle', exact: true }).focus();
    await page.keyboard.press('Enter');
    await expect
      .poll(() => page.getByRole('columnheader', { name: 'Vehicle' }).getAttribute('aria-sort'), patience)
      .toBe('descending');
    await page.keyboard.press('Enter');
    await expect
      .poll(() => page.getByRole('columnheader', { name: 'Vehicle' }).getAttribute('aria-sort'), patience)
      .toBe('ascending');
    // Rows of the former order would take the focus with them.
    await page.locator('.table-frame[aria-busy=false] tbody tr', { hasText: 'truck-17' }).first().waitFor();
    await page.locator('tbody tr a').first().focus();
    await page.keyboard.press('Enter');
    await page.waitForURL('**/events/event-*');
    await expect.poll(() => page.evaluate(() => document.activeElement?.tagName), patience).toBe('H1');
    await context.close();
  });

  it('reads chart values under a cursor that the arrow keys move', async () => {
    const { page, context } = await openPage(browser, url);
    await page.goto('/vehicles/van-01');
    const chart = page.getByRole('slider', { name: 'Temperature: time cursor', exact: true });
    await chart.waitFor();
    await chart.focus();
    await page.keyboard.press('Home');
    const first = await chart.getAttribute('aria-valuetext');
    expect(first).toMatch(/^\d\d:\d\d:\d\d: Temp\. \d+\.\d °C$/);
    await page.keyboard.press('PageUp');
    await expect.poll(() => chart.getAttribute('aria-valuetext'), patience).not.toBe(first);
    expect(await page.locator('.chart-cursor').count()).toBeGreaterThan(5);
    await page.keyboard.press('Escape');
    await expect.poll(() => page.locator('.chart-cursor').count(), patience).toBe(0);
    await context.close();
  });

  it('names every control and image', async () => {
    const { page, context } = await openPage(browser, url);
    for (const path of pages) {
      await page.goto(path);
      await settled(page);
      const unnamed = await page.evaluate(() =>
        [...document.querySelectorAll('button, a, input, select, [role=slider]')]
          .filter((element) => {
            const labels = 'labels' in element ? [...(element.labels as NodeListOf<HTMLLabelElement>)] : [];
            const words = [
              element.getAttribute('aria-label'),
              element.textContent,
              ...labels.map((one) => one.textContent),
            ];
            return words.every((one) => !one?.trim());
          })
          .map((element) => element.outerHTML.slice(0, 120)),
      );
      expect(unnamed, path).toEqual([]);
    }
    await context.close();
  });
});
