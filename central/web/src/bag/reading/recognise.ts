/** Tells what a file is by its first bytes, and what to do with it when it is no MCAP bag. */
import { BagError } from './bag-error.ts';
import type { ByteSource } from './byte-source.ts';

const mcapMagic = [0x89, 0x4d, 0x43, 0x41, 0x50, 0x30, 0x0d, 0x0a];

const others: readonly { readonly magic: string; readonly what: string; readonly cure: string }[] = [
  {
    magic: 'SQLite format 3',
    what: 'an SQLite3 file, as rosbag2 wrote before MCAP',
    cure: 'Convert it on a machine with ROS 2: `ros2 bag convert`, output with `storage_id: mcap`.',
  },
  {
    magic: '#ROSBAG V',
    what: 'a bag of ROS 1',
    cure: 'Convert it: `rosbags-convert` (from PyPI) with an MCAP destination does.',
  },
  { magic: '\x89PNG', what: 'a PNG picture', cure: '' },
  { magic: 'PK\x03\x04', what: 'a ZIP archive', cure: 'Unpack it and open the .mcap files in it.' },
  { magic: '\x1f\x8b', what: 'a file compressed by gzip', cure: 'Unpack it with `gunzip`.' },
  { magic: '\x28\xb5\x2f\xfd', what: 'a file compressed by zstd as a whole', cure: 'Unpack it with `unzstd`.' },
  { magic: 'RIFF', what: 'a sound or video file (RIFF)', cure: '' },
  {
    magic: 'rosbag2_bagfile_information',
    what: 'the description of a bag (metadata.yaml)',
    cure: 'Open the .mcap files beside it.',
  },
];

/** @throws BagError that says what the file is instead of an MCAP file. */
export async function expectMcap(source: ByteSource): Promise<void> {
  if (source.size === 0) throw new BagError(source.name, 0, 'expected an MCAP bag, found an empty file');
  const head = await source.read(0, Math.min(32, source.size));
  if (mcapMagic.every((byte, index) => head[index] === byte)) return;
  const text = String.fromCharCode(...head);
  const other = others.find(({ magic }) => text.startsWith(magic));
  if (other) throw new BagError(source.name, 0, `expected an MCAP bag, found ${other.what}`, other.cure);
  const hex = (bytes: ArrayLike<number>) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  throw new BagError(
    source.name,
    0,
    `expected an MCAP bag, which begins with ${hex(mcapMagic)}, found ${hex(head.subarray(0, 8))}`,
  );
}
