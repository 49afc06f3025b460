import { spawnSync } from 'node:child_process';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SystemClock } from '../../agent/clock.ts';
import { encodeRawAudio } from '../../agent/messages/messages.ts';
import { Recorder } from '../../agent/recording/recorder.ts';
import { readBagSound } from '../../agent/replay/bag-sound.ts';
import { readFileSound } from '../../agent/replay/file-sound.ts';
import type { ReplayedBlock } from '../../agent/replay/replayed-block.ts';
import { replay } from '../../agent/replay.ts';
import { wavHeader } from '../../drivers/uma8/wav.ts';
import { driveMessages, madeBag, soundMessage } from './bag/bag-fixtures.ts';

const RATE_HZ = 48_000;
const SKIP_SOX = spawnSync('sox', ['--version']).error !== undefined && process.env.CI === undefined;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fender-replay-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** A ramp that tells every sample apart. */
function ramp(samples: number): Int16Array<ArrayBuffer> {
  return new Int16Array(samples).map((_, index) => (index * 7) % 30_000);
}

async function collect(blocks: AsyncIterable<ReplayedBlock>) {
  const pcm: number[] = [];
  const times: bigint[] = [];
  let share = 0;
  for await (const block of blocks) {
    pcm.push(...block.pcm);
    times.push(block.firstSampleNs);
    share = block.share;
  }
  return { pcm, times, share };
}

describe('replay', () => {
  it('reads a WAV as it is, in blocks with their times', async () => {
    const pcm = ramp(2 * 12_000);
    const path = join(folder, 'ramp.wav');
    await writeFile(path, Buffer.concat([wavHeader(RATE_HZ, 2, pcm.byteLength), new Uint8Array(pcm.buffer)]));
    const read = await collect(readFileSound(path, RATE_HZ));
    expect(read.pcm).toEqual([...pcm]);
    expect(read.times).toEqual([0n, 100_000_000n, 200_000_000n]);
    expect(read.share).toBe(1);
  });

  it('takes a name that sox would take for an option or a command', { skip: SKIP_SOX }, async () => {
    const cwd = process.cwd();
    const made = join(folder, 'tone.flac');
    spawnSync('sox', ['-n', '-r', '22050', made, 'synth', '0.3', 'sine', '440']);
    try {
      await copyFile(made, join(folder, '-tone.flac'));
      process.chdir(folder);
      const read = await collect(readFileSound('-tone.flac', RATE_HZ));
      expect(read.pcm.length).toBeGreaterThan(0.29 * RATE_HZ);
    } finally {
      process.chdir(cwd);
    }
  });

  it('reads the sound of a bag with its recorded times', async () => {
    const clock = new SystemClock({ checkPeriodMs: 1000, qualityPeriodMs: 1000, stepThresholdMs: 50 });
    const recorder = await Recorder.open(join(folder, 'bags'), { vehicle: 'v' }, clock);
    const pcm = ramp(8 * 4_800);
    const stamps = [0n, 100_000_000n].map((ns) => clock.at(clock.monotonicNs() + ns));
    for (const [sequence, stamp] of stamps.entries()) {
      const chunk = { stamp, firstFrame: 0n, sampleRateHz: RATE_HZ, channels: 8, frames: 4_800, pcm };
      const type = 'foxglove_msgs/msg/RawAudio';
      recorder.write({ topic: '/uma8/audio', type, sequence, stamp, data: encodeRawAudio(chunk) });
    }
    await recorder.close();
    const bag = join(folder, 'bags', recorder.recordingId);
    const read = await collect(readBagSound(bag, '/uma8/audio'));
    expect(read.pcm).toEqual([...pcm, ...pcm]);
    expect(read.times).toEqual(stamps.map(({ capturedAtNs }) => capturedAtNs));
    await expect(collect(readBagSound(bag, '/other'))).rejects.toThrow(
      /expected sound on \/other, found the topics \/uma8/,
    );
  });

  it('tells of a damaged or foreign bag the file, the offset, what was expected and what was found', async () => {
    const whole = madeBag(driveMessages(2));
    const read = async (bytes: Uint8Array) => {
      const path = join(folder, 'damaged.mcap');
      await writeFile(path, bytes);
      return collect(readBagSound(path, '/uma8/audio'));
    };
    const changed = (at: number, value: number) => Buffer.from(whole).fill(value, at, at + 1);
    const sound = whole.indexOf(soundMessage(3).data);
    await expect(read(changed(sound + 100, 0xff))).rejects.toThrow(
      /damaged\.mcap: expected a whole record at offset \d+, found \d+ damaged bytes \(chunk CRC: expected \w+, found \w+\)/,
    );
    const header = 8;
    await expect(read(changed(header, 0))).rejects.toThrow(/damaged\.mcap: expected a whole record at offset 8, found/);
    await expect(read(Buffer.from('RIFFwave'))).rejects.toThrow(
      /expected an MCAP file, found a RIFF file.* at offset 0/,
    );
    await expect(read(new Uint8Array(5000).fill(0x55))).rejects.toThrow(
      /expected the MCAP magic .* at offset 0, found 55/,
    );
    await expect(read(new Uint8Array())).rejects.toThrow(/found 0 bytes/);
    await expect(read(whole.subarray(0, 20))).rejects.toThrow(
      /expected sound on \/uma8\/audio, found no messages; .* is cut off at offset 8 \(cut off: expected/,
    );
    const { pcm } = await read(whole.subarray(0, sound + 100));
    expect(pcm).toHaveLength(3 * 1600);
    const wrong = { ...soundMessage(0), data: Uint8Array.of(0, 1, 0, 0) };
    await expect(read(madeBag([wrong]))).rejects.toThrow(
      /damaged\.mcap: \/uma8\/audio at offset \d+: expected foxglove_msgs\/msg\/RawAudio of pcm-s16, found 4 other bytes/,
    );
  });

  it('what is not there is told by name', async () => {
    const impacts = replay({ path: join(folder, 'none.wav'), modelPath: 'models/impact.int8.onnx' });
    await expect(impacts.next()).rejects.toThrow(/none\.wav: expected a sound file, a bag or a recording's folder/);
  });
});
