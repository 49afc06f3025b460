/** Byte ranges of HTTP (RFC 9110, section 14) for content whose whole is known by its entity tag. */
import { createReadStream } from 'node:fs';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** First and last byte, inclusive; `whole`: no (usable) range was asked; `none`: nothing of it exists. */
export type ByteRange = 'whole' | 'none' | { readonly first: number; readonly last: number };

/** What `header` asks of `size` bytes. Several ranges, or other units, count as `whole` (RFC 9110 allows ignoring them). */
export function parseRange(header: string | undefined, size: number): ByteRange {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? '');
  if (match === null) return 'whole';
  const [, from = '', to = ''] = match;
  if (from === '' && to === '') return 'whole';
  if (from === '') {
    const count = Math.min(Number(to), size);
    return count === 0 ? 'none' : { first: size - count, last: size - 1 };
  }
  const first = Number(from);
  const last = to === '' ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== '' && Number(to) < first) return 'whole';
  return first >= size ? 'none' : { first, last };
}

/** Content to send: bytes in memory, or a file with its size. */
export type Content = { readonly bytes: Buffer } | { readonly path: string; readonly size: number };

export interface ContentHeaders {
  readonly type: string;
  /** Without quotes; changes when the content does. */
  readonly tag: string;
  /** Suggested name of a download; null: shown in place. */
  readonly fileName: string | null;
}

/** Answers 200, 206, 304 or 416, as the request's conditions and range ask. */
export function sendContent(
  request: FastifyRequest,
  reply: FastifyReply,
  content: Content,
  headers: ContentHeaders,
): FastifyReply {
  const size = 'bytes' in content ? content.bytes.byteLength : content.size;
  const tag = `"${headers.tag}"`;
  reply.header('accept-ranges', 'bytes').header('etag', tag).header('cache-control', 'private, no-cache');
  if (request.headers['if-none-match'] === tag) return reply.code(304).send();
  if (headers.fileName !== null) reply.header('content-disposition', `attachment; filename="${headers.fileName}"`);
  const ifRange = request.headers['if-range'];
  const range = ifRange === undefined || ifRange === tag ? parseRange(request.headers.range, size) : 'whole';
  if (range === 'none') {
    reply.header('content-range', `bytes */${size}`);
    return reply.code(416).send({ error: { code: 'range', message: `range: expected within ${size} bytes` } });
  }
  const { first, last } = range === 'whole' ? { first: 0, last: size - 1 } : range;
  reply.type(headers.type).header('content-length', last - first + 1);
  if (range !== 'whole') reply.code(206).header('content-range', `bytes ${first}-${last}/${size}`);
  if ('bytes' in content) return reply.send(content.bytes.subarray(first, last + 1));
  return reply.send(createReadStream(content.path, { start: first, end: Math.max(last, 0) }));
}
