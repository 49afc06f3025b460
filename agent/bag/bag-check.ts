/** Owns `fender bag verify` of paths: every file, sequences over all segments of a recording, and `metadata.yaml` against the files. */

import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type FolderMetadata, metadataName, readFolderMetadata, someBagFiles } from './bag-folder.ts';
import { type FileCheck, type TopicSequences, verifySource } from './bag-verify.ts';
import { FileSource, isUnfinished, unfinishedText } from './byte-source.ts';
import { counted } from './counted.ts';
import { RecordingError } from './error.ts';
import { type Finding, FindingList } from './finding.ts';
import type { Work } from './new-output.ts';
import { recoverCure } from './shell-word.ts';
import { earliest, latest } from './time-span.ts';

/** What a check of one path found: a file, or a folder with its segments. */
export interface BagCheck {
  readonly path: string;
  readonly files: readonly Omit<FileCheck, 'topics' | 'findings'>[];
  readonly findings: readonly Finding[];
  readonly errors: number;
}

/** Codes of errors that are about one file of several: the others are checked all the same. */
const ofOneFile: readonly string[] = ['empty', 'not-mcap', 'sqlite3', 'nothing-readable', 'too-large'];

/**
 * Checks a bag: `progress` runs over each file.
 * @throws RecordingError when nothing at the path is a bag; `stopped`. What is wrong in it is a finding.
 */
export async function bagVerify(path: string, work: Work = {}): Promise<BagCheck> {
  const files = await someBagFiles([path]);
  const isFolder = (await stat(path)).isDirectory();
  const findings: Finding[] = [];
  const checks: FileCheck[] = [];
  const sequences: TopicSequences = new Map();
  let errors = 0;
  for (const file of files) {
    try {
      const check = await verifyFile(file, work, sequences);
      checks.push(check);
      findings.push(...check.findings);
      errors += check.errors;
    } catch (error) {
      if (!isFolder || !(error instanceof RecordingError) || !ofOneFile.includes(error.code)) throw error;
      if (error.code === 'empty' && isUnfinished(file)) {
        findings.push({ file, offset: 0, severity: 'note', code: 'unfinished', message: `empty: ${unfinishedText}` });
        continue;
      }
      findings.push({ file, offset: 0, severity: 'error', code: error.code, message: error.message });
      errors += 1;
    }
  }
  if (isFolder) {
    const list = new FindingList(join(path, metadataName));
    await checkMetadata(path, files, checks, list);
    findings.push(...list.list());
    errors += list.errors;
  }
  const plain = checks.map(({ topics: _topics, findings: _findings, ...check }) => check);
  return { path, files: plain, findings, errors };
}

async function verifyFile(path: string, work: Work, sequences: TopicSequences): Promise<FileCheck> {
  const source = await FileSource.open(path);
  try {
    return await verifySource(source, work, sequences);
  } finally {
    await source.close();
  }
}

/** A nested value of parsed YAML, or undefined. */
function at(value: unknown, ...keys: readonly string[]): unknown {
  let found = value;
  for (const key of keys) found = (found as Record<string, unknown> | null | undefined)?.[key];
  return found;
}

function listAt(value: unknown, key: string): readonly unknown[] {
  const found = at(value, key);
  return Array.isArray(found) ? found : [];
}

async function checkMetadata(
  folder: string,
  files: readonly string[],
  checks: readonly FileCheck[],
  list: FindingList,
): Promise<void> {
  let metadata: FolderMetadata | null;
  try {
    metadata = await readFolderMetadata(folder);
  } catch (error) {
    list.error('metadata', null, (error as Error).message.replace(`${join(folder, metadataName)}: `, ''));
    return;
  }
  if (metadata === null && files.every(isUnfinished)) {
    list.note(
      'unfinished',
      null,
      'expected metadata.yaml, found none: it comes with the first segment that is finished',
    );
    return;
  }
  if (metadata === null) {
    list.error(
      'metadata',
      null,
      'expected metadata.yaml, without which `ros2 bag` does not open the folder, found none',
    );
    return;
  }
  const { information, storage } = metadata;
  if (storage !== 'mcap') list.error('metadata', null, `storage_identifier: expected mcap, found '${storage}'`);
  const finished = files.filter((file) => !isUnfinished(file)).map((file) => basename(file));
  const named = listAt(information, 'relative_file_paths').map(String);
  for (const name of named) {
    if (!finished.includes(name)) list.error('metadata', null, `names ${name}, which is not there`);
  }
  for (const name of finished) {
    if (!named.includes(name)) list.error('metadata', null, `does not name ${name}`);
  }
  const counted = checks.filter(({ path }) => named.includes(basename(path)));
  if (counted.length === named.length) compareCounts(information, counted, list);
}

