import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseConfig } from '../../../agent/config/load.ts';
import type { Message } from '../../../agent/messages/message.ts';
import type { ClipRange } from '../../../agent/recording/clip.ts';
import { recorderOptions } from '../../../agent/recording/recorder-options.ts';
import { firstRecording, openNode, until } from './node-fixtures.ts';
import { range, readFileIndexed, readStream, sequencesOf, sound } from './recording-fixtures.ts';
import { scratchFolder } from './scratch-folder.ts';

test('FLAC in the recording, sound as it came in clips, and no false loss where both alternate', async () => {
  const folder = await scratchFolder();
  const config = parseConfig('recorder:\n  sound: flac\n', 'test');
  const configured = await recorderOptions(config, folder, () => {});
  const messages: Message[] = [];
  const { packer, unpack } = configured;
  if (packer === undefined) throw new Error('no packer');
  const damaged = { ...sound(0), topic: '/uma8/audio/flac', type: 'fender_msgs/msg/CompressedAudio' };
  const given = { ...damaged, data: new Uint8Array(100), monotonicNs: 0n, recordedNs: 0n };
  expect(await unpack?.(given)).toBe(given);
  const node = await openNode(folder, { packer, unpack });
  // The encoder takes a moment to start; what comes meanwhile is recorded as it comes.
  const isPacked = async (): Promise<boolean> => {
    const bytes = await readFile(join(folder, `recordings/${firstRecording}/${firstRecording}_0.mcap.active`)).catch(
      () => '',
    );
    return bytes.includes('/uma8/audio/flac');
  };
  await until(async () => {
    messages.push(sound(messages.length));
    node.write(messages.at(-1) as Message);
    return isPacked();
  });
  const { stamp } = sound(0);
  const asked: ClipRange = {
    bootId: stamp.bootId,
    startMonotonicNs: stamp.monotonicNs,
    endMonotonicNs: stamp.monotonicNs + BigInt(messages.length) * 100_000_000n,
    anchor: stamp,
  };
  await node.stop();
  expect(node.stats()).toMatchObject({ lostMessages: 0, messages: messages.length });
  const drive = join(folder, 'recordings', firstRecording);
  const path = join(drive, (await readdir(drive)).find((name) => name.endsWith('.mcap')) ?? '');
  const recorded = await readFileIndexed(path);
  const packed = sequencesOf(recorded, '/uma8/audio/flac');
  const plain = sequencesOf(recorded, '/uma8/audio');
  expect(packed.length).toBeGreaterThan(0);
  expect([...plain, ...packed].sort((a, b) => a - b)).toEqual(range(messages.length));
  const records = readStream(await readFile(path));
  const channel = records.find((record) => record.type === 'Channel' && record.topic === '/uma8/audio/flac');
  expect(channel?.type === 'Channel' && channel.metadata.get('offered_qos_profiles')).toContain('best_effort');
  const overview = records.find((record) => record.type === 'Attachment');
  const { series } = JSON.parse(new TextDecoder().decode(overview?.type === 'Attachment' ? overview.data : undefined));
  const counted = (series as { topic: string; field: string; count: number[] }[]).find(({ field }) => field === 'ch0');
  expect(counted?.topic).toBe('/uma8/audio');
  expect(counted?.count.reduce((sum, count) => sum + count, 0)).toBe(messages.length * 4800);

  const fromMemory = await readFileIndexed((await node.cutClip(asked)).path);
  await node.close();
  const next = await openNode(folder, { unpack });
  const fromSegments = await readFileIndexed((await next.cutClip(asked)).path);
  await next.close();
  expect(fromSegments).toEqual(fromMemory);
  expect(fromSegments.map(({ data }) => data)).toEqual(messages.map(({ data }) => data));
}, 60_000);
