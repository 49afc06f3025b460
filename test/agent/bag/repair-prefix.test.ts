import { Opcode } from '@mcap/core';
import { describe, expect, test } from 'vitest';
import { readRecordHead } from '../../../agent/bag/mcap-records.ts';
import { seededRandom } from '../../fault/seeded-random.ts';
import { range, readIndexed, readStream } from '../recording/recording-fixtures.ts';
import { type MadeSegment, makeSegment, messageKey, repairedInMemory } from './torn-segment.ts';

/** What is wrong with the repair of `torn`, of which the chunks that `isWhole` names are whole; empty when nothing is. */
async function faultsOf(
  made: MadeSegment,
  torn: Uint8Array,
  isWhole: (chunk: number) => boolean,
  repaired = repairedInMemory(torn),
): Promise<string[]> {
  const { file, inPlace, report } = await repaired;
  const wanted = made.chunks.filter((_, index) => isWhole(index)).flatMap(({ messages }) => messages);
  const faults: string[] = [];
  const compare = (what: string, found: unknown, expected: unknown): void => {
    const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
    if (a !== b) faults.push(`${what}: expected ${b?.slice(0, 300)}, found ${a?.slice(0, 300)}`);
  };
  const byIndex = await readIndexed(file);
  compare('messages by the index', byIndex.map(messageKey).sort(), [...wanted].sort());
  const records = readStream(file);
  compare('messages told', Number(report.statistics.messageCount), wanted.length);
  // The report and the file say what is missing: where the file ended, and every byte that is in no record.
  const told = records.find((record) => record.type === 'Metadata' && record.name === 'fender.repair');
  const values = told?.type === 'Metadata' ? told.metadata : new Map<string, string>();
  const needsTelling = !report.ended || report.damagedBytes > 0;
  compare('told in the file', told !== undefined, needsTelling);
  if (needsTelling) {
    compare('cut off', values.get('cut_off'), String(!report.ended));
    compare('damaged bytes', values.get('damaged_bytes'), String(report.damagedBytes));
    compare('recovered messages', values.get('recovered_messages'), String(wanted.length));
  }
  compare(
    'damage adds up',
    report.damage.reduce((sum, { bytes }) => sum + bytes, 0),
    report.damagedBytes,
  );
  if (inPlace) compare('grows by little', file.byteLength <= torn.byteLength + made.bytes.byteLength + 20_000, true);
  return faults;
}

/** The largest record boundary up to `cut`: what is behind it is torn. */
function tornFrom(made: MadeSegment, cut: number): number {
  return made.boundaries.findLast((boundary) => boundary <= cut) ?? 0;
}

const dataEndOf = (made: MadeSegment): number =>
  made.boundaries.find((offset) => readRecordHead(made.bytes, offset)?.opcode === Opcode.DATA_END) ?? 0;

describe('a power cut', () => {
  const small = makeSegment(4, 6, 1, 'brief');
  const large = makeSegment(45, 4800, 8);

  test(`at any byte of a segment costs no whole chunk, and is reported (${small.bytes.byteLength + 1} prefixes)`, async () => {
    const faults: string[] = [];
    const dataEnd = dataEndOf(small);
    for (const cut of range(small.bytes.byteLength + 1)) {
      const torn = small.bytes.subarray(0, cut);
      const repaired = repairedInMemory(torn);
      const isWhole = (chunk: number): boolean => (small.chunks[chunk]?.end ?? 0) <= cut;
      for (const fault of await faultsOf(small, torn, isWhole, repaired)) faults.push(`cut at ${cut}: ${fault}`);
      const { inPlace, report } = await repaired;
      if (!inPlace) faults.push(`cut at ${cut}: written anew`);
      const expected = cut < dataEnd ? cut - tornFrom(small, cut) : null;
      if (expected !== null && report.damagedBytes !== expected) {
        faults.push(`cut at ${cut}: expected ${expected} torn bytes, found ${report.damagedBytes}`);
      }
    }
    expect(faults.slice(0, 10)).toEqual([]);
  }, 120_000);

  const random = seededRandom();

  test(`at 25 random bytes of a large segment costs no whole chunk [seed ${random.seed}]`, async () => {
    for (const _ of range(25)) {
      const cut = Math.floor(random.next() * (large.bytes.byteLength + 1));
      const torn = large.bytes.subarray(0, cut);
      expect({ cut, faults: await faultsOf(large, torn, (chunk) => (large.chunks[chunk]?.end ?? 0) <= cut) }).toEqual({
        cut,
        faults: [],
      });
    }
  }, 60_000);

  for (const blockBytes of [512, 4096]) {
    for (const content of ['zeros', 'noise'] as const) {
      test(`that leaves ${content} in the last ${blockBytes} bytes costs what is in them [seed ${random.seed}]`, async () => {
        const segments = [makeSegment(30, 100, 2), large] as const;
        for (const round of range(14)) {
          const made = segments[round % 2] as MadeSegment;
          const cut = Math.floor(random.next() * made.bytes.byteLength);
          const torn = Buffer.from(made.bytes.subarray(0, cut));
          // The file system had room for whole blocks, and the last one never got its content.
          const from = Math.max(0, Math.floor((cut - 1) / blockBytes) * blockBytes);
          for (let at = from; at < cut; at += 1) torn[at] = content === 'zeros' ? 0 : Math.floor(random.next() * 256);
          const faults = await faultsOf(made, torn, (chunk) => (made.chunks[chunk]?.end ?? 0) <= from);
          expect({ cut, from, faults }).toEqual({ cut, from, faults: [] });
        }
      }, 60_000);

      test(`that loses blocks of ${blockBytes} bytes to ${content} in the middle costs the chunks in them [seed ${random.seed}]`, async () => {
        for (const _ of range(8)) {
          const cut = Math.floor((0.5 + random.next() / 2) * large.bytes.byteLength);
          const torn = Buffer.from(large.bytes.subarray(0, cut));
          const firstChunk = large.chunks[2]?.end ?? 0;
          const lost = range(1 + Math.floor(random.next() * 3)).map(() => {
            const first = Math.ceil(firstChunk / blockBytes);
            return (first + Math.floor(random.next() * (Math.floor(cut / blockBytes) - first))) * blockBytes;
          });
          for (const from of lost) {
            for (let at = from; at < Math.min(cut, from + blockBytes); at += 1) {
              torn[at] = content === 'zeros' ? 0 : Math.floor(random.next() * 256);
            }
          }
          const isWhole = (index: number): boolean => {
            const { start = 0, end = 0 } = large.chunks[index] ?? {};
            return end <= cut && torn.compare(large.bytes, start, end, start, end) === 0;
          };
          expect({ cut, lost, faults: await faultsOf(large, torn, isWhole) }).toEqual({ cut, lost, faults: [] });
        }
      }, 60_000);
    }
  }
});
