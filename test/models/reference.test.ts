import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { countReference, emptyReference } from '../../models/reference.ts';
import { testDescription } from './description.ts';

const soxMissing = spawnSync('sox', ['--version']).error !== undefined && process.env.CI === undefined;

/** A WAV file of mono 16-bit samples at 8 kHz. */
function wav(samples: Int16Array): Buffer {
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + samples.byteLength, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(8000, 24);
  head.writeUInt32LE(16_000, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36);
  head.writeUInt32LE(samples.byteLength, 40);
  return Buffer.concat([head, Buffer.from(samples.buffer)]);
}

describe.skipIf(soxMissing)(`the reference for drift${soxMissing ? ' (skipped: sox is not installed)' : ''}`, () => {
  test('counts every window of every clip, and a short clip as one', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fender-reference-'));
    try {
      await writeFile(
        join(folder, 'loud.wav'),
        wav(new Int16Array(16_000).map((_, i) => (i % 2 === 0 ? 16_384 : -16_384))),
      );
      await writeFile(join(folder, 'short.wav'), wav(new Int16Array(400)));
      await writeFile(join(folder, 'clips.csv'), 'file,fold,class,group\nloud.wav,1,x,other\nshort.wav,1,x,other\n');
      const description = testDescription();
      const scorer = {
        run: async (audio: Float32Array) => Float32Array.from((audio[0] ?? 0) > 0.1 ? [0.075, 0.925, 0] : [1, 0, 0]),
      };
      const histograms = await countReference(scorer, description, join(folder, 'clips.csv'));
      // Two seconds in windows of one, one each quarter: 5; and silence.
      const filled = Object.fromEntries(
        histograms.map(({ feature, counts }) => [feature, counts.flatMap((n, i) => (n > 0 ? [[i, n]] : []))]),
      );
      expect(filled).toMatchObject({
        rms_dbfs: [
          [0, 1],
          [18, 5],
        ],
        'score:body_impact': [
          [0, 1],
          [18, 5],
        ],
        'score:background': [
          [1, 5],
          [19, 1],
        ],
      });
      expect(emptyReference(description.labels).map(({ feature }) => feature)).toEqual(
        histograms.map(({ feature }) => feature),
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
