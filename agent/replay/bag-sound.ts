/** Reads the sound out of bags, message by message, finished bags or not, as samples or as FLAC. */
import { createReadStream } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { McapStreamReader } from '@mcap/core';
import { bagFiles } from '../bag/bag-folder.ts';
import { finalName } from '../bag/byte-source.ts';
import { decompressHandlers } from '../bag/mcap-records.ts';
import { AgentError } from '../error.ts';
import { plainSound } from '../sound/plain-sound.ts';
import { compressedAudioType, flacTopicOf } from '../sound/raw-audio.ts';
import type { ReplayedBlock } from './replayed-block.ts';

const READ_BYTES = 1_048_576;

/**
 * The sound of `topic` (foxglove_msgs/msg/RawAudio, or as FLAC on `<topic>/flac`) in the bag or recording's folder at `path`, in the
 * order of the file. A bag that is cut off ends where it is cut off. Throws AgentError `sound-file` when there is no such sound in it.
 */
export async function* readBagSound(path: string, topic: string): AsyncGenerator<ReplayedBlock> {
  const files = await bagFiles(path);
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  const total = Math.max(
    1,
    sizes.reduce((sum, size) => sum + size, 0),
  );
  let read = 0;
  let blocks = 0;
  const topics = new Set<string>();
  for (const file of files) {
    const reader = new McapStreamReader({ decompressHandlers });
    /** Types of the sound, by channel. */
    const wanted = new Map<number, string>();
    // A segment that is still being written may have got its final name meanwhile.
    const named = await access(file).then(
      () => file,
      () => finalName(file),
    );
    for await (const piece of createReadStream(named, { highWaterMark: READ_BYTES })) {
      read += (piece as Buffer).length;
      reader.append(piece as Buffer);
      for (let record = reader.nextRecord(); record !== undefined; record = reader.nextRecord()) {
        if (record.type === 'Channel') {
          topics.add(record.topic);
          if (record.topic === topic) wanted.set(record.id, '');
          else if (record.topic === flacTopicOf(topic)) wanted.set(record.id, compressedAudioType);
        } else if (record.type === 'Message') {
          const type = wanted.get(record.channelId);
          if (type === undefined) continue;
          blocks += 1;
          const { data } = await plainSound({ topic: `${file}: ${topic}`, type, data: record.data });
          yield { ...decodeRawAudio(data, `${file}: ${topic}`), share: read / total };
        }
      }
    }
  }
  if (blocks > 0) return;
  const found = topics.size === 0 ? 'no messages' : `the topics ${[...topics].join(', ')}`;
  throw new AgentError('sound-file', `${path}: expected sound on ${topic}, found ${found}`);
}

/** What `encodeRawAudio` wrote: time, data, format, rate and channels in CDR little endian. `where` is named in errors. */
export function decodeRawAudio(bytes: Uint8Array, where: string): Omit<ReplayedBlock, 'share'> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const wrong = (found: string): AgentError =>
    new AgentError('sound-file', `${where}: expected foxglove_msgs/msg/RawAudio in CDR, found ${found}`);
  if (bytes.length < 36 || bytes[1] !== 1) throw wrong(`${bytes.length} bytes`);
  const length = view.getUint32(12, true);
  const formatAt = (16 + length + 3) & ~3;
  if (formatAt + 4 > bytes.length) throw wrong(`${bytes.length} bytes for ${length} bytes of sound`);
  const formatLength = view.getUint32(formatAt, true);
  const rateAt = (formatAt + 4 + formatLength + 3) & ~3;
  if (rateAt + 8 > bytes.length) throw wrong(`${bytes.length} bytes`);
  const format = Buffer.from(bytes.subarray(formatAt + 4, formatAt + 3 + formatLength)).toString('latin1');
  if (format !== 'pcm-s16') throw wrong(`format ${format}`);
  // The message may begin at an odd address; Int16Array may not.
  const pcm = new Int16Array(bytes.slice(16, 16 + length).buffer);
  const firstSampleNs = BigInt(view.getInt32(4, true)) * 1_000_000_000n + BigInt(view.getUint32(8, true));
  const sampleRateHz = view.getUint32(rateAt, true);
  const channels = view.getUint32(rateAt + 4, true);
  if (channels === 0 || sampleRateHz === 0) throw wrong(`${channels} channels at ${sampleRateHz} Hz`);
  return { pcm, channels, sampleRateHz, firstSampleNs, hasClock: true };
}
