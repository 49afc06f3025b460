/**
 * Owns decompressing LZ4 frames (LZ4 Frame Format 1.6, LZ4 Block Format), which other writers' chunks are packed in. Every read and
 * write is checked, and the output is exactly as large as its caller allows: what is damaged gives an error, and nothing else.
 * The usual library, @foxglove/wasm-lz4, takes no good frame any more after one that was cut off, and cannot be set back.
 */

const frameMagic = 0x184d2204;
const skippableMagic = 0x184d2a50;
const minMatch = 4;

function fail(what: string, at: number): never {
  throw new Error(`lz4: ${what} at byte ${at}`);
}

/** Where a frame's blocks begin, and what its header says of them. */
interface FrameHeader {
  readonly blocksAt: number;
  readonly blockChecksums: boolean;
  readonly contentChecksum: boolean;
  /** Whether matches reach into earlier blocks. */
  readonly linked: boolean;
}

function readHeader(bytes: Uint8Array, view: DataView, at: number): FrameHeader {
  if (at + 7 > bytes.byteLength) fail('cut off in the frame header', at);
  const flags = bytes[at + 4] as number;
  if (flags >> 6 !== 1) fail(`frame version ${flags >> 6}`, at + 4);
  const contentSizeBytes = flags & 0x08 ? 8 : 0;
  if (flags & 0x01) fail('a frame with a dictionary', at + 4);
  if (view.getUint8(at + 5) >> 4 < 4) fail('no block size', at + 5);
  return {
    blocksAt: at + 7 + contentSizeBytes,
    blockChecksums: (flags & 0x10) !== 0,
    contentChecksum: (flags & 0x04) !== 0,
    linked: (flags & 0x20) === 0,
  };
}

/** A length of 15 goes on in bytes that are added up until one is under 255. */
function longLength(bytes: Uint8Array, at: number, end: number): { length: number; next: number } {
  let length = 0;
  for (let index = at; index < end; index += 1) {
    const byte = bytes[index] as number;
    length += byte;
    if (byte !== 255) return { length, next: index + 1 };
  }
  return fail('cut off in a length', end);
}

/**
 * Unpacks one block, `bytes` from `at` to `end`, into `output` from `start`; matches may reach back to `floor`.
 * @returns where the output ends.
 */
function unpackBlock(
  bytes: Uint8Array,
  at: number,
  end: number,
  output: Uint8Array,
  start: number,
  floor: number,
): number {
  let from = at;
  let to = start;
  while (from < end) {
    const token = bytes[from] as number;
    from += 1;
    let literals = token >> 4;
    if (literals === 15) {
      const more = longLength(bytes, from, end);
      literals += more.length;
      from = more.next;
    }
    if (from + literals > end || to + literals > output.byteLength) fail(`${literals} literals too many`, from);
    // A view costs more than copying a few bytes one by one.
    if (literals > 32) output.set(bytes.subarray(from, from + literals), to);
    else for (let index = 0; index < literals; index += 1) output[to + index] = bytes[from + index] as number;
    from += literals;
    to += literals;
    if (from === end) return to;
    if (from + 2 > end) fail('cut off in an offset', from);
    const distance = (bytes[from] as number) | ((bytes[from + 1] as number) << 8);
    from += 2;
    let length = (token & 15) + minMatch;
    if ((token & 15) === 15) {
      const more = longLength(bytes, from, end);
      length += more.length;
      from = more.next;
    }
    if (distance === 0 || to - distance < floor) fail(`a match ${distance} bytes back`, from);
    if (to + length > output.byteLength) fail(`a match of ${length} bytes too many`, from);
    copyMatch(output, to, distance, length);
    to += length;
  }
  return fail('no last literals', from);
}

/** Repeats what stands `distance` back, which may overlap what is being written: then byte by byte. */
function copyMatch(output: Uint8Array, to: number, distance: number, length: number): void {
  const source = to - distance;
  if (distance >= length && length > 32) {
    output.copyWithin(to, source, source + length);
    return;
  }
  for (let index = 0; index < length; index += 1) output[to + index] = output[source + index] as number;
}

/**
 * Unpacks all frames of `bytes` to exactly `size` bytes. Checksums of the frame are not looked at: a chunk has its own.
 * @throws Error that says what is wrong and at which byte of the packed bytes.
 */
export function decompressLz4(bytes: Uint8Array, size: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const output = new Uint8Array(size);
  let at = 0;
  let to = 0;
  while (at < bytes.byteLength) {
    if (at + 8 > bytes.byteLength) fail('cut off before a frame', at);
    const magic = view.getUint32(at, true);
    if ((magic & 0xfffffff0) >>> 0 === skippableMagic) {
      at += 8 + view.getUint32(at + 4, true);
      continue;
    }
    if (magic !== frameMagic) fail(`no frame (${magic.toString(16)})`, at);
    const header = readHeader(bytes, view, at);
    at = header.blocksAt;
    const frameStart = to;
    for (;;) {
      if (at + 4 > bytes.byteLength) fail('cut off before a block', at);
      const word = view.getUint32(at, true);
      at += 4;
      if (word === 0) break;
      const end = at + (word & 0x7fffffff);
      if (end + (header.blockChecksums ? 4 : 0) > bytes.byteLength) fail('cut off in a block', at);
      if (word >>> 31) {
        if (to + end - at > size) fail(`more than ${size} bytes`, at);
        output.set(bytes.subarray(at, end), to);
        to += end - at;
      } else {
        to = unpackBlock(bytes, at, end, output, to, header.linked ? frameStart : to);
      }
      at = end + (header.blockChecksums ? 4 : 0);
    }
    if (header.contentChecksum) at += 4;
  }
  if (to !== size) fail(`expected ${size} bytes unpacked, found ${to}`, at);
  return output;
}
