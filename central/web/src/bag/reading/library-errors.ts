/** Says in our words what the MCAP library found wrong: what was expected, what was found, numbers of checks in hex. */

import { formatCount } from '../../format/format-value.ts';

/** The part of a file that an error of the library is about. */
export type FilePart = 'header' | 'summary' | 'footer' | 'end';

interface Wording {
  readonly pattern: RegExp;
  /** Of the pattern's groups. */
  readonly words: (...found: string[]) => string;
  readonly part?: FilePart;
}

const counted = (bytes: string | undefined) => formatCount(Number(bytes), 'byte');
const hex = (number: string | undefined) => `0x${Number(number).toString(16).padStart(8, '0')}`;

const wordings: readonly Wording[] = [
  {
    pattern: /^Incorrect summary CRC (\d+) \(expected (\d+)\)/,
    words: (found, recorded) => `expected an index with the CRC-32 ${hex(recorded)}, found ${hex(found)}`,
    part: 'summary',
  },
  {
    pattern: /^Incorrect chunk CRC (\d+) \(expected (\d+)\)/,
    words: (found, recorded) => `expected records with the CRC-32 ${hex(recorded)}, found ${hex(found)}`,
  },
  {
    pattern: /^Attachment CRC32 mismatch: expected (\d+), actual (\d+)/,
    words: (recorded, found) => `expected an attachment with the CRC-32 ${hex(recorded)}, found ${hex(found)}`,
  },
  {
    pattern: /^Expected MCAP magic '([^']*)', found '([^']*)'/,
    words: (expected, found) => `expected the end of an MCAP file, ${expected}, found ${found}`,
    part: 'end',
  },
  {
    pattern: /^Unable to read footer from end of file .*; found (\w+)/,
    words: (found) => `expected a footer record, found ${found === 'nothing' ? 'none' : `one of kind ${found}`}`,
    part: 'footer',
  },
  {
    pattern: /^(\d+) bytes remaining after parsing footer/,
    words: (bytes) => `expected nothing behind the footer, found ${counted(bytes)}`,
    part: 'footer',
  },
  { pattern: /^File is not indexed/, words: () => 'expected an index of the file, found none', part: 'footer' },
  {
    pattern: /^File size \((\d+)\) is too small/,
    words: (bytes) => `expected a header and a footer, found a file of ${counted(bytes)}`,
    part: 'header',
  },
  {
    pattern: /^Unable to read header at beginning of file; found (\w+)/,
    words: (found) => `expected a header record, found ${found === 'nothing' ? 'none' : `one of kind ${found}`}`,
    part: 'header',
  },
  {
    pattern: /^(\d+) bytes remaining after parsing header/,
    words: (bytes) => `expected the header to fill its record, found ${counted(bytes)} more`,
    part: 'header',
  },
  {
    pattern: /^Expected DataEnd position .* = (-?\d+)\) to be after Header end offset \((\d+)\)/,
    words: (found, header) =>
      `expected an index that begins behind the header, offset ${header}, found one behind ${found}`,
    part: 'footer',
  },
  {
    pattern: /^Expected DataEnd record to precede summary section, but found (\w+)/,
    words: (found) => `expected the record that ends the data before the index, found one of kind ${found}`,
    part: 'summary',
  },
  {
    pattern: /^(\w+) record not allowed in index section/,
    words: (found) => `expected records of an index, found one of kind ${found}`,
    part: 'summary',
  },
  {
    pattern: /^Duplicate Statistics record/,
    words: () => 'expected one record of statistics in the index, found two',
    part: 'summary',
  },
  {
    pattern: /^(\d+) bytes remaining in index section/,
    words: (bytes) => `expected whole records in the index, found ${counted(bytes)} of one`,
    part: 'summary',
  },
  {
    pattern: /^(\w+) record not allowed inside a chunk/,
    words: (found) => `expected schemas, channels and messages in the chunk, found a record of kind ${found}`,
  },
  {
    pattern: /^(\d+) bytes remaining in chunk/,
    words: (bytes) => `expected whole records in the chunk, found ${counted(bytes)} of one`,
  },
  {
    pattern: /^Encountered message on channel (\d+) without prior channel record/,
    words: (channel) => `expected the definition of channel ${channel} before its messages, found none`,
  },
  {
    pattern: /^Channel record for id (\d+) \(topic: (.*)\) differs/s,
    words: (channel, topic) => `expected one definition of channel ${channel}, found another, for ${topic}`,
  },
  {
    pattern: /^(?:Error reading .*: )?(\w[\w -]*?) length (\d+) exceeds bounds of (?:buffer|record)/,
    words: (what, bytes) => `expected a ${what?.toLowerCase()} within its record, found one of ${counted(bytes)}`,
  },
  {
    pattern: /^Chunk records length exceeds remaining record size/,
    words: () => 'expected records that fit the chunk, found them longer than it',
  },
  {
    pattern: /^(?:Record content length|Attachment) (?:too large: )?(\d+)/,
    words: (bytes) => `expected a record within the file, found one of ${counted(bytes)}`,
  },
  {
    pattern: /outside the bounds of the DataView|Invalid typed array length|Start offset .* is outside/,
    words: () => 'expected a whole record, found one that ends before its fields do',
  },
];

/** @param message of any error met while a file is read; ours are left as they are. */
export function inOurWords(message: string): { readonly message: string; readonly part: FilePart | null } {
  for (const { pattern, words, part = null } of wordings) {
    const found = pattern.exec(message);
    if (found !== null) return { message: words(...found.slice(1)), part };
  }
  const plain = message.replace(/ \[(?:library=[^\]]*|no header)\]$/, '');
  if (/^(expected|no memory)/.test(plain)) return { message: plain, part: null };
  return { message: `expected whole records, found damaged ones (${plain})`, part: null };
}
