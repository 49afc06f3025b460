/** Names the format of a file that is no ONNX by its first bytes, so that whoever took the wrong file sees it at once. */

const text = (value: string): number[] => [...value].map((character) => character.charCodeAt(0));

const SIGNATURES: readonly { readonly name: string; readonly at: number; readonly bytes: readonly number[] }[] = [
  { name: 'a PNG picture', at: 0, bytes: [0x89, ...text('PNG')] },
  { name: 'a JPEG picture', at: 0, bytes: [0xff, 0xd8, 0xff] },
  { name: 'a WAV sound', at: 8, bytes: text('WAVE') },
  { name: 'a FLAC sound', at: 0, bytes: text('fLaC') },
  { name: 'an MCAP recording', at: 0, bytes: [0x89, ...text('MCAP')] },
  { name: 'a TensorFlow Lite model', at: 4, bytes: text('TFL3') },
  { name: 'an ORT model', at: 4, bytes: text('ORTM') },
  { name: 'a GGUF model', at: 0, bytes: text('GGUF') },
  { name: 'an HDF5 file, as Keras writes', at: 0, bytes: [0x89, ...text('HDF')] },
  { name: 'a ZIP archive, as PyTorch and Keras write', at: 0, bytes: [...text('PK'), 3, 4] },
  { name: 'a gzip archive', at: 0, bytes: [0x1f, 0x8b] },
  { name: 'a Python pickle', at: 0, bytes: [0x80, 2] },
  { name: 'a Python pickle', at: 0, bytes: [0x80, 4] },
  { name: 'a program', at: 0, bytes: [0x7f, ...text('ELF')] },
  { name: 'a Git LFS pointer, not the file itself', at: 0, bytes: text('version https://git-lfs') },
];

/** The name with its article; null when the bytes may be ONNX or anything else. */
export function knownFormat(bytes: Uint8Array): string | null {
  const found = SIGNATURES.find((one) => one.bytes.every((byte, i) => bytes[one.at + i] === byte));
  if (found !== undefined) return found.name;
  const start = bytes.subarray(0, 512);
  const isText = start.length > 0 && start.every((byte) => (byte >= 0x20 && byte < 0x7f) || (byte >= 9 && byte <= 13));
  return isText ? `a text that begins ${JSON.stringify(Buffer.from(start.subarray(0, 20)).toString('latin1'))}` : null;
}
