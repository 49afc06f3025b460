/** Times that a vehicle did not know, snapshots and lost clips, on the dashboard of the real service. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeMessage, encodeMessage } from '../../../sync/wire/frame.ts';
import { topicOf } from '../../../sync/wire/topics.ts';
import { CommandSchema, ReportedSchema, type Record as WireRecord } from '../../../sync/wire/wire_pb.js';
import { type CentralFixture, openCentral } from '../fixture.ts';
import { bootId, impactOf, recordOf, TestVehicle } from '../test-vehicle.ts';
import { builtDashboard, launchChromium, leaveOut, type OpenPage, openPage, patience } from './browser.ts';

const second = 1_000_000_000n;
/** Seconds that the vehicle has been up. */
const upS = 600;

describe.skipIf(leaveOut)('dashboard and time (needs /usr/bin/chromium)', () => {
  let central: CentralFixture;
  let browser: Browser;
  let opened: OpenPage;
  let vehicle: TestVehicle;
  let bootNs: bigint;

  /** `record` at its second of the boot, by a clock that began in 1970 or by the right one. */
  function at(record: WireRecord, synchronised: boolean): WireRecord {
    record.capturedAtNs = record.monotonicNs + (synchronised ? bootNs : 0n);
    record.synchronised = synchronised;
    return record;
  }

  async function telemetry(first: number, last: number, synchronised: boolean): Promise<void> {
    const rows = Array.from({ length: last - first + 1 }, (_, index) => {
      const monotonicNs = BigInt(first + index) * second;
      const capturedAtNs = monotonicNs + (synchronised ? bootNs : 0n);
      const stamp = { capturedAtNs, monotonicNs, bootId, synchronised, estimatedErrorNs: null };
      return { sequence: first + index, stamp, values: { temperature_c: 20 + Math.sin(index / 20) } };
    });
    await vehicle.telemetry('bme680/environment', rows);
  }

  beforeAll(async () => {
    central = await openCentral({ webFolder: await builtDashboard() });
    browser = await launchChromium();
    opened = await openPage(browser, central.http);
    bootNs = BigInt(Date.now()) * 1_000_000n - BigInt(upS) * second;
    vehicle = await TestVehicle.connect('van-01', central.mqtt);
    await vehicle.state(true);
    await telemetry(1, 400, false);
    const lost = { stream: 'clip/event-2', firstSequence: 0n, lastSequence: 0n, reason: 'not-recorded' };
    const fine = { level: 'ok', code: 'ok', message: 'Working.', cure: '', values: {} };
    await vehicle.records('events', [at(impactOf(300, 'event-1'), false), at(impactOf(350, 'event-2'), false)]);
    await vehicle.records('drops', [
      at(recordOf(360, { case: 'drop', value: { $typeName: 'fender.v1.Drop', ...lost } }), false),
    ]);
    const diagnostics = ['bme680', 'uma8'].map((source, index) =>
      recordOf(390 + index, { case: 'diagnostic', value: { $typeName: 'fender.v1.Diagnostic', ...fine, source } }),
    );
    await vehicle.records(
      'diagnostics',
      diagnostics.map((record) => at(record, false)),
    );
    await vehicle.until(() => vehicle.acked('diagnostics').size === 2, 'acks');
  });
  afterAll(async () => {
    expect(opened?.errors).toEqual([]);
    await vehicle?.end();
    await browser?.close();
    await central?.close();
  });

  const rowOf = (page: Page, id: string) => page.locator('tbody tr', { has: page.locator(`a[href="/events/${id}"]`) });

  it('marks times that nobody knows, and puts them right before the eyes', async () => {
    const { page } = opened;
    await page.goto('/vehicles/van-01');
    const diagnostics = page.getByRole('region', { name: 'Diagnostics' });
    await diagnostics.locator('.diagnostic').nth(1).waitFor();
    // Once for all of them, not at each.
    expect(await diagnostics.getByText('time unknown').count()).toBe(1);
    await page.goto('/events');
    await page.getByText('Live', { exact: true }).waitFor();
    const row = rowOf(page, 'event-1');
    await row.getByText('time unknown').waitFor();
    expect(await row.innerText()).toContain('1970');
    await telemetry(401, 600, true);
    await row.getByText('time put right').waitFor();
    expect(await row.innerText()).not.toContain('1970');
    expect(await row.getByText('time put right').getAttribute('title')).toContain('1970-01-01 00:05:00');
    expect(await rowOf(page, 'event-2').innerText()).toContain('lost');
  });

  it('says so on the page of the event and of the vehicle, at any width', async () => {
    const { page } = opened;
    for (const width of [400, 1600]) {
      await page.setViewportSize({ width, height: 900 });
      await page.goto('/events/event-2');
      await page.getByText('time put right').waitFor();
      await page.getByText('The clip is lost').waitFor();
      expect(await page.getByText('not-recorded').count()).toBe(1);
      await page.goto('/vehicles/van-01');
      await page.getByText('400 records').waitFor();
      await page.locator('.diagnostic').getByText('time put right').nth(1).waitFor();
      expect(await page.getByRole('region', { name: 'Diagnostics' }).getByText('time unknown').count()).toBe(0);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      expect(overflow, `width ${width}`).toBeLessThanOrEqual(0);
    }
  });

  it('takes a snapshot, says what came of it, and shows it without a score', async () => {
    const { page } = opened;
    let refuse = true;
    await vehicle.client.subscribeAsync(topicOf('van-01', 'command'), { qos: 1 });
    vehicle.client.on('message', (topic, payload) => {
      if (!topic.endsWith('/command')) return;
      const { id } = decodeMessage(CommandSchema, payload);
      const answer = refuse
        ? { status: 'refused', code: 'busy', message: 'another snapshot is being taken', values: {} }
        : { status: 'done', code: 'ok', message: 'taken', values: { event_id: 'snap-1' } };
      const value = { commandId: id, ...answer };
      void vehicle.publish(
        topicOf('van-01', 'reported'),
        encodeMessage(ReportedSchema, { body: { case: 'commandResult', value } }),
      );
    });
    await page.goto('/vehicles/van-01');
    await page.getByText('Live', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Take snapshot' }).click();
    await page.getByText('Refused: another snapshot is being taken').waitFor();
    refuse = false;
    await page.getByRole('button', { name: 'Take snapshot' }).click();
    await page.getByText('Snapshot taken.').waitFor();
    const snapshot = impactOf(599, 'snap-1', 'snapshot', 1);
    if (snapshot.body.case === 'impact')
      Object.assign(snapshot.body.value, { modelName: '', modelVersion: '', scores: [] });
    await vehicle.records('events', [at(snapshot, true)]);
    const toast = page.locator('.toast');
    await toast.waitFor();
    await expect.poll(() => toast.innerText(), patience).toContain('Snapshot');
    expect(await toast.locator('.number').count()).toBe(0);
    await page.getByRole('link', { name: 'Open it' }).click();
    await page.getByRole('heading', { name: 'A snapshot' }).waitFor();
    expect(await page.locator('.scores').count()).toBe(0);
    await page.goto('/events?label=snapshot');
    const row = rowOf(page, 'snap-1');
    await row.waitFor();
    expect(await row.locator('.chip-snapshot').innerText()).toBe('Snapshot');
    expect(await row.locator('.score-track').count()).toBe(0);
  });
});
