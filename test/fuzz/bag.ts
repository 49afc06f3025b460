/**
 * `npm run fuzz`: damages bags in 100 000 ways and holds what all bag tools stand on (info, verify, recover, reading in order, CDR) against what it
 * must do with them; with --tools, the commands that make files (recover, export, cut, merge) and the viewer's reading;
 * with --models, model files instead (model.ts). Prints its seed.
 */

import { parseArgs } from 'node:util';
import { fuzzBags } from './bag-cases.ts';
import { toolCheck } from './tool-cases.ts';
import { watchCases } from './watchdog.ts';

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
    tools: { type: 'boolean' },
    models: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
});

if (values.help) {
  process.stdout.write(
    'npm run fuzz -- [--cases N] [--seed N] [--tools | --models]   (one case again: --cases 1 --seed N)\n',
  );
} else {
  const [cases, seed] = [Number(values.cases), Number(values.seed)];
  process.stdout.write(`${cases} cases from seed ${seed}\n`);
  const started = performance.now();
  const onProgress = (done: number): void => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${done} of ${cases}`);
    else if (done % 5000 === 0) process.stderr.write(`${done} of ${cases}\n`);
  };
  if (values.models) {
    const { runModelFuzz } = await import('./model.ts');
    process.exit((await runModelFuzz(seed, cases, onProgress)) ? 0 : 1);
  }
  const tools = values.tools ? await toolCheck() : null;
  const watchdog = watchCases(seed);
  const onCase = (done: number): void => {
    watchdog.began(done);
    if (done % 500 === 0) onProgress(done);
  };
  const report = await fuzzBags(seed, cases, onCase, tools?.check);
  await tools?.end();
  const seconds = (performance.now() - started) / 1000;
  for (const failure of report.failures) process.stdout.write(`${JSON.stringify(failure)}\n`);
  process.stdout.write(
    `${report.failures.length} failures, ${seconds.toFixed(0)} s, slowest case ${Math.round(report.slowestMs)} ms (seed ${report.slowestSeed}), ` +
      `resident memory at most ${Math.round(report.largestResidentBytes / 1e6)} MB\n`,
  );
  process.exitCode = report.failures.length === 0 ? 0 : 1;
}
