/** Bags in the dashboard of a real central service: a file of this computer, a dropped one, and an event's clip. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeClip } from '../clip-fixture.ts';
import { type CentralFixture, openCentral } from '../fixture.ts';
import { impactOf, recordOf, TestVehicle } from '../test-vehicle.ts';
import { flacBag, foreignBag, stoppedRecordings, storedLz4 } from './bag-fixtures.ts';
import { builtDashboard, launchChromium, leaveOut, type OpenPage, openPage, overflowX, patience } from './browser.ts';

describe.skipIf(leaveOut)('bags in the dashboard (needs /usr/bin/chromium)', () => {
  let folder: string;
  let central: CentralFixture;
  let vehicle: TestVehicle;
  let browser: Browser;
  let opened: OpenPage;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fender-bag-page-'));
    central = await openCentral({ webFolder: await builtDashboard() });
    vehicle = await TestVehicle.connect('truck-1', central.mqtt);
    await vehicle.state(true);
    browser = await launchChromium();
    opened = await openPage(browser, central.http);
    await foreignBag(join(folder, 'foreign.mcap'), storedLz4);
    await flacBag(join(folder, 'flac.mcap'));
  });

  afterAll(async () => {
    await browser?.close();
    await vehicle?.client.endAsync(true);
    await central?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('opens files that are picked, and sends nothing of them anywhere', async () => {
    const { page } = opened;
    const sent: string[] = [];
    page.on('request', (request) => {
      if (request.method() !== 'GET') sent.push(request.url());
    });
    await page.goto('/');
    await page.getByRole('link', { name: 'Bags' }).click();
    await page.getByText('nothing is uploaded').waitFor();
    await page.getByLabel('Choose files').setInputFiles(join(folder, 'foreign.mcap'));
    await page.locator('.time-row-title', { hasText: 'linear_acceleration' }).waitFor();
    // Decoders that are WebAssembly work under the service's content security policy.
    await page.getByLabel('Open another').setInputFiles(join(folder, 'flac.mcap'));
    await page.getByText('4 × 48 kHz').waitFor();
    await expect.poll(() => page.locator('.bag-statistics tbody tr').count(), patience).toBe(1);
    expect(sent).toEqual([]);
  });

  it('fits 400 and 1600 px with a bag open, or one that cannot be opened, and shows where the focus is', async () => {
    const { page } = opened;
    await writeFile(join(folder, 'empty.mcap'), '');
    for (const name of ['foreign.mcap', 'empty.mcap']) {
      await page.goto('/bags');
      await page.getByLabel('Choose files').setInputFiles(join(folder, name));
      await (name === 'empty.mcap' ? page.getByRole('alert') : page.locator('.bag-rows')).waitFor();
      for (const width of [400, 1600]) {
        await page.setViewportSize({ width, height: 900 });
        await expect.poll(() => overflowX(page), { ...patience, message: `${name} at ${width} px` }).toBe(0);
      }
      await page.getByRole('heading', { level: 1 }).click();
      await page.keyboard.press('Tab');
      await page.getByLabel('Open another').focus();
      expect(await page.locator('.bag-open .button').evaluate((button) => getComputedStyle(button).outlineStyle)).toBe(
        'solid',
      );
    }
  });

  it('opens a file that is dropped, and says what one is that is no bag', async () => {
    const { page } = opened;
    await page.goto('/bags');
    const bytes = await readFile(join(folder, 'foreign.mcap'));
    const drop = async (name: string, content: Buffer) => {
      const transfer = await page.evaluateHandle(
        ([fileName, data]) => {
          const dropped = new DataTransfer();
          const content = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
          dropped.items.add(new File([content], fileName));
          return dropped;
        },
        [name, content.toString('base64')] as const,
      );
      await page.getByRole('region', { name: 'Open a bag' }).dispatchEvent('drop', { dataTransfer: transfer });
    };
    await drop('foreign.mcap', bytes);
    await page.locator('.time-row-title', { hasText: 'latitude' }).waitFor();
    await page.goto('/bags');
    await drop('notes.txt', Buffer.from('hello'));
    await page
      .getByRole('alert')
      .getByText(/At offset 0: expected an MCAP bag/)
      .waitFor();
  });

  it("opens a recording's folder that is dropped, and says what is in one that is none", async () => {
    const { page } = opened;
    const paths = await stoppedRecordings(join(folder, 'recordings/one'), true);
    await writeFile(join(folder, 'recordings/one/metadata.yaml'), 'rosbag2_bagfile_information:\n');
    await mkdir(join(folder, 'photos/deep'), { recursive: true });
    for (const name of ['a.jpg', 'deep/b.jpg']) await writeFile(join(folder, 'photos', name), 'x');
    await mkdir(join(folder, 'nothing'));
    // As from the desktop's file manager.
    const protocol = await page.context().newCDPSession(page);
    const drop = async (...dropped: string[]) => {
      await page.goto('/bags');
      const box = await page.getByRole('region', { name: 'Open a bag' }).boundingBox();
      const [x, y] = [(box?.x ?? 0) + 60, (box?.y ?? 0) + 60];
      const data = { items: [], files: dropped.map((name) => join(folder, name)), dragOperationsMask: 1 };
      for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
        await protocol.send('Input.dispatchDragEvent', { type, x, y, data });
      }
    };
    for (const dropped of ['recordings', 'recordings/one']) {
      await drop(dropped);
      await page.locator('.bag-facts').getByText(`in ${paths.length} files`).waitFor();
      await page.getByText('1 × 48 kHz').waitFor();
    }
    const alert = page.getByRole('alert');
    await drop('photos');
    await alert.getByText('photos cannot be shown').waitFor();
    await alert.getByText("Expected a recording's folder with .mcap files in it, found a.jpg, b.jpg").waitFor();
    await drop('nothing');
    await alert.getByText('found no files').waitFor();
    await drop('nothing', 'foreign.mcap');
    await page.locator('.time-row-title', { hasText: 'latitude' }).waitFor();
    // Onto the page that shows it now: another in its place, or why not.
    const onto = async (name: string) => {
      const data = { items: [], files: [join(folder, name)], dragOperationsMask: 1 };
      for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
        await protocol.send('Input.dispatchDragEvent', { type, x: 200, y: 300, data });
      }
    };
    await onto('photos');
    await alert.getByText('photos cannot be shown').waitFor();
    await page.locator('.time-row-title', { hasText: 'latitude' }).waitFor();
    // What was wrong with a drop is over once another bag is picked.
    await page.getByLabel('Open another').setInputFiles(join(folder, 'foreign.mcap'));
    await expect.poll(() => alert.count(), patience).toBe(0);
    await onto('recordings/one');
    await page.getByText('1 × 48 kHz').waitFor();
    expect(await alert.count()).toBe(0);
  });

  it('opens the clip of an event from its page', async () => {
    const { page } = opened;
    await vehicle.records('events', [impactOf(1, 'event-1')]);
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
    await page.goto('/events/event-1');
    await page.getByRole('link', { name: 'Open as a bag' }).click();
    await page.waitForURL('**/bags?clip=event-1');
    await page.getByText('8 × 48 kHz').waitFor();
    await page.locator('.time-row-title', { hasText: 'Air pressure' }).waitFor();
    await page.getByRole('link', { name: 'The event' }).click();
    await page.waitForURL('**/events/event-1');
    await page.goto('/bags?clip=nothing');
    await page.getByRole('alert').waitFor();
    expect(opened.errors).toEqual([]);
  });
});
