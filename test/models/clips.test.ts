import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeClip, parseCsv, readClips } from '../../models/clips.ts';

const soxMissing = spawnSync('sox', ['--version']).error !== undefined;
const SKIP_SOX = soxMissing && process.env.CI === undefined;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fender-clips-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function list(text: string): Promise<string> {
  const path = join(folder, 'clips.csv');
  await writeFile(path, text);
  return path;
}

describe('a clip list', () => {
  test('is read in any column order, with quotes, relative to itself', async () => {
    const path = await list('\uFEFFgroup,class,"file",fold,title\r\nimpact,knock,"a/b, c.ogg",1,"say ""hi"""\r\n');
    const expected = {
      file: 'a/b, c.ogg',
      path: join(folder, 'a/b, c.ogg'),
      fold: '1',
      class: 'knock',
      group: 'impact',
      label: '',
    };
    expect(await readClips(path)).toEqual([expected]);
  });

  test.each([
    ['file,fold,class\na,1,b\n', 'missing column group'],
    ['', 'missing column file, fold, class, group'],
    ['file,fold,class,group\n', 'at least one clip'],
    ['file,fold,class,group\na,1,b\n', 'clip 1: expected 4 cells, found 3 cells'],
    ['file,fold,class,group\na,1,b,\n', 'clip 1: expected 4 cells, found no group'],
    ['file,fold,class,group\n,1,b,c\n', 'clip 1: expected 4 cells, found no file'],
    ['file,fold,class,group\na,1,"b,c\n', 'line 2'],
  ])('is refused with the reason: %j', async (text, reason) => {
    await expect(readClips(await list(text))).rejects.toThrow(reason);
  });

  test('may leave fold and class empty, and may say which label is right', async () => {
    const [clip] = await readClips(await list('file,fold,class,group,label\na,,,impact,glass_break\n'));
    expect(clip).toMatchObject({ fold: '', class: '', group: 'impact', label: 'glass_break' });
  });

  test('is refused when it is not there', async () => {
    await expect(readClips(join(folder, 'none.csv'))).rejects.toMatchObject({ code: 'invalid-clips' });
  });

  test('gives back every table that was written as CSV', () => {
    const cell = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', ' ', 'ü'), maxLength: 5 });
    fc.assert(
      fc.property(fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 5 }), (rows) => {
        const text = rows.map((row) => row.map((c) => `"${c.replaceAll('"', '""')}"`).join(',')).join('\n');
        expect(parseCsv(text, 'random')).toEqual(rows);
      }),
    );
  });
});

describe.skipIf(SKIP_SOX)(`decoding clips${SKIP_SOX ? ' (skipped: sox is not installed)' : ''}`, () => {
  test('turns any format into mono samples at the wanted rate', async () => {
    const path = join(folder, '-tone.wav');
    spawnSync('sox', ['-n', '-r', '44100', '-c', '2', path, 'synth', '0.5', 'sine', '1000', 'gain', '-6']);
    const samples = await decodeClip(path, 48_000);
    expect(samples.length).toBe(24_000);
    expect(Math.max(...samples)).toBeCloseTo(0.5, 1);
  });

  test('refuses a clip of more than ten minutes instead of cutting it', async () => {
    const path = join(folder, 'long.wav');
    spawnSync('sox', ['-n', '-r', '1000', '-c', '1', path, 'synth', '600.5', 'sine', '100']);
    await expect(decodeClip(path, 1000)).rejects.toThrow(/long\.wav: expected a clip of at most 600 s, found more/);
    spawnSync('sox', ['-n', '-r', '1000', '-c', '1', path, 'synth', '600', 'sine', '100']);
    expect((await decodeClip(path, 1000)).length).toBe(600_000);
  });

  test('says which clip cannot be read and why', async () => {
    const path = join(folder, 'broken.ogg');
    await writeFile(path, 'this is not sound');
    await expect(decodeClip(path, 48_000)).rejects.toMatchObject({ code: 'unreadable-clip', retryable: false });
    await expect(decodeClip(path, 48_000)).rejects.toThrow(/broken\.ogg: sox cannot decode it/);
    await expect(decodeClip(join(folder, 'none.wav'), 48_000)).rejects.toMatchObject({ code: 'unreadable-clip' });
  });

  test('stops when it is told to', async () => {
    await expect(decodeClip('any.wav', 48_000, AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' });
  });
});

test('decoding without sox says how to install it', async () => {
  const path = process.env.PATH;
  process.env.PATH = folder;
  try {
    await expect(decodeClip('any.wav', 48_000)).rejects.toMatchObject({ code: 'sox-missing' });
    await expect(decodeClip('any.wav', 48_000)).rejects.toThrow(/apt-get install sox/);
  } finally {
    process.env.PATH = path;
  }
});
