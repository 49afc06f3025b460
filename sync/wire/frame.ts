/**
 * The outermost layer of every payload: one frame byte (0 plain, 1 zstd), then the content. Bounds what a few hostile
 * bytes may unfold to, and turns every way of being malformed into a `SyncError`.
 */

import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { SyncError } from './error.ts';

/** Largest content of one framed message, decompressed, in bytes. */
export const maxMessageBytes = 1024 * 1024;
/** Largest piece of a file in one chunk message, in bytes. */
export const maxChunkBytes = 128 * 1024;

const plain = 0;
const zstd = 1;
/** Below this zstd cannot win back its own header. */
const compressFromBytes = 64;

/**
 * Frames `content`, with zstd when that is smaller. `level` is zstd's, 1 to 19; 0 leaves the content plain. The result
 * is a new buffer owned by the caller.
 */
export function encodeFrame(content: Uint8Array, level = 3): Uint8Array {
  if (level > 0 && content.byteLength >= compressFromBytes) {
    const packed = zstdCompressSync(content, { params: { [constants.ZSTD_c_compressionLevel]: level } });
    if (packed.byteLength < content.byteLength) return withFrameByte(zstd, packed);
  }
  return withFrameByte(plain, content);
}

/**
 * The content of a framed payload of at most `limitBytes`; a plain frame's content is a view into `payload`.
 * Throws `bad-frame` for an empty payload, an unknown frame byte or broken zstd, `limit-exceeded` for more content.
 */
export function decodeFrame(payload: Uint8Array, limitBytes = maxMessageBytes): Uint8Array {
  if (payload.byteLength === 0) throw new SyncError('bad-frame', 'payload: expected a frame byte, found nothing');
  const content = payload.subarray(1);
  if (payload[0] === plain) {
    if (content.byteLength > limitBytes) throw tooLarge(limitBytes, `${content.byteLength} bytes`);
    return content;
  }
  if (payload[0] !== zstd) {
    throw new SyncError('bad-frame', `frame byte: expected 0 (plain) or 1 (zstd), found ${payload[0]}`);
  }
  try {
    return zstdDecompressSync(content, { maxOutputLength: limitBytes });
  } catch (cause) {
    if (codeOf(cause) === 'ERR_BUFFER_TOO_LARGE')
      throw tooLarge(limitBytes, 'zstd content that unfolds to more', cause);
    throw new SyncError('bad-frame', `zstd content of ${content.byteLength} bytes does not decompress`, { cause });
  }
}

/** Serialises and frames a message. */
export function encodeMessage<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): Uint8Array {
  return encodeFrame(toBinary(schema, create(schema, message)));
}

/** Unframes and parses a message. Throws `bad-frame`, `limit-exceeded` or `bad-message`, nothing else. */
export function decodeMessage<Desc extends DescMessage>(
  schema: Desc,
  payload: Uint8Array,
  limitBytes = maxMessageBytes,
): MessageShape<Desc> {
  const content = decodeFrame(payload, limitBytes);
  try {
    return fromBinary(schema, content);
  } catch (cause) {
    throw new SyncError('bad-message', `${content.byteLength} bytes are not a ${schema.typeName}`, { cause });
  }
}

function withFrameByte(kind: number, content: Uint8Array): Uint8Array {
  const framed = new Uint8Array(content.byteLength + 1);
  framed[0] = kind;
  framed.set(content, 1);
  return framed;
}

function tooLarge(limitBytes: number, found: string, cause?: unknown): SyncError {
  return new SyncError('limit-exceeded', `content: expected at most ${limitBytes} bytes, found ${found}`, { cause });
}

function codeOf(cause: unknown): unknown {
  return cause instanceof Error && 'code' in cause ? cause.code : undefined;
}
