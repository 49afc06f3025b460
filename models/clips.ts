/** Lists of labelled clips (CSV) and their sound, decoded by sox to the model's rate. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ModelError } from './error.ts';

export interface Clip {
  /** As in the list, relative to it. */
  readonly file: string;
  /** Absolute path of the sound. */
  readonly path: string;
  /** Empty where the list does not say. */
  readonly fold: string;
  /** What is heard; empty where the list does not say. */
  readonly class: string;
  /** `impact`, or anything else. */
  readonly group: string;
  /** Which of the model's labels is right, from the column `label` where there is one; else empty. */
  readonly label: string;
}

const COLUMNS = ['file', 'fold', 'class', 'group'] as const;
/** What a row cannot do without. */
const FILLED = ['file', 'group'] as const;
/** Ten minutes at 48 kHz: a clip is short; anything longer is a mistake. */
const MAX_CLIP_S = 600;

/**
 * Reads a CSV (RFC 4180, header line, at least the columns file, fold, class, group in any order, of which fold and class may
 * be empty; `label` is read, others are ignored). Throws ModelError `invalid-clips` naming the line and column at fault.
 */
export async function readClips(csvPath: string): Promise<Clip[]> {
  let text: string;
  try {
    text = await readFile(csvPath, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ModelError('invalid-clips', `cannot read the clip list ${csvPath}: ${reason}`, { cause });
  }
  const [header = [], ...rows] = parseCsv(text, csvPath);
  const missing = COLUMNS.filter((column) => !header.includes(column));
  if (missing.length > 0) {
    const message = `${csvPath}: missing column ${missing.join(', ')}; expected ${COLUMNS.join(', ')}, found ${header.join(', ') || 'an empty file'}`;
    throw new ModelError('invalid-clips', message);
  }
  if (rows.length === 0) {
    throw new ModelError('invalid-clips', `${csvPath}: expected at least one clip under the header, found none`);
  }
  const folder = dirname(resolve(csvPath));
  return rows.map((row, i) => {
    const at = (column: (typeof COLUMNS)[number]) => row[header.indexOf(column)] ?? '';
    const empty = FILLED.find((column) => at(column) === '');
    if (row.length !== header.length || empty !== undefined) {
      const found = row.length === header.length ? `no ${empty}` : `${row.length} cells`;
      throw new ModelError(
        'invalid-clips',
        `${csvPath}: clip ${i + 1}: expected ${header.length} cells, found ${found}`,
      );
    }
    const file = at('file');
    const label = row[header.indexOf('label')] ?? '';
    return { file, path: resolve(folder, file), fold: at('fold'), class: at('class'), group: at('group'), label };
  });
}

/** Rows of cells of a CSV text (RFC 4180; also bare line feeds and a byte order mark); empty lines are skipped. */
export function parseCsv(text: string, name: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;
  cell.lastIndex = text.startsWith('\uFEFF') ? 1 : 0;
  while (cell.lastIndex < text.length) {
    const from = cell.lastIndex;
    const match = cell.exec(text);
    if (match === null) {
      const line = text.slice(0, from).split('\n').length;
      throw new ModelError(
        'invalid-clips',
        `${name}: line ${line}: expected cells with balanced quotes, found a stray quote`,
      );
    }
    row.push(match[1] === undefined ? (match[2] ?? '') : match[1].replaceAll('""', '"'));
    if (match[3] !== ',') {
      if (row.length > 1 || row[0] !== '') {
        rows.push(row);
      }
      row = [];
    } else if (cell.lastIndex === text.length) {
      rows.push([...row, '']);
      row = [];
    }
  }
  return rows;
}

/**
 * Decodes a sound file of any format that sox reads to mono float32 (−1..1) at `sampleRateHz`, without dither, so that
 * every run reads the same samples. Throws ModelError `sox-missing`, `unreadable-clip` (with sox's words) or `aborted`.
 */
export async function decodeClip(path: string, sampleRateHz: number, signal?: AbortSignal): Promise<Float32Array> {
  const bytes = await runSox(path, sampleRateHz, signal);
  if (bytes.length < 2) {
    throw new ModelError('unreadable-clip', `${path}: expected sound, found none`);
  }
  if (bytes.length / 2 > MAX_CLIP_S * sampleRateHz) {
    const cure = 'cut it into clips; for whole recordings there is fender replay';
    throw new ModelError('unreadable-clip', `${path}: expected a clip of at most ${MAX_CLIP_S} s, found more; ${cure}`);
  }
  const samples = new Float32Array(bytes.length >> 1);
  for (let i = 0; i < samples.length; i++) {
    samples[i] = bytes.readInt16LE(2 * i) / 32768;
  }
  return samples;
}

function runSox(path: string, sampleRateHz: number, signal: AbortSignal | undefined): Promise<Buffer> {
  const output = ['-t', 'raw', '-r', String(sampleRateHz), '-e', 'signed', '-b', '16', '-L', '-c', '1', '-'];
  // A path that begins with a dash would be an option; ours is absolute or made so.
  const child = spawn('sox', ['-D', resolve(path), ...output, 'trim', '0', String(MAX_CLIP_S + 1)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(signal === undefined ? {} : { signal }),
  });
  return new Promise((done, fail) => {
    const chunks: Buffer[] = [];
    let words = '';
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => {
      words = (words + chunk.toString()).slice(0, 500);
    });
    child.on('error', (cause: NodeJS.ErrnoException) => fail(startError(cause, path)));
    child.on('close', (code) => {
      if (code === 0) {
        done(Buffer.concat(chunks));
      } else {
        const said = words.trim().replaceAll('\n', ' ') || `exit code ${code}`;
        fail(new ModelError('unreadable-clip', `${path}: sox cannot decode it: ${said}`));
      }
    });
  });
}

function startError(cause: NodeJS.ErrnoException, path: string): ModelError {
  if (cause.name === 'AbortError') {
    return new ModelError('aborted', `decoding of ${path} was stopped`, { cause, retryable: true });
  }
  if (cause.code === 'ENOENT') {
    const cure = 'install it, for instance: apt-get install sox libsox-fmt-all';
    return new ModelError('sox-missing', `decoding clips needs the program sox, which is not installed; ${cure}`, {
      cause,
    });
  }
  return new ModelError('unreadable-clip', `${path}: sox cannot start: ${cause.message}`, { cause, retryable: true });
}
