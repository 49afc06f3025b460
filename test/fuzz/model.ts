/** `npm run fuzz -- --models`: damages model files, and holds what reads them, and the runtime that gets what passes, against what they must do. */
import { fuzzModels } from './model-cases.ts';

/** Prints what came of it; false when something failed. */
export async function runModelFuzz(seed: number, cases: number, onProgress: (done: number) => void): Promise<boolean> {
  const started = performance.now();
  const report = await fuzzModels(seed, cases, onProgress);
  const seconds = (performance.now() - started) / 1000;
  for (const failure of report.failures) process.stdout.write(`${JSON.stringify(failure)}\n`);
  process.stdout.write(
    `${report.failures.length} failures, ${seconds.toFixed(0)} s, ${report.refused} refused at once, ${report.failedTrial} by the runtime or for ` +
      `their scores, slowest check ${Math.round(report.slowestCheckMs)} ms, slowest trial ${Math.round(report.slowestTrialMs)} ms\n`,
  );
  return report.failures.length === 0;
}
