/** What the dashboard's browser tests share: the built dashboard, Debian's Chromium, and pages that report their errors. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { build } from 'vite';

const chromiumPath = '/usr/bin/chromium';
const chromiumMissing = !existsSync(chromiumPath);
/** On a machine that is to have everything, a missing browser fails the tests instead of leaving them out. */
export const leaveOut = chromiumMissing && process.env.CI === undefined;

const root = fileURLToPath(new URL('../../../central/web', import.meta.url));

async function sourceHash(): Promise<string> {
  const hash = createHash('sha256');
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !relative(root, file).startsWith('dist'))
    .sort();
  for (const file of files) hash.update(relative(root, file)).update(await readFile(file));
  return hash.digest('hex').slice(0, 16);
}

/** Builds the dashboard once for its present sources, whatever number of test files ask; returns the folder. */
export async function builtDashboard(): Promise<string> {
  const folder = join(tmpdir(), `fender-dashboard-${process.getuid?.() ?? 0}`, await sourceHash());
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.${process.pid}`;
  await mkdir(unfinished, { recursive: true });
  const environment = process.env.NODE_ENV;
  await build({ root, logLevel: 'error', build: { outDir: unfinished, emptyOutDir: true } });
  process.env.NODE_ENV = environment;
  await rename(unfinished, folder).catch(async (error) => {
    await rm(unfinished, { recursive: true, force: true });
    // Another test file may have been faster; then its build is as good.
    if (!existsSync(folder)) throw error;
  });
  return folder;
}

/** For `expect.poll`: loaded machines need patience, not retries. */
export const patience = { timeout: 10_000 };

export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--autoplay-policy=no-user-gesture-required',
    ],
  });
}

export interface OpenPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors of the page so far: uncaught ones and those on the console, HTTP failures apart. */
  readonly errors: string[];
}

export async function openPage(
  browser: Browser,
  baseURL: string,
  options: BrowserContextOptions = {},
): Promise<OpenPage> {
  const context = await browser.newContext({
    baseURL,
    timezoneId: 'Europe/Berlin',
    locale: 'en-GB',
    viewport: { width: 1280, height: 900 },
    reducedMotion: 'reduce',
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      errors.push(message.text());
  });
  return { page, context, errors };
}

/** How many pixels the page is wider than its window: 0 when nothing sticks out. */
export function overflowX(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}
