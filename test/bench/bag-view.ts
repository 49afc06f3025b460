/** Measures the bag viewer in Chromium on a bag of one hour: time to the first picture, bytes read, frames while moving, memory. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { openBagView } from '../../agent/bag-view/bag-view.ts';
import { builtDashboard, launchChromium } from '../central/web/browser.ts';
import { makeHourBag } from './hour-bag.ts';

export interface BagViewFigures {
  readonly bagBytes: number;
  /** From the navigation to the first frame with data, ms: of a cold page, median of five. */
  readonly firstPictureMs: number;
  /** Until nothing is left to read for that view, ms. */
  readonly wholePictureMs: number;
  readonly readBytes: number;
  /** Frames while the view moves: how many a second, and the longest, ms. */
  readonly hour: FrameFigures;
  readonly seconds: FrameFigures;
  /** Heap of page and worker after that, bytes. */
  readonly heapBytes: number;
}

export interface FrameFigures {
  readonly perSecond: number;
  readonly longestMs: number;
  readonly p99Ms: number;
}

/** @param overview whether the bag has the recorder's overview. */
export async function benchBagView(seconds = 3600, overview = true): Promise<BagViewFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'fender-bench-view-'));
  let browser: Browser | null = null;
  try {
    const bag = await makeHourBag({ folder, seconds, overview });
    const view = await openBagView({ name: 'hour', files: bag.paths, dashboard: await builtDashboard(), port: 0 });
    browser = await launchChromium();
    const firsts: number[] = [];
    let whole = 0;
    let page: Page | null = null;
    for (let run = 0; run < 5; run += 1) {
      await page?.context().close();
      page = await (await browser.newContext({ viewport: { width: 1600, height: 1000 } })).newPage();
      await page.goto(view.url);
      await page.waitForFunction(() => performance.getEntriesByName('bag-first-picture').length > 0, null, {
        timeout: 60_000,
      });
      firsts.push(await page.evaluate(() => performance.getEntriesByName('bag-first-picture')[0]?.startTime ?? 0));
      await page.waitForFunction(
        () => !/reading \d+ %/.test(document.querySelector('.bag-position')?.textContent ?? ''),
        null,
        { timeout: 120_000 },
      );
      whole = await page.evaluate(() => performance.now());
    }
    if (page === null) throw new Error('expected a page');
    const readBytes = await bytesShown(page);
    const hour = await framesWhilePanning(page, 300);
    const secondsView = await framesWhilePanning(page, 12);
    const heapBytes = await heapOf(page);
    await view.close();
    firsts.sort((one, other) => one - other);
    return {
      bagBytes: bag.bytes,
      firstPictureMs: firsts[2] ?? 0,
      wholePictureMs: whole,
      readBytes,
      hour,
      seconds: secondsView,
      heapBytes,
    };
  } finally {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** What the page says that it has read. */
async function bytesShown(page: Page): Promise<number> {
  const text = await page.locator('.bag-facts > div', { hasText: 'Read so far' }).locator('dd').innerText();
  const [number = '0', unit = 'B'] = text.split(/\s/);
  return Number(number) * 1024 ** ['B', 'KiB', 'MiB', 'GiB'].indexOf(unit);
}

/** Zooms in to about `spanS`, drags the ruler to and fro for 5 s, and takes the gaps between frames. */
async function framesWhilePanning(page: Page, spanS: number): Promise<FrameFigures> {
  const ruler = page.locator('.ruler .time-row-plot');
  const box = await ruler.boundingBox();
  if (!box) throw new Error('expected the ruler');
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page
    .getByRole('button', { name: 'All' })
    .click({ timeout: 2000 })
    .catch(() => undefined);
  await page.mouse.move(x, y);
  for (let step = 0; step < Math.ceil(Math.log2(3600 / spanS)); step += 1) {
    await page.mouse.wheel(0, -315);
    await page.waitForTimeout(150);
  }
  await page.waitForTimeout(1500);
  await page.evaluate(() => {
    const gaps: number[] = [];
    Object.assign(globalThis, { frameGaps: gaps });
    let last = performance.now();
    const next = (now: number) => {
      gaps.push(now - last);
      last = now;
      requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  });
  const started = performance.now();
  for (let round = 0; performance.now() - started < 5000; round += 1) {
    await page.mouse.move(x + (round % 2 === 0 ? 400 : -400), y);
    await page.mouse.down();
    await page.mouse.move(x + (round % 2 === 0 ? -400 : 400), y, { steps: 40 });
    await page.mouse.up();
  }
  const gaps = await page.evaluate(() => (globalThis as unknown as { frameGaps: number[] }).frameGaps.slice(1));
  gaps.sort((one, other) => one - other);
  const sum = gaps.reduce((all, gap) => all + gap, 0);
  return {
    perSecond: (1000 * gaps.length) / sum,
    longestMs: gaps.at(-1) ?? 0,
    p99Ms: gaps[Math.floor(gaps.length * 0.99)] ?? 0,
  };
}

async function heapOf(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  const [worker] = page.workers();
  const inWorker = (await worker?.evaluate('performance.memory?.usedJSHeapSize ?? 0')) as number | undefined;
  return usedSize + (inWorker ?? 0);
}

if (import.meta.main) {
  const figures = await benchBagView(Number(process.argv[2] ?? 3600), process.argv[3] !== 'without-overview');
  process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`);
}
