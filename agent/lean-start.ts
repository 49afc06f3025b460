/**
 * Starts the agent lean: once the configuration is checked, this process replaces itself (same id) by one that never loads what
 * only checking needs, whose code comes compiled from a cache, and whose heap is set up for little garbage. That saves the vehicle
 * about 60 MB.
 */
import { access, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { enableCompileCache, flushCompileCache } from 'node:module';
import { join, resolve } from 'node:path';
import type { AgentConfig } from './config/schema.ts';

/** Carries the checked configuration, as JSON, to the lean process. */
export const CONFIG_VARIABLE = 'FENDER_CHECKED_CONFIG';

/** The agent's garbage is large buffers, for which a small young generation is collected soon enough. */
const FLAGS: readonly string[] = ['--max-semi-space-size=1'];

/** The agent's modules, compiled ahead for the lean process and the detector's. Native addons that do not load are left out. */
const MODULES: readonly string[] = [
  './lean-process.ts',
  './run-configured.ts',
  './detector/serve.ts',
  '../models/detector.ts',
  '../models/package.ts',
  '../models/session.ts',
  '../drivers/plantower/device.ts',
  '../drivers/plantower/emulator.ts',
  '../drivers/sds011/device.ts',
  '../drivers/sds011/emulator.ts',
  '../drivers/sps30/device.ts',
  '../drivers/sps30/emulator.ts',
  '../drivers/bme680/device.ts',
  '../drivers/bme680/emulator.ts',
  '../drivers/serial-port.ts',
  '../drivers/i2c-bus.ts',
  '../drivers/uma8/device.ts',
  '../drivers/uma8/arecord.ts',
  '../drivers/uma8/replay.ts',
  '../drivers/uma8/generated/source.ts',
];

/** Replaces this process; returns only where that is not possible, and the agent then runs in this process as it is. */
export async function replaceByLeanProcess(config: AgentConfig): Promise<void> {
  if (process.execve === undefined) return;
  const cacheFolder = join(resolve(config.data_dir), 'cache');
  await compileAhead(cacheFolder).catch(() => {});
  const main = resolve(import.meta.dirname, 'lean-process.ts');
  const env = {
    ...process.env,
    NODE_COMPILE_CACHE: cacheFolder,
    // Fewer arenas keep freed buffers in fewer places (mallopt(3)).
    MALLOC_ARENA_MAX: process.env.MALLOC_ARENA_MAX ?? '2',
    [CONFIG_VARIABLE]: JSON.stringify(config),
  };
  try {
    process.execve(process.execPath, [process.execPath, ...FLAGS, main], env);
  } catch {
    // Then the agent runs in this process.
  }
}

/** Fills the compile cache, once for each version of Node and state of the program. */
async function compileAhead(cacheFolder: string): Promise<void> {
  const mark = join(cacheFolder, `compiled-${process.version}-${await newestSourceMs()}`);
  const isDone = await access(mark).then(
    () => true,
    () => false,
  );
  if (isDone) return;
  await rm(cacheFolder, { recursive: true, force: true });
  await mkdir(cacheFolder, { recursive: true });
  enableCompileCache(cacheFolder);
  await Promise.allSettled(MODULES.map((path) => import(path)));
  flushCompileCache();
  await writeFile(mark, '');
}

/** When a source file of the agent's rooms was changed last, in ms since 1970: one that is not compiled ahead costs all of the gain. */
async function newestSourceMs(): Promise<number> {
  let newestMs = 0;
  for (const room of ['agent', 'drivers', 'models', 'sync']) {
    const folder = resolve(import.meta.dirname, '..', room);
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const sources = entries.filter((entry) => entry.isFile() && /\.(ts|js)$/.test(entry.name));
    const infos = await Promise.all(sources.map((entry) => stat(join(entry.parentPath, entry.name))));
    newestMs = Math.max(newestMs, ...infos.map(({ mtimeMs }) => mtimeMs));
  }
  return Math.round(newestMs);
}
