/**
 * Owns telling whether two bags define a type alike. Recorders write the same definition in different words: with comments or without,
 * and the types that it uses in another order. What counts is what decides how a message's bytes are read.
 */

import type { McapTypes } from '@mcap/core';
import { parseDefinitions } from '../messages/message-definition.ts';

/** Schemas with the same key read the same bytes alike. */
export function definitionKey({ name, encoding, data }: McapTypes.Schema): string {
  const fields = encoding === 'ros2msg' ? fieldsOf(name, new TextDecoder().decode(data)) : null;
  return JSON.stringify([name, encoding, fields ?? Buffer.from(data).toString('base64')]);
}

/** The fields of a type and of all that it uses, by name; null for a text that is none, or leaves out a type. */
function fieldsOf(type: string, text: string): unknown {
  try {
    return [...parseDefinitions(type, text)].sort(([a], [b]) => (a < b ? -1 : 1));
  } catch {
    return null;
  }
}
