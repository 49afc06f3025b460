/** Builds the dashboard when it was never built, or its sources are newer. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const web = join(root, 'central/web');

/** The dashboard's sources do not build. */
export class BuildError extends Error {
  readonly code = 'build-failed';
}

/**
 * @param say told what takes its time.
 * @returns the folder of the built dashboard.
 * @throws BuildError with what the build said.
 */
export async function buildDashboard(signal: AbortSignal, say: (line: string) => void): Promise<string> {
  const dist = join(web, 'dist');
  const built = join(dist, 'index.html');
  if (existsSync(built) && statSync(built).mtimeMs > newest(web)) return dist;
  say('  dashboard  being built, once …');
  const started = performance.now();
  const child = spawn(process.execPath, [join(root, 'node_modules/vite/bin/vite.js'), 'build', web], {
    cwd: root,
    signal,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes: Buffer) => {
      output += bytes.toString();
    });
  }
  const code = await new Promise<number | null>((done) => {
    child.on('error', () => done(null));
    child.on('exit', done);
  });
  if (code !== 0)
    throw new BuildError(`the dashboard could not be built; \`npm run build\` said:\n${output.slice(-2_000)}`);
  say(`  dashboard  built in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return dist;
}

function newest(folder: string): number {
  let latest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === 'dist' || entry.name === 'node_modules') continue;
    const path = join(folder, entry.name);
    latest = Math.max(latest, entry.isDirectory() ? newest(path) : statSync(path).mtimeMs);
  }
  return latest;
}
