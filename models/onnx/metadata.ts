/** Puts metadata_props into an ONNX file without touching anything else of it. */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { FieldBudget } from './field-reader.ts';
import { readProperty } from './read-value.ts';

const METADATA_PROPS = 14;
const KEY = 1;
const VALUE = 2;

/**
 * The same file with `entries` in place of all properties whose key is in `own`; other properties, and every other byte, stay as they are.
 * `bytes` must have been read by readOnnx before.
 */
export function replaceMetadata(
  bytes: Uint8Array,
  own: ReadonlySet<string>,
  entries: readonly (readonly [key: string, value: string])[],
): Uint8Array<ArrayBuffer> {
  const budget = new FieldBudget(Number.MAX_SAFE_INTEGER);
  const kept: Uint8Array[] = [];
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [field, wire] = reader.tag();
    const isOwn = field === METADATA_PROPS && own.has(readProperty(reader.bytes(), budget).key);
    if (field !== METADATA_PROPS) reader.skip(wire, field);
    if (!isOwn) kept.push(bytes.subarray(start, reader.pos));
  }
  const writer = new BinaryWriter();
  for (const [key, value] of entries) {
    writer.tag(METADATA_PROPS, WireType.LengthDelimited).fork();
    writer.tag(KEY, WireType.LengthDelimited).string(key).tag(VALUE, WireType.LengthDelimited).string(value);
    writer.join();
  }
  return new Uint8Array(Buffer.concat([...kept, writer.finish()]));
}
