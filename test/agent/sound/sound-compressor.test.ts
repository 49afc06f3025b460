import { setTimeout as delay } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import type { Message } from '../../../agent/messages/message.ts';
import { encodeRawAudio } from '../../../agent/messages/messages.ts';
import type { FlacLink, FlacListener } from '../../../agent/sound/flac-link.ts';
import { plainSound } from '../../../agent/sound/plain-sound.ts';
import { compressedAudioMessage, type SoundView, soundFrames, viewSound } from '../../../agent/sound/raw-audio.ts';
import { type CompressorOptions, SoundCompressor } from '../../../agent/sound/sound-compressor.ts';
import type { Diagnostic } from '../../../drivers/sample.ts';
import { range, sound, stampAt, temperature } from '../recording/recording-fixtures.ts';

const topics = { plain: '/uma8/audio', flac: '/uma8/audio/flac' };

/** An encoder that answers when it is told to, with an empty stream. */
class FakeEncoder implements FlacLink {
  readonly taken: Uint8Array[] = [];
  ended = false;
  readonly #listener: FlacListener;
  constructor(listener: FlacListener) {
    this.#listener = listener;
  }
  ready(): void {
    this.#listener.ready();
  }
  send(message: Uint8Array<ArrayBuffer>): void {
    this.taken.push(message);
  }
  answer(count = 1): void {
    for (const message of this.taken.splice(0, count)) {
      const view = viewSound(message) as SoundView;
      this.#listener.answer({ compressed: compressedAudioMessage(view, new Uint8Array(3)) });
    }
  }
  refuse(): void {
    this.taken.shift();
    this.#listener.answer({ problem: 'it does not want to' });
  }
  die(): void {
    this.#listener.ended('it ended with code 1');
  }
  async end(): Promise<void> {
    this.ended = true;
  }
}

function compressorOf(options: Partial<CompressorOptions> = {}) {
  const written: Message[] = [];
  const diagnostics: Diagnostic[] = [];
  const encoders: FakeEncoder[] = [];
  const compressor = new SoundCompressor({
    write: (message) => written.push(message),
    onDiagnostic: (diagnostic) => diagnostics.push(diagnostic),
    startEncoder: (listener) => {
      const encoder = new FakeEncoder(listener);
      encoders.push(encoder);
      return encoder;
    },
    ...options,
  });
  compressor.start();
  const encoder = (): FakeEncoder => encoders.at(-1) as FakeEncoder;
  /** Sequences in the order in which they went on, by how they did. */
  const order = (): string =>
    written.map(({ topic, sequence }) => `${topic === topics.flac ? 'f' : 'p'}${sequence}`).join(' ');
  return { compressor, written, diagnostics, encoders, encoder, order };
}

test('sound comes out of a recording as it went in, byte for byte, with other messages untouched', async () => {
  const { compressor, written, diagnostics } = compressorOf({
    startEncoder: (await import('../../../agent/sound/flac-link.ts')).startFlacThread,
    deadlineMs: 10_000,
  });
  await vi.waitUntil(() => compressor.stats().state === 'compressing', { timeout: 20_000 });
  const given: Message[] = [];
  for (const index of range(60)) {
    const channels = 1 + (index % 8);
    const frames = [1600, 4410, 4801, 37][index % 4] as number;
    const pcm = Int16Array.from({ length: frames * channels }, (_, at) =>
      Math.round(9000 * Math.sin(at / (3 + index))),
    );
    const stamp = stampAt(BigInt(index) * 100_000_000n);
    const chunk = {
      stamp,
      firstFrame: 0n,
      sampleRateHz: [16_000, 44_100, 48_000][index % 3] as number,
      channels,
      frames,
      pcm,
    };
    const message = { ...sound(index), data: encodeRawAudio(chunk) };
    given.push(message, temperature(index));
    compressor.write(message);
    compressor.write(temperature(index));
    if (index % 3 === 2) await compressor.drain();
  }
  await compressor.drain();
  const { compressed, plain, waiting } = compressor.stats();
  expect({ compressed, plain, waiting }).toEqual({
    compressed: 60,
    plain: { starting: 0, late: 0, refused: 0 },
    waiting: 0,
  });
  const soundOf = (messages: readonly Message[]) => messages.filter(({ topic }) => topic.startsWith(topics.plain));
  expect(new Set(soundOf(written).map(({ topic, type }) => `${topic} ${type}`))).toEqual(
    new Set([`${topics.flac} fender_msgs/msg/CompressedAudio`]),
  );
  expect(soundOf(written).map(({ type, data }) => ({ type, ...soundFrames(data) }))).toEqual(
    soundOf(given).map(({ data }) => ({ type: 'fender_msgs/msg/CompressedAudio', ...soundFrames(data) })),
  );
  expect(await Promise.all(soundOf(written).map(plainSound))).toEqual(soundOf(given));
  expect(written.filter(({ topic }) => topic === '/bme680/temperature')).toEqual(range(60).map(temperature));
  expect(diagnostics).toEqual([]);
  await compressor.close();
}, 60_000);

