/**
 * Owns what must hold of the commands that make files of a damaged bag (recover, export, cut, merge) and of the viewer's reading: they throw nothing
 * but their own errors, leave nothing half made, and what they make is whole.
 */

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bagCut, bagMerge } from '../../agent/bag/bag-merge.ts';
import { bagRecover } from '../../agent/bag/bag-recover.ts';
import { verifySource } from '../../agent/bag/bag-verify.ts';
import { memorySource } from '../../agent/bag/byte-source.ts';
import { bagExport } from '../../agent/bag/export/bag-export.ts';
import { BagError } from '../../central/web/src/bag/reading/bag-error.ts';
import { eventsOf } from '../../central/web/src/bag/reading/lines-and-events.ts';
import { openBag } from '../../central/web/src/bag/reading/open-bag.ts';
import { statisticsOf } from '../../central/web/src/bag/reading/statistics.ts';
import { ViewReader } from '../../central/web/src/bag/reading/view-reader.ts';
import { readLibrariesFromDisk } from '../central/web/local-libraries.ts';
import { aboutContent, allowed, type CheckCase } from './bag-cases.ts';

const formats = ['wav', 'csv', 'parquet'] as const;

/** Gives the check of one case, which works in a folder of its own, and the function that removes it. */
export async function toolCheck(): Promise<{ check: CheckCase; end: () => Promise<void> }> {
  readLibrariesFromDisk();
  const folder = await mkdtemp(join(tmpdir(), 'fender-fuzz-'));
  const check: CheckCase = async (from, bytes) => {
    const place = await mkdtemp(join(folder, 'case-'));
    try {
      await tryTools(place, from.bytes, bytes);
      await tryViewer(bytes);
    } finally {
      await rm(place, { recursive: true, force: true });
    }
  };
  return { check, end: () => rm(folder, { recursive: true, force: true }) };
}

async function tryTools(place: string, whole: Uint8Array, damaged: Uint8Array): Promise<void> {
  const inputs = join(place, 'in');
  await mkdir(inputs);
  const [path, other] = [join(inputs, 'damaged.mcap'), join(inputs, 'whole.mcap')];
  await Promise.all([writeFile(path, damaged), writeFile(other, whole)]);
  const made = new Set(['in']);
  const run = async (name: string, tool: (out: string) => Promise<unknown>): Promise<void> => {
    if ((await allowed(tool(join(place, name)))) !== null) made.add(name);
    const left = (await readdir(place)).filter((each) => !made.has(each));
    if (left.length > 0) throw new Error(`${name}: left ${left.join(', ')} behind`);
    if (made.has(name) && name.endsWith('.mcap')) await expectWhole(join(place, name));
  };
  await run('recovered.mcap', (out) => bagRecover(path, out));
  await run('exported', (out) => bagExport(path, out, { formats: [...formats], channels: undefined, gaps: 'silence' }));
  await run('cut.mcap', (out) => bagCut(path, out, { topics: ['/*'] }));
  await run('merged.mcap', (out) => bagMerge([path, other], out));
}

async function expectWhole(path: string): Promise<void> {
  const check = await allowed(verifySource(memorySource(await readFile(path), path)));
  const wrong = check?.findings.filter(({ severity, code }) => severity === 'error' && !aboutContent.has(code)) ?? [];
  if (wrong.length > 0) throw new Error(`${path}: ${JSON.stringify(wrong.slice(0, 3))}`);
}

async function tryViewer(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  try {
    const bag = await openBag('damaged', [{ name: 'damaged.mcap', blob: new Blob([bytes]) }], () => undefined);
    const series = bag.tracks.flatMap(({ id, infos }) => infos.map((_, field) => ({ topic: id, field }))).slice(0, 6);
    const query = { fromS: 0, toS: bag.durationS, width: 200, series, spectrum: null };
    await new ViewReader(bag, () => undefined).ask(query);
    await statisticsOf(bag, series, 0, bag.durationS, () => false);
    await eventsOf(bag);
  } catch (error) {
    if (!(error instanceof BagError)) throw error;
  }
}