function compareCounts(information: unknown, checks: readonly FileCheck[], list: FindingList): void {
  const differ = (what: string, inFiles: unknown, said: unknown): void => {
    if (String(inFiles) !== String(said)) {
      list.error('metadata', null, `${what}: the files have ${String(inFiles)}, metadata.yaml says ${String(said)}`);
    }
  };
  differ(
    'message_count',
    checks.reduce((sum, { messages }) => sum + messages, 0),
    at(information, 'message_count'),
  );
  const startNs = earliest(checks.map((check) => check.startNs));
  const endNs = latest(checks.map((check) => check.endNs));
  if (startNs !== null && endNs !== null) {
    differ('starting_time', startNs, at(information, 'starting_time', 'nanoseconds_since_epoch'));
    differ('duration', endNs - startNs, at(information, 'duration', 'nanoseconds'));
  }
  const topics = new Map<string, { type: string; messages: number }>();
  for (const [topic, { type, messages }] of checks.flatMap((check) => [...check.topics])) {
    topics.set(topic, { type, messages: messages + (topics.get(topic)?.messages ?? 0) });
  }
  const said = new Map(
    listAt(information, 'topics_with_message_count').map((entry) => [
      String(at(entry, 'topic_metadata', 'name')),
      { type: at(entry, 'topic_metadata', 'type'), messages: at(entry, 'message_count') },
    ]),
  );
  for (const [topic, { type, messages }] of topics) {
    const entry = said.get(topic);
    // `ros2 bag` leaves topics without messages out.
    if (entry === undefined && messages === 0) continue;
    differ(`messages of ${topic}`, messages, entry?.messages ?? 0);
    if (entry !== undefined) differ(`type of ${topic}`, type, entry.type);
  }
  for (const [topic, { messages }] of said) {
    if (!topics.has(topic)) differ(`messages of ${topic}`, 0, messages);
  }
}

/** Findings that a recovered bag does not have: what is readable is kept, everything about it made anew. */
const curedCodes: ReadonlySet<string> = new Set([
  'damage',
  'cut-off',
  'header',
  'data-crc',
  'message-index',
  'summary',
  'summary-crc',
  'footer',
  'statistics',
  'chunk-index',
  'attachment-index',
  'metadata-index',
  'summary-offset',
  'metadata',
]);

/** What `fender bag verify` prints. */
export function formatCheck(check: BagCheck): string {
  const messages = check.files.reduce((sum, file) => sum + file.messages, 0);
  const bytes = check.files.reduce((sum, file) => sum + file.bytes, 0);
  const notes = check.findings.filter(({ severity }) => severity === 'note').length;
  const orNo = (count: number, what: string): string => (count === 0 ? `no ${what}s` : counted(count, what));
  const found = `${orNo(check.errors, 'error')}, ${orNo(notes, 'note')}`;
  const read = `${orNo(check.files.length, 'file')}, ${orNo(messages, 'message')}, ${counted(bytes, 'byte')} read`;
  const lines = [`${check.path}: ${found}; ${read}`];
  const placed = check.findings.filter(({ offset }) => offset !== null);
  const files = new Set([...check.files.map(({ path }) => path), ...placed.map(({ file }) => file)]);
  for (const { file, offset, severity, code, message } of check.findings) {
    const where = files.size > 1 || offset === null ? `${basename(file)} ` : '';
    const place = offset === null ? where.trim() : `${where}offset ${offset}`;
    lines.push(`  ${severity}  ${code}  ${place}: ${message}`);
  }
  const isCured = check.findings.some(({ severity, code }) => severity === 'error' && curedCodes.has(code));
  if (isCured) lines.push(`  ${recoverCure(check.path)}`);
  return `${lines.join('\n')}\n`;
}
