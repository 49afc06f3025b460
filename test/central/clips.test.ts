import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readClip } from '../../central/clips/clip-file.ts';
import { shownTypes, toSeries } from '../../central/clips/sensors.ts';
import { joinSound, toWav } from '../../central/clips/sound.ts';
import { type ClipFixture, channels, chunkFrames, makeClip, sampleRateHz, samplesOf } from './clip-fixture.ts';
import { temporaryFolder } from './fixture.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let clip: ClipFixture;
beforeAll(async () => {
  folder = await temporaryFolder();
  clip = await makeClip(folder.path, 5);
});
afterAll(async () => {
  await folder.remove();
});

async function messagesOf(fixture: ClipFixture) {
  const path = join(folder.path, `${fixture.sha256}.read`);
  await writeFile(path, fixture.data);
  return (await readClip(path, shownTypes)).messages;
}

test('the sound of a clip is what was captured, sample by sample, together and channel by channel', async () => {
  const sound = joinSound(await messagesOf(clip));
  expect(sound).toMatchObject({
    sampleRateHz,
    channels,
    frames: 5 * chunkFrames,
    startNs: clip.startNs,
    missingFrames: 0,
  });
  if (sound === null) throw new Error('no sound');
  const all = toWav(sound, null);
  expect(all.toString('latin1', 0, 4)).toBe('RIFF');
  expect(all.readUInt32LE(4)).toBe(all.byteLength - 8);
  expect([all.readUInt16LE(22), all.readUInt32LE(24)]).toEqual([channels, sampleRateHz]);
  expect(samplesOf(all)).toEqual(clip.pcm);
  const third = samplesOf(toWav(sound, 3));
  expect(third).toEqual(clip.pcm.filter((_, at) => at % channels === 3));
});

test('missing sound becomes silence of the same length, so that what follows keeps its time', async () => {
  const holed = await makeClip(folder.path, 6, [2, 3]);
  const sound = joinSound(await messagesOf(holed));
  expect(sound).toMatchObject({ frames: 6 * chunkFrames, missingFrames: 2 * chunkFrames });
  const per = chunkFrames * channels;
  expect(sound?.pcm.slice(2 * per, 4 * per).every((sample) => sample === 0)).toBe(true);
  expect(sound?.pcm.slice(4 * per)).toEqual(holed.pcm.slice(4 * per));
});

test('a stamp far away ends the sound instead of filling the memory with silence', async () => {
  const messages = await messagesOf(clip);
  const sounds = messages.filter(({ type }) => type === 'foxglove_msgs/msg/RawAudio');
  const first = sounds[0]?.fields.timestamp as { sec: number; nsec: number };
  for (const hours of [1, 100_000]) {
    const timestamp = { sec: first.sec + 3600 * hours, nsec: first.nsec };
    const odd = sounds.map((one, at) => (at < 3 ? one : { ...one, fields: { ...one.fields, timestamp } }));
    expect(joinSound(odd)).toMatchObject({ frames: 3 * chunkFrames, missingFrames: 0 });
  }
});

test('every sensor becomes a series over the clip, with its unit; what was not measured is left out', async () => {
  const series = toSeries(await messagesOf(clip), clip.startNs);
  const shown = Object.fromEntries(
    series.map(({ topic, field, unit, t_s, values }) => [
      `${topic} ${field}`,
      { unit, at: t_s[0], first: values[0], length: values.length },
    ]),
  );
  expect(shown).toEqual({
    '/uma8/audio level': { unit: 'dBFS', at: 0.01, first: expect.closeTo(-19.2, 0), length: 25 },
    '/bme680/temperature temperature': { unit: '°C', at: 0.25, first: 21.5, length: 1 },
    '/bme680/humidity humidity': { unit: '1', at: 0.25, first: 0.4, length: 1 },
    '/bme680/pressure pressure': { unit: 'Pa', at: 0.25, first: 101_325, length: 1 },
    '/bme680/gas gas_resistance': { unit: 'Ω', at: 0.25, first: 12_000, length: 1 },
    '/plantower/particulate pm1': { unit: 'µg/m³', at: 0.4, first: 3, length: 1 },
    '/plantower/particulate pm2_5': { unit: 'µg/m³', at: 0.4, first: 7, length: 1 },
    '/plantower/particulate pm10': { unit: 'µg/m³', at: 0.4, first: 9, length: 1 },
  });
});

test('a file that is no MCAP is called unreadable by its name, and nobody learns where central keeps it', async () => {
  const path = join(folder.path, 'junk');
  await writeFile(path, 'not a bag');
  await expect(readClip(path, shownTypes)).rejects.toMatchObject({
    code: 'clip-unreadable',
    message: expect.stringMatching(/^junk: expected 17 bytes/),
  });
});
