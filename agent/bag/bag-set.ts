/** Owns reading one or more bags as one: finds all files of the given paths, and gives their chosen messages in order of time. */

import type { McapTypes } from '@mcap/core';
import { refusePacked, refusePackedFolders, someBagFiles } from './bag-folder.ts';
import { type BagIndex, indexBag } from './bag-index.ts';
import { FileSource } from './byte-source.ts';
import { RecordingError } from './error.ts';
import type { RawMessage } from './mcap-records.ts';
import { type OrderedInput, readInOrder, readJoined } from './message-order.ts';
import { stopIfAsked, type Work, watched } from './new-output.ts';
import type { Damage } from './scan.ts';
import { earliest, isoTime, latest, parseSpan, type TimeSpan } from './time-span.ts';

/** Which messages are wanted, as the command line says it. */
export interface BagSelection {
  /** Names of topics; `*` stands for any characters. All when absent or empty. */
  readonly topics?: readonly string[] | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** A message with where it is from. */
export interface SetMessage {
  readonly file: number;
  readonly channel: McapTypes.Channel;
  readonly message: RawMessage;
}

/** A file's part that could not be read. */
export interface SetDamage extends Damage {
  readonly file: string;
}

const progressEvery = 500;

/** Whether a topic is one of those wanted. @throws RecordingError `usage` for a pattern that is none. */
function topicFilter(patterns: readonly string[] | undefined): (topic: string) => boolean {
  if (patterns === undefined || patterns.length === 0) return () => true;
  const tests = patterns.map((pattern) => {
    const parts = pattern.split('*').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    return new RegExp(`^${parts.join('.*')}$`, 's');
  });
  return (topic) => tests.some((test) => test.test(topic));
}

/** Bags opened to be read as one. */
export class BagSet {
  readonly files: readonly BagIndex[];
  readonly span: TimeSpan;
  readonly #wants: (topic: string) => boolean;
  readonly #unreadable: SetDamage[] = [];

  private constructor(files: readonly BagIndex[], span: TimeSpan, wants: (topic: string) => boolean) {
    this.files = files;
    this.span = span;
    this.#wants = wants;
  }

  /**
   * Finds the files of `paths` and what is in each; those without a good summary are read whole for that.
   * @throws RecordingError as `indexBag`; `nothing-readable` without files, and where messages are packed one by one; `usage` for a span that is none, and topics that no file has.
   */
  static async open(paths: readonly string[], selection: BagSelection, work: Work): Promise<BagSet> {
    const files: BagIndex[] = [];
    for (const path of paths) await refusePackedFolders(path);
    for (const path of await someBagFiles(paths)) {
      const source = await FileSource.open(path);
      try {
        const index = await indexBag(source, watched(work));
        refusePacked(path, index.metadata);
        files.push(index);
      } finally {
        await source.close();
      }
      stopIfAsked(work.signal);
    }
    return BagSet.of(files, selection);
  }

  /** As `open`, of files whose index is known. */
  static of(files: readonly BagIndex[], selection: BagSelection): BagSet {
    const startNs = earliest(
      files.map(({ statistics }) => (statistics.messageCount > 0n ? statistics.messageStartTime : null)),
    );
    const set = new BagSet(
      files,
      parseSpan(selection.from, selection.to, startNs ?? 0n),
      topicFilter(selection.topics),
    );
    const topics = files.flatMap(({ channels }) => [...channels.values()].map(({ topic }) => topic));
    for (const pattern of selection.topics ?? []) {
      if (topics.some(topicFilter([pattern]))) continue;
      const found = [...new Set(topics)].sort().slice(0, 20).join(', ') || 'none';
      throw new RecordingError('usage', `--topic: expected a topic of the bag, found '${pattern}'; it has ${found}`);
    }
    return set;
  }

  /** Everything that could not be read, so far. */
  get damage(): readonly SetDamage[] {
    return [
      ...this.files.flatMap(({ name, damage }) => damage.map((each) => ({ file: name, ...each }))),
      ...this.#unreadable,
    ];
  }

  /** Notes what was found to be unreadable outside messages. */
  addDamage(damage: SetDamage): void {
    this.#unreadable.push(damage);
  }

  /** Why files are not whole, in words. */
  get problems(): readonly string[] {
    return this.files.filter(({ complete }) => !complete).map(({ name, problem }) => `${name}: ${problem}`);
  }

  /** From the first to the last message of all files, in words; empty without messages. */
  get spanText(): string {
    const filled = this.files.map(({ statistics }) => statistics).filter(({ messageCount }) => messageCount > 0n);
    const startNs = earliest(filled.map(({ messageStartTime }) => messageStartTime));
    const endNs = latest(filled.map(({ messageEndTime }) => messageEndTime));
    return startNs === null || endNs === null ? '' : `${isoTime(startNs)} to ${isoTime(endNs)}`;
  }

  /** The error of a span and topics without any message; `paths` are those that were asked for. */
  notCovered(paths: readonly string[]): RecordingError {
    const found = this.files.length === 1 ? paths.join(' ') : `${this.files.length} files`;
    const has = this.spanText === '' ? '' : `; there are messages from ${this.spanText}`;
    const text = `${found}: expected messages of these topics in this span, found none${has}`;
    return new RecordingError('not-covered', text);
  }

  /** Channels of a file that are wanted. */
  channels(file: number): McapTypes.Channel[] {
    return [...(this.files[file]?.channels.values() ?? [])].filter(({ topic }) => this.#wants(topic));
  }

  /** The chosen messages of all files in order of time. Progress is in messages read. */
  async *messages(work: Work, open = FileSource.open): AsyncGenerator<SetMessage> {
    const report = watched(work);
    const total = this.files.reduce((sum, { statistics }) => sum + Number(statistics.messageCount), 0);
    const inputs = this.files.map((index, file) => this.#input(index, file, open));
    let done = 0;
    for await (const { input, message } of readJoined(inputs)) {
      done += 1;
      if (done % progressEvery === 0) report(Math.min(done, total), total);
      const channel = this.files[input]?.channels.get(message.channelId);
      if (channel !== undefined) yield { file: input, channel, message };
    }
    report(total, total);
  }

  #input(index: BagIndex, file: number, open: typeof FileSource.open): OrderedInput {
    const channels = new Set(this.channels(file).map(({ id }) => id));
    const selection = { channels, ...this.span };
    const unreadable = this.#unreadable;
    const startNs = earliest(index.blocks.map((block) => block.startNs));
    return {
      startNs: startNs ?? 0n,
      open: async function* () {
        if (channels.size === 0) return;
        const source = await open(index.name);
        try {
          yield* readInOrder(source, index, selection, ({ offset, bytes }, reason) =>
            unreadable.push({ file: index.name, offset, bytes, reason }),
          );
        } finally {
          await source.close();
        }
      },
    };
  }
}
