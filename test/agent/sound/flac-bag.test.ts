import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { bagMerge } from '../../../agent/bag/bag-merge.ts';
import { Recorder } from '../../../agent/recording/recorder.ts';
import { readBagSound } from '../../../agent/replay/bag-sound.ts';
import { openFlacEncoder } from '../../../agent/sound/flac-encoder.ts';
import { compressedAudioMessage, compressedAudioType, viewSamples } from '../../../agent/sound/raw-audio.ts';
import { clock, range, readStream, sound } from '../recording/recording-fixtures.ts';
import { scratchFolder } from '../recording/scratch-folder.ts';

test('a recording in which some sound is FLAC and some is not is replayed as it was heard, with nothing counted as lost', async () => {
  const encode = await openFlacEncoder();
  const folder = await scratchFolder();
  const recorder = await Recorder.open(folder, { vehicle: 'car-7', recordingId: 'mixed', minFreeBytes: 0 }, clock);
  const given = range(12).map((index) => sound(index, 4800, 2));
  for (const message of given) {
    const view = viewSamples(message.data);
    if (view === null) throw new Error('expected samples');
    const flac = encode(view.pcm, view.channels, view.sampleRateHz);
    const packed = { topic: '/uma8/audio/flac', type: compressedAudioType, data: compressedAudioMessage(view, flac) };
    recorder.write(message.sequence % 3 === 0 ? message : { ...message, ...packed });
    await recorder.flush();
  }
  await recorder.close();
  expect(recorder.stats()).toMatchObject({ messages: 12, lostMessages: 0 });
  const heard: number[] = [];
  const times: bigint[] = [];
  for await (const { pcm, firstSampleNs, channels } of readBagSound(join(folder, 'mixed'), '/uma8/audio')) {
    expect([pcm.length, channels]).toEqual([9600, 2]);
    expect(pcm.every((sample) => sample === pcm[0])).toBe(true);
    heard.push(pcm[0] as number);
    times.push(firstSampleNs);
  }
  expect(heard).toEqual(range(12));
  expect(times).toEqual(given.map(({ stamp }) => stamp.capturedAtNs));

  // A bag made of it has the overview of all its sound, however it was packed.
  await bagMerge([join(folder, 'mixed')], join(folder, 'merged.mcap'));
  const records = readStream(await readFile(join(folder, 'merged.mcap')));
  const overview = records.find((record) => record.type === 'Attachment');
  expect(JSON.parse(new TextDecoder().decode(overview?.data)).series).toMatchObject([
    { topic: '/uma8/audio', field: 'ch0', count: [48_000, 9600] },
    { topic: '/uma8/audio', field: 'ch1', count: [48_000, 9600] },
  ]);
});
