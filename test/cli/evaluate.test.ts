import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const CLIPS = join(ROOT, '../shared/data/esc50/clips.csv');
const missing = existsSync(CLIPS) ? '' : ' (skipped: no real clips in shared/data/esc50)';

describe.skipIf(missing !== '')(`fender evaluate on fold 4${missing}`, () => {
  test('the int8 model that never met it ranks impacts above everything else: ROC AUC at least 0.95', async () => {
    const model = 'models/folds/impact.fold-4.int8.onnx';
    const args = ['evaluate', '--model', model, '--clips', CLIPS, '--fold', '4', '--json'];
    const program = [join(ROOT, 'bin/fender.ts'), ...args];
    const { stdout } = await promisify(execFile)(process.execPath, program, { cwd: ROOT, maxBuffer: 16e6 });
    const result = JSON.parse(stdout);
    console.log(`roc_auc ${result.roc_auc}, recall_at_fpr ${JSON.stringify(result.recall_at_fpr)}`);
    expect(result.seen_in_training).toBe(false);
    expect(result.clips).toHaveLength(194);
    expect(Object.keys(result.recall_at_fpr).sort()).toEqual(['0.02', '0.05', '0.1']);
    expect(result.roc_auc).toBeGreaterThanOrEqual(0.95);
  }, 120_000);
});
