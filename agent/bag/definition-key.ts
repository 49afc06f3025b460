/**
 * Owns telling whether two bags define a type alike. Recorders write the same definition in different words: with comments or without,
 * and the types that it uses in another order. What counts is what decides how a message's bytes are read, and what their numbers are called.
 */

import { createHash } from 'node:crypto';
import type { McapTypes } from '@mcap/core';
import { parseDefinitions } from '../messages/message-definition.ts';

/** Reckoned once a schema, as thousands of channels may share one. */
const keys = new WeakMap<McapTypes.Schema, string>();

/** Schemas with the same key read the same bytes alike. A hash: definitions may be long. */
export function definitionKey(schema: McapTypes.Schema): string {
  const known = keys.get(schema);
  if (known !== undefined) return known;
  const { name, encoding, data } = schema;
  const fields = encoding === 'ros2msg' ? meaningOf(name, new TextDecoder().decode(data)) : null;
  const words = JSON.stringify([name, encoding, fields ?? Buffer.from(data).toString('base64')]);
  const key = createHash('sha256').update(words).digest('base64');
  keys.set(schema, key);
  return key;
}

/** The fields of a type and of all that it uses, by name, and the constants; null for a text that is none, or leaves out a type. */
function meaningOf(type: string, text: string): unknown {
  try {
    return [[...parseDefinitions(type, text)].sort(([a], [b]) => (a < b ? -1 : 1)), constantsOf(text)];
  } catch {
    return null;
  }
}

/** Every constant of the text, sorted: `uint8 OK=0`. A value may be words that hold a `#`, so only whole lines of comment are left out. */
function constantsOf(text: string): string[] {
  const lines = text
    .split('\n')
    .map((line) => /^\s*(\w+)\s+(\w+)\s*=\s*([^#\s]*)/.exec(line)?.slice(1).join(' ') ?? '');
  return lines.filter((line) => line !== '' && !line.startsWith('=')).sort();
}
