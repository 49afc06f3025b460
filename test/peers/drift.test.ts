import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { driftDistances, SMOOTHING_COUNTS } from '../../models/drift.ts';
import { FEATURE_EDGES, SCORE_EDGES } from '../../models/features.ts';
import { below, randomFrom } from '../fuzz/mutations.ts';

const python = join(import.meta.dirname, '.venv/bin/python');
/** `.ci/run` makes the environment; elsewhere: python3 -m venv test/peers/.venv, and pip install -r test/peers/requirements.txt in it. */
const isThere = existsSync(python) || process.env.CI !== undefined;
const seed = Date.now() % 1_000_000_000;
const cases = 1000;

describe.skipIf(!isThere)(
  `the distances of histograms${isThere ? '' : ' (skipped: test/peers/.venv is absent)'}`,
  () => {
    test(`are those of SciPy to 1e-9, on ${cases} random histograms of seed ${seed}`, () => {
      const random = randomFrom(seed);
      const allEdges = [...Object.values(FEATURE_EDGES), SCORE_EDGES];
      const asked = Array.from({ length: cases }, () => {
        const edges = allEdges[below(random, allEdges.length)] as readonly number[];
        // From one window to a day of them, peaked or flat, with many empty bins or none.
        const [most, filled] = [10 ** (1 + below(random, 5)), random()];
        const counts = () => {
          const all = edges.slice(1).map(() => (random() < filled ? below(random, most) : 0));
          all[below(random, all.length)] = 1 + below(random, most);
          return all;
        };
        return { p: counts(), q: counts(), edges };
      });
      const input = asked.map((one) => JSON.stringify({ ...one, smoothing: SMOOTHING_COUNTS })).join('\n');
      const { stdout, stderr } = spawnSync(python, [join(import.meta.dirname, 'drift.py')], {
        input,
        encoding: 'utf8',
      });
      expect(stderr).toBe('');
      const answers = stdout.trim().split('\n');
      expect(answers.length).toBe(cases);
      let worst = 0;
      for (const [i, { p, q, edges }] of asked.entries()) {
        const theirs = JSON.parse(answers[i] as string) as Record<string, number>;
        for (const [name, ours] of Object.entries(driftDistances(p, q, edges))) {
          worst = Math.max(worst, Math.abs(ours - (theirs[name] as number)) / Math.max(1, Math.abs(ours)));
        }
      }
      console.log(`largest difference from SciPy: ${worst.toExponential(1)}`);
      expect(worst).toBeLessThan(1e-9);
    }, 60_000);
  },
);