test('sound goes on as it comes until the encoder is ready, and when the compressor is closed', async () => {
  const { compressor, encoder, order } = compressorOf();
  compressor.write(sound(0));
  encoder().ready();
  compressor.write(sound(1));
  encoder().answer();
  compressor.write(sound(2));
  await compressor.close();
  compressor.write(sound(3));
  expect(order()).toBe('p0 f1 p2 p3');
  expect(encoder().ended).toBe(true);
  expect(compressor.stats().plain).toEqual({ starting: 1, late: 1, refused: 0 });
});

test('an encoder that is late costs room, no sound and no order, and is told once', async () => {
  const { compressor, encoder, order, diagnostics, written } = compressorOf({ deadlineMs: 20 });
  encoder().ready();
  for (const index of range(7)) compressor.write(sound(index));
  // Four are with the encoder, the others wait behind them in their turn.
  expect(order()).toBe('');
  expect(encoder().taken.length).toBe(4);
  encoder().answer(1);
  expect(order()).toBe('f0');
  await compressor.drain();
  expect(order()).toBe('f0 p1 p2 p3 p4 p5 p6');
  expect(written.map(({ stamp }) => stamp)).toEqual(range(7).map((index) => sound(index).stamp));
  // What comes for chunks that are gone on is not recorded again.
  encoder().answer(3);
  compressor.write(sound(7));
  encoder().answer(1);
  expect(order()).toBe('f0 p1 p2 p3 p4 p5 p6 f7');
  expect(diagnostics.map(({ code }) => code)).toEqual(['flac-late']);
  for (const index of range(60, 8)) {
    compressor.write(sound(index));
    encoder().answer(1);
  }
  expect(diagnostics.map(({ code, level }) => `${code} ${level}`)).toEqual(['flac-late warn', 'ok ok']);
  expect(compressor.stats()).toMatchObject({ compressed: 62, plain: { starting: 0, late: 6, refused: 0 } });
  await compressor.close();
});

test('an encoder that dies or hangs is started again, and everything meanwhile is recorded as it came', async () => {
  const { compressor, encoder, encoders, order, diagnostics } = compressorOf({
    deadlineMs: 10,
    hangMs: 50,
    restartMs: 10,
  });
  encoder().ready();
  compressor.write(sound(0));
  compressor.write(sound(1));
  encoder().die();
  compressor.write(sound(2));
  expect(order()).toBe('p0 p1 p2');
  await vi.waitUntil(() => encoders.length === 2, { timeout: 10_000 });
  encoder().ready();
  compressor.write(sound(3));
  encoder().answer();
  compressor.write(sound(4));
  await vi.waitUntil(() => encoders.length === 3, { timeout: 10_000 });
  expect(encoders[1]?.ended).toBe(true);
  // The one that was given up wakes: what it says means nothing any more.
  encoders[1]?.answer();
  encoder().ready();
  compressor.write(sound(5));
  encoder().answer();
  expect(order()).toBe('p0 p1 p2 f3 p4 f5');
  expect(diagnostics.map(({ code }) => code)).toEqual(['flac-failed', 'flac-failed']);
  expect(diagnostics[1]?.message).toMatch(/did not answer for \d+ ms/);
  await compressor.close();
});

test('a chunk that the encoder refuses is recorded as it came', async () => {
  const { compressor, encoder, order, diagnostics } = compressorOf();
  encoder().ready();
  for (const index of range(3)) compressor.write(sound(index));
  encoder().refuse();
  encoder().answer(2);
  expect(order()).toBe('p0 f1 f2');
  expect(diagnostics.map(({ code, message }) => `${code}: ${message}`)).toEqual([
    'flac-refused: sound is recorded uncompressed: it does not want to',
  ]);
  await compressor.close();
});

test('the thread refuses what is no sound and goes on with what is', async () => {
  const { startFlacThread } = await import('../../../agent/sound/flac-link.ts');
  const answers: string[] = [];
  let isReady = false;
  const link = startFlacThread({
    ready: () => {
      isReady = true;
    },
    answer: (answer) => answers.push('compressed' in answer ? 'compressed' : answer.problem),
    ended: (problem) => answers.push(problem),
  });
  await vi.waitUntil(() => isReady, { timeout: 20_000 });
  link.send(new Uint8Array(40));
  const nineChannels = sound(0, 10, 9).data.slice();
  link.send(nineChannels);
  link.send(sound(1).data.slice());
  await vi.waitUntil(() => answers.length === 3, { timeout: 20_000 });
  expect(answers).toEqual([
    'expected whole frames of 16-bit samples, found others',
    'FLAC: no stream of 10 frames of 9 channels at 100 Hz',
    'compressed',
  ]);
  await link.end();
  await delay(20);
  expect(answers.length).toBe(3);
}, 60_000);
