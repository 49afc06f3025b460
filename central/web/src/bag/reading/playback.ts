/** Cuts the sound of one channel out of a bag, for listening. */
import type { Bag } from './bag.ts';
import type { SeriesKey } from './bag-model.ts';
import type { SoundBlock } from './sound.ts';

/** Sound of a span from `fromS` on, −1 to 1; silence where nothing was recorded. */
export interface SoundSpan {
  readonly fromS: number;
  readonly rateHz: number;
  readonly samples: Float32Array<ArrayBuffer>;
}

/** So late at most a message that has a stamp of its own gets to a recorder; another stamp is not believed. */
const latestS = 1;

/** How late the sound of a track is played behind its stamps, s: one for all spans of it, so that they join. */
const lateOf = new WeakMap<object, number>();

/**
 * Where each block begins. A recorder other than Fender's logs a message when it got there, early or late: so blocks lie as far
 * apart as their stamps, and as late as the middle one of those that were asked for first.
 */
function placed(track: object, blocks: readonly Placeable[]): number[] {
  // Stamps that several blocks share do not tell where each of them lies.
  const isTold = new Set(blocks.map(({ block }) => block.stampNs)).size === blocks.length;
  const believed = blocks.map(({ lateS }) => lateS).filter((lateS) => Math.abs(lateS) <= latestS);
  const usualS = lateOf.get(track) ?? believed.toSorted((one, other) => one - other)[believed.length >> 1];
  if (!isTold || usualS === undefined) return blocks.map(({ t }) => t);
  lateOf.set(track, usualS);
  return blocks.map(({ t, lateS }) => (Math.abs(lateS - usualS) <= latestS ? t - lateS + usualS : t));
}

interface Placeable {
  readonly block: SoundBlock;
  readonly t: number;
  readonly lateS: number;
}

export async function soundOf(bag: Bag, key: SeriesKey, fromS: number, toS: number): Promise<SoundSpan> {
  const track = bag.tracks[key.topic];
  if (track?.kind !== 'sound' || !(toS > fromS) || toS - fromS > 30)
    return { fromS, rateHz: 48_000, samples: new Float32Array() };
  const { rateHz } = track;
  const chunks = track.within(fromS - latestS, toS + latestS).map((place) => track.chunks[place] as number);
  await bag.load(chunks.map((chunk) => ({ track, chunk })).filter((want) => bag.isMissing(want)));
  const samples = new Float32Array(Math.round((toS - fromS) * rateHz));
  const blocks = chunks.flatMap((chunk) => {
    const decoded = bag.decoded(track, chunk);
    if (decoded?.kind !== 'sound') return [];
    return decoded.blocks.map((block, at) => {
      const t = decoded.t[at] as number;
      return { block, t, lateS: t - Number(block.stampNs - bag.originNs) / 1e9 };
    });
  });
  const starts = placed(track, blocks);
  for (const [at, { block }] of blocks.entries()) {
    const offset = Math.round(((starts[at] as number) - fromS) * rateHz);
    const frames = block.samples.length / block.channels;
    const end = Math.min(frames, samples.length - offset);
    for (let frame = Math.max(0, -offset); frame < end; frame += 1) {
      samples[offset + frame] = (block.samples[frame * block.channels + key.field] ?? 0) / 32_768;
    }
  }
  return { fromS, rateHz, samples };
}
