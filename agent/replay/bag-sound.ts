/** Reads the sound out of bags, message by message, finished bags or not, as samples or as FLAC. */
import { stat } from 'node:fs/promises';
import { type McapTypes, Opcode } from '@mcap/core';
import { bagFiles, refusePackedFolders } from '../bag/bag-folder.ts';
import { notMcap, refuseForeign } from '../bag/bag-format.ts';
import { type ByteSource, FileSource, finalName } from '../bag/byte-source.ts';
import { parseRecordBytes, type RawMessage, readChunkRecords, readMessage } from '../bag/mcap-records.ts';
import { ReadAhead } from '../bag/read-ahead.ts';
import { type Damage, type ScanItem, scanRecords } from '../bag/scan.ts';
import { AgentError } from '../error.ts';
import { plainSound } from '../sound/plain-sound.ts';
import { compressedAudioType, flacTopicOf, rawAudioType, viewSamples, viewSound } from '../sound/raw-audio.ts';
import type { ReplayedBlock } from './replayed-block.ts';

/** What was met on the way, for the error when there is no sound. */
interface Met {
  readonly topics: Set<string>;
  /** Where and why files are cut off. */
  readonly cutOff: string[];
}

/** A message of the sound, and where the record that it is in begins and ends. */
interface SoundMessage {
  readonly type: string;
  readonly data: Uint8Array;
  readonly offset: number;
  readonly end: number;
}

/**
 * The sound of `topic` (foxglove_msgs/msg/RawAudio, or as FLAC on `<topic>/flac`) in the bag or recording's folder at `path`, in the
 * order of the file. A bag that is cut off ends where it is cut off.
 * @throws AgentError `sound-file` with the offset when there is no such sound in it, or damage in its middle; RecordingError
 * `nothing-readable`, `empty`, `not-mcap`, `sqlite3` for what is no bag.
 */
export async function* readBagSound(path: string, topic: string): AsyncGenerator<ReplayedBlock> {
  await refusePackedFolders(path);
  const files = await bagFiles(path);
  const sizes = await Promise.all(files.map(sizeOf));
  const total = Math.max(
    1,
    sizes.reduce((sum, size) => sum + size, 0),
  );
  const met: Met = { topics: new Set(), cutOff: [] };
  let blocks = 0;
  let before = 0;
  for (const [index, file] of files.entries()) {
    const source = await FileSource.open(file);
    const ahead = new ReadAhead(source);
    try {
      // A segment may have been cut off before its first byte.
      if (source.size > 0 || files.length === 1) await refuseForeign(ahead);
      for await (const { type, data, offset, end } of soundMessages(ahead, topic, met)) {
        blocks += 1;
        const where = `${file}: ${topic} at offset ${offset}`;
        const plain = await plainSound({ topic: where, type, data });
        yield { ...blockOf(plain.data, where), share: Math.min(1, (before + end) / total) };
      }
    } finally {
      await ahead.settled();
      await source.close();
    }
    before += sizes[index] ?? 0;
  }
  if (blocks > 0) return;
  const found = met.topics.size === 0 ? 'no messages' : `the topics ${[...met.topics].join(', ')}`;
  throw new AgentError('sound-file', [`${path}: expected sound on ${topic}, found ${found}`, ...met.cutOff].join('; '));
}

async function sizeOf(file: string): Promise<number> {
  // A segment that is still being written may get its final name meanwhile.
  const { size } = await stat(file).catch(() => stat(finalName(file)));
  return size;
}

async function* soundMessages(source: ByteSource, topic: string, met: Met): AsyncGenerator<SoundMessage> {
  /** Types of the sound, by channel. */
  const wanted = new Map<number, string>();
  let known = false;
  for await (const item of scanRecords(source)) {
    if (item.kind === 'damage') {
      const { offset, bytes, reason } = item;
      if (offset + bytes < source.size) throw damaged(source, item);
      if (!known) throw await notMcap(source);
      met.cutOff.push(`${source.name} is cut off at offset ${offset} (${reason})`);
      continue;
    }
    known = true;
    const { channels, messages } = contentOf(source, item);
    for (const channel of channels) {
      met.topics.add(channel.topic);
      if (channel.topic === topic) wanted.set(channel.id, '');
      else if (channel.topic === flacTopicOf(topic)) wanted.set(channel.id, compressedAudioType);
    }
    const place = { offset: item.offset, end: item.offset + item.bytes.byteLength };
    for (const { channelId, data } of messages) {
      const type = wanted.get(channelId);
      if (type !== undefined) yield { type, data, ...place };
    }
  }
}

/** The channels and messages of a record or chunk. @throws AgentError `sound-file` when it is damaged. */
function contentOf(
  source: ByteSource,
  item: Exclude<ScanItem, { kind: 'damage' }>,
): { channels: readonly McapTypes.Channel[]; messages: readonly RawMessage[] } {
  const { offset, bytes } = item;
  const wrong = (reason: string): AgentError => damaged(source, { offset, bytes: bytes.byteLength, reason });
  if (item.kind === 'chunk') {
    if (item.records === null) throw wrong(`compression '${item.head.compression}' is not supported`);
    const { channels, messages, brokenAt } = readChunkRecords(item.records);
    if (brokenAt !== null) throw wrong(`no record at byte ${brokenAt} of the chunk`);
    return { channels, messages: messages.map(({ message }) => message) };
  }
  if (item.kind === 'record' && item.opcode === Opcode.MESSAGE) return { channels: [], messages: [readMessage(bytes)] };
  if (item.kind !== 'record' || item.opcode !== Opcode.CHANNEL) return { channels: [], messages: [] };
  try {
    const record = parseRecordBytes(bytes);
    return { channels: record.type === 'Channel' ? [record] : [], messages: [] };
  } catch (cause) {
    throw wrong((cause as Error).message);
  }
}

function damaged({ name }: ByteSource, { offset, bytes, reason }: Damage): AgentError {
  return new AgentError(
    'sound-file',
    `${name}: expected a whole record at offset ${offset}, found ${bytes} damaged bytes (${reason}): \`fender bag recover\` makes a whole bag of the rest`,
  );
}

/** The samples of a RawAudio message; `where` is named in errors. @throws AgentError `sound-file` when the bytes are none. */
function blockOf(bytes: Uint8Array, where: string): Omit<ReplayedBlock, 'share'> {
  const sound = viewSamples(bytes);
  if (sound === null) {
    const seen = viewSound(bytes);
    const found =
      seen === null
        ? `${bytes.byteLength} other bytes`
        : `${seen.data.byteLength} bytes of format ${seen.format}, ${seen.channels} channels at ${seen.sampleRateHz} Hz`;
    throw new AgentError('sound-file', `${where}: expected ${rawAudioType} of pcm-s16, found ${found}`);
  }
  const { pcm, channels, sampleRateHz, sec, nanosec } = sound;
  return { pcm, channels, sampleRateHz, firstSampleNs: BigInt(sec) * 1_000_000_000n + BigInt(nanosec), hasClock: true };
}
