/** The dashboard on the real central service: a vehicle's values, impact and clip, from MQTT to the player. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeClip } from '../clip-fixture.ts';
import { type CentralFixture, openCentral } from '../fixture.ts';
import { impactOf, recordOf, rowsOf, TestVehicle } from '../test-vehicle.ts';
import { builtDashboard, launchChromium, leaveOut, type OpenPage, openPage, patience } from './browser.ts';

describe.skipIf(leaveOut)('dashboard on the real service (needs /usr/bin/chromium)', () => {
  let central: CentralFixture;
  let vehicle: TestVehicle;
  let browser: Browser;
  let opened: OpenPage;

  beforeAll(async () => {
    central = await openCentral({ webFolder: await builtDashboard() });
    vehicle = await TestVehicle.connect('truck-1', central.mqtt);
    await vehicle.state(true);
    await vehicle.telemetry('bme680/environment', rowsOf(1, 100));
    browser = await launchChromium();
    opened = await openPage(browser, central.http);
  });

  afterAll(async () => {
    await browser?.close();
    await vehicle?.client.endAsync(true);
    await central?.close();
  });

  it('shows the vehicle, its impact the moment it arrives, and plays the clip once it is whole', async () => {
    const { page, errors } = opened;
    await page.goto('/');
    await page.getByRole('article', { name: 'truck-1' }).getByText('Online').waitFor();
    await page.getByText('Live', { exact: true }).waitFor();

    await vehicle.records('events', [impactOf(1, 'event-1')]);
    const notices = page.getByRole('region', { name: 'New events' });
    await notices.getByRole('link', { name: 'Open' }).click();
    await page.waitForURL('**/events/event-1');
    await page.getByText('Waiting for the clip').waitFor();

    const clip = await makeClip(central.dataDir, 20);
    const value = {
      $typeName: 'fender.v1.Clip' as const,
      eventId: 'event-1',
      sha256: clip.sha256,
      bytes: BigInt(clip.data.byteLength),
      startNs: clip.startNs,
      endNs: clip.endNs,
    };
    await vehicle.records('clips', [recordOf(1, { case: 'clip', value })]);
    await vehicle.upload(clip.sha256, clip.data);
    await page.locator('.timeline:not(.timeline-waiting)').waitFor();
    expect(await page.getByText('0.00 / 2.00 s').isVisible()).toBe(true);
    const position = page.getByRole('slider', { name: 'Position in the clip' });
    await page.keyboard.press('Space');
    await expect.poll(async () => Number(await position.getAttribute('aria-valuenow')), patience).toBeGreaterThan(0.3);
    for (const title of ['Particulate matter', 'Temperature', 'Relative humidity', 'Air pressure', 'Gas resistance']) {
      await page.locator('.time-row-title', { hasText: title }).waitFor();
    }
    const temperature = page.locator('.time-row', { hasText: 'Temperature' });
    await position.press('Home');
    await expect.poll(() => temperature.locator('.legend-value').innerText(), patience).toBe('21.5');
    expect(errors).toEqual([]);
  });
});
