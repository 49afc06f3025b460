/** Cuts the sound of one channel out of a bag, for listening. */
import type { Bag } from './bag.ts';
import type { SeriesKey } from './bag-model.ts';

/** Sound of a span from `fromS` on, −1 to 1; silence where nothing was recorded. */
export interface SoundSpan {
  readonly fromS: number;
  readonly rateHz: number;
  readonly samples: Float32Array<ArrayBuffer>;
}

export async function soundOf(bag: Bag, key: SeriesKey, fromS: number, toS: number): Promise<SoundSpan> {
  const track = bag.tracks[key.topic];
  if (track?.kind !== 'sound' || !(toS > fromS) || toS - fromS > 30)
    return { fromS, rateHz: 48_000, samples: new Float32Array() };
  const { rateHz } = track;
  const chunks = track.within(fromS, toS).map((place) => track.chunks[place] as number);
  await bag.load(chunks.map((chunk) => ({ track, chunk })).filter((want) => bag.isMissing(want)));
  const samples = new Float32Array(Math.round((toS - fromS) * rateHz));
  for (const chunk of chunks) {
    const decoded = bag.decoded(track, chunk);
    if (decoded?.kind !== 'sound') continue;
    decoded.blocks.forEach((block, at) => {
      const offset = Math.round(((decoded.t[at] as number) - fromS) * rateHz);
      const frames = block.samples.length / block.channels;
      const end = Math.min(frames, samples.length - offset);
      for (let frame = Math.max(0, -offset); frame < end; frame += 1) {
        samples[offset + frame] = (block.samples[frame * block.channels + key.field] ?? 0) / 32_768;
      }
    });
  }
  return { fromS, rateHz, samples };
}
