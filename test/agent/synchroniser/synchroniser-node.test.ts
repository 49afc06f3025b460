import { parse } from '@foxglove/rosmsg';
import { MessageReader } from '@foxglove/rosmsg2-serialization';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../agent/config/load.ts';
import { Graph } from '../../../agent/graph.ts';
import type { Message } from '../../../agent/messages/message.ts';
import { rosTime, schemaTexts } from '../../../agent/messages/messages.ts';
import { synchroniserDescription } from '../../../agent/synchroniser/ros-description.ts';
import { SynchroniserNode, type SynchroniserOptions } from '../../../agent/synchroniser/synchroniser-node.ts';
import { synchroniserOptions } from '../../../agent/synchroniser/synchroniser-options.ts';
import type { Clock, Diagnostic, Stamp } from '../../../drivers/sample.ts';

const ms = 1_000_000n;
const topicNames = ['/fast', '/slow', '/other'] as const;

interface SetMessage {
  header: { stamp: { sec: number; nanosec: number } };
  missed_before: number;
  topics: string[];
  sequences: Uint32Array;
  stamps: { sec: number; nanosec: number }[];
  monotonic_ns: BigInt64Array;
  skew: { sec: number; nanosec: number };
}

/** A vehicle whose time passes when it is told to. */
class Bench {
  nowNs = 1_000_000_000_000n;
  utcNs = 1_764_000_000_000_000_000n;
  readonly graph = new Graph((where, error) => {
    throw new Error(where, { cause: error });
  });
  readonly diagnostics: Diagnostic[] = [];
  readonly published: Message[] = [];
  readonly node: SynchroniserNode;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: Partial<SynchroniserOptions> = {}) {
    const clock: Clock = {
      monotonicNs: () => this.nowNs,
      now: () => this.stamp(0n),
      at: (ns) => this.stamp(ns - this.nowNs),
    };
    this.node = new SynchroniserNode(
      { graph: this.graph, clock, report: (diagnostic) => this.diagnostics.push(diagnostic) },
      {
        policy: 'approximate',
        topics: topicNames,
        queueSize: 30,
        slopNs: 600n * ms,
        agePenalty: 0.1,
        lowerBoundsNs: {},
        ...options,
      },
    );
    this.graph.subscribeAll('test', (message) => this.published.push(message));
    this.#running = this.node.run(this.#stopping.signal);
  }

  stamp(byNs: bigint): Stamp {
    const monotonicNs = this.nowNs + byNs;
    return { capturedAtNs: this.utcNs + byNs, monotonicNs, bootId: 'boot', synchronised: true, estimatedErrorNs: null };
  }

  publish(topic: string, byNs = 0n): void {
    this.graph.inject({ topic, type: 'std_msgs/msg/Empty', stamp: this.stamp(byNs), data: new Uint8Array(4) });
  }

  /** Passes time: `/fast` 10 times a second, `/slow` and `/other` once, 200 ms apart, but for the silent ones. */
  pass(seconds: number, silent: readonly string[] = []): void {
    for (let tenth = 0; tenth < seconds * 10; tenth += 1) {
      const due = ['/fast', ...(tenth % 10 === 3 ? ['/slow'] : []), ...(tenth % 10 === 5 ? ['/other'] : [])];
      for (const topic of due) if (!silent.includes(topic)) this.publish(topic);
      this.nowNs += 100n * ms;
      this.utcNs += 100n * ms;
      if (tenth % 10 === 9) this.node.look();
    }
  }

  get sets(): SetMessage[] {
    const reader = new MessageReader(parse(schemaTexts['fender_msgs/msg/SynchronizedSet'], { ros2: true }));
    return this.published
      .filter(({ topic }) => topic === '/fender/sets')
      .map(({ data }) => reader.readMessage(data) as SetMessage);
  }

  get codes(): string[] {
    const codes = this.diagnostics.map(({ code }) => code);
    return codes.filter((code, index) => code !== codes[index - 1]);
  }

  figuresOf(topic: string) {
    return this.node.figures().topics.find((each) => each.topic === topic);
  }

  async end(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }
}

describe('sets in the graph', () => {
  it('name the messages that belong together, by topic, sequence and time', async () => {
    const bench = new Bench();
    bench.pass(10);
    await bench.end();
    const { sets, published } = bench;
    expect(sets.length).toBeGreaterThanOrEqual(8);
    for (const [index, set] of sets.entries()) {
      expect(set.topics).toEqual([...topicNames]);
      const members = set.topics.map((topic, at) =>
        published.find((message) => message.topic === topic && message.sequence === set.sequences[at]),
      );
      expect([...set.monotonic_ns]).toEqual(members.map((message) => message?.stamp.monotonicNs));
      expect(set.stamps).toEqual(members.map((message) => rosTime(message?.stamp.capturedAtNs ?? 0n)));
      expect(set.skew).toEqual({ sec: 0, nanosec: 200_000_000 });
      expect(set.missed_before).toBe(0);
      expect(set.sequences[1]).toBe(index);
      const earliest = members.map((message) => message?.stamp.capturedAtNs ?? 0n).sort()[0] ?? 0n;
      expect(set.header.stamp).toEqual(rosTime(earliest));
    }
  });

  it('count what is in no set, and how far apart the messages are', async () => {
    const bench = new Bench();
    bench.pass(60);
    await bench.end();
    const figures = bench.node.figures();
    expect(figures).toMatchObject({ policy: 'approximate', slopNs: 600n * ms, missedSets: 0, completeness: 1 });
    expect(figures.sets).toBeGreaterThanOrEqual(58);
    expect(Math.abs(figures.skewMedianNs / 200e6 - 1)).toBeLessThan(0.01);
    expect(Math.abs(figures.skewP99Ns / 200e6 - 1)).toBeLessThan(0.01);
    for (const { messages, unmatched, pending } of figures.topics) {
      expect(messages).toBe(figures.sets + unmatched + pending);
    }
    expect(bench.figuresOf('/fast')).toMatchObject({ messages: 600, reordered: 0, duplicates: 0, refused: 0 });
    expect(bench.figuresOf('/slow')).toMatchObject({ messages: 60, unmatched: 0 });
    expect(bench.codes).toEqual(['ok']);
  });

  it('are made on the monotonic clock: a step of the system clock changes none', async () => {
    const [steady, stepped] = [new Bench(), new Bench()];
    for (const bench of [steady, stepped]) {
      bench.pass(5.4);
      if (bench === stepped) bench.utcNs += 3_600_000n * ms;
      bench.pass(5);
      await bench.end();
    }
    expect(stepped.sets.map((set) => [...set.sequences])).toEqual(steady.sets.map((set) => [...set.sequences]));
    expect(stepped.node.figures().skewP99Ns).toEqual(steady.node.figures().skewP99Ns);
  });

  it('follow a slop that is set while it runs, as the ROS parameter does', async () => {
    const bench = new Bench();
    const slop = synchroniserDescription(bench.node).parameters.find(({ name }) => name === 'slop_ms');
    bench.pass(5);
    const before = bench.sets.length;
    expect(slop?.read()).toBe(600);
    expect(slop?.write(150)).toBe(true);
    expect(bench.node.slopNs).toBe(150n * ms);
    bench.pass(20);
    expect(bench.sets.length).toBeLessThanOrEqual(before + 1);
    expect(bench.diagnostics.at(-1)).toMatchObject({
      code: 'stalled',
      cure: expect.stringContaining('slop_ms (150 now)'),
    });
    await bench.end();
  });

  it('of equal stamps only with the exact policy', async () => {
    const bench = new Bench({ policy: 'exact', topics: ['/fast', '/other'] });
    for (let second = 0; second < 5; second += 1) {
      bench.publish('/other');
      bench.pass(1, ['/other', '/slow']);
    }
    await bench.end();
    expect(bench.sets.map(({ sequences, skew }) => [...sequences, skew.nanosec])).toEqual(
      [0, 1, 2, 3, 4].map((second) => [10 * second, second, 0]),
    );
    expect(synchroniserDescription(bench.node).parameters.find(({ name }) => name === 'slop_ms')?.readOnly).toBe(true);
  });
});

describe('what comes in badly', () => {
  it('a stalled stream is told, costs the others no memory, and its sets are counted as missed', async () => {
    const bench = new Bench();
    bench.pass(20);
    bench.pass(60, ['/other']);
    const stalled = bench.diagnostics.at(-1);
    expect(stalled).toMatchObject({ source: 'synchroniser', level: 'warn', code: 'stalled' });
    expect(stalled?.message).toMatch(
      /expected a set of all topics each 1\.0 s, found none for 6\d s; nothing on \/other/,
    );
    expect(stalled?.cure).toContain('/other');
    for (const { pending } of bench.node.figures().topics) expect(pending).toBeLessThanOrEqual(30);
    expect(bench.node.figures().missedSets).toBeGreaterThan(50);
    const setsBefore = bench.sets.length;
    bench.pass(120);
    await bench.end();
    expect(bench.codes.slice(0, 2)).toEqual(['ok', 'stalled']);
    expect(bench.codes.at(-1)).toBe('ok');
    expect(bench.sets.length - setsBefore).toBeGreaterThanOrEqual(118);
    const missed = bench.sets.map(({ missed_before }) => missed_before).filter((each) => each > 0);
    expect(missed).toHaveLength(1);
    expect(Math.abs((missed[0] ?? 0) - 60)).toBeLessThanOrEqual(2);
    const figures = bench.node.figures();
    expect(figures.missedSets).toBe(missed[0]);
    expect(figures.completeness).toBeCloseTo(figures.sets / (figures.sets + figures.missedSets));
  });

  it('a topic that never comes is told after the start', async () => {
    const bench = new Bench();
    bench.pass(9, ['/slow']);
    expect(bench.diagnostics).toEqual([]);
    bench.pass(21, ['/slow']);
    await bench.end();
    expect(bench.codes).toEqual(['stalled']);
    expect(bench.diagnostics.at(-1)?.message).toContain('nothing on /slow');
    expect(bench.node.figures()).toMatchObject({ sets: 0, completeness: 0, skewMedianNs: Number.NaN });
  });

  it.each([
    ['is waited for where its bound is known', { '/slow': 100_000n * ms }, ['ok'], 0],
    ['is missing until its second message else, and the cure is told', {}, ['stalled', 'ok', 'stalled', 'ok'], 200],
  ])('a topic of every two minutes %s', async (_name, lowerBoundsNs, codes, mostMissed) => {
    const bench = new Bench({ lowerBoundsNs });
    for (let round = 0; round < 6; round += 1) {
      bench.pass(90, ['/slow']);
      bench.publish('/slow');
      bench.pass(30, ['/slow']);
    }
    await bench.end();
    expect(bench.codes.filter((code) => code !== 'incomplete')).toEqual(codes);
    if (codes.includes('stalled')) {
      expect(bench.diagnostics[0]?.cure).toContain('/slow');
      expect(bench.diagnostics[0]?.cure).toContain('inter_message_lower_bounds_ms');
    }
    expect(bench.sets.length).toBeGreaterThanOrEqual(5);
    expect(bench.node.figures().missedSets).toBeLessThanOrEqual(mostMissed);
  });

  it('sets that come only now and then are incomplete', async () => {
    const bench = new Bench();
    for (let round = 0; round < 30; round += 1) {
      bench.pass(3);
      bench.pass(1, ['/slow']);
    }
    await bench.end();
    expect(bench.codes.at(-1)).toBe('incomplete');
    expect(bench.diagnostics.at(-1)?.message).toMatch(/found 4\d of \d+ in the last minute/);
    expect(Math.abs(bench.node.figures().missedSets - 30)).toBeLessThanOrEqual(1);
  });

  it('a stamp from the future is refused, so that nobody waits for it', async () => {
    const bench = new Bench();
    bench.pass(5);
    bench.publish('/other', 3_600_000n * ms);
    bench.pass(10);
    await bench.end();
    expect(bench.figuresOf('/other')).toMatchObject({ refused: 1, unmatched: 1 });
    expect(bench.node.figures()).toMatchObject({ missedSets: 0 });
    expect(bench.sets.length).toBeGreaterThanOrEqual(13);
  });

  it('stamps that leap back cost their own sets, and those after them are whole again', async () => {
    const bench = new Bench();
    bench.pass(5);
    for (let second = 0; second < 3; second += 1) {
      bench.pass(1, ['/other']);
      bench.publish('/other', -3_600_000n * ms);
    }
    bench.pass(10);
    await bench.end();
    expect(bench.figuresOf('/other')).toMatchObject({ messages: 18, reordered: 1, pending: expect.any(Number) });
    expect(bench.figuresOf('/other')?.unmatched).toBeGreaterThanOrEqual(3);
    expect(bench.sets.length).toBeGreaterThanOrEqual(13);
    expect(bench.node.figures().missedSets).toBe(3);
  });

  it('reordered and doubled stamps are counted, and in one set at most', async () => {
    const bench = new Bench();
    bench.pass(5);
    bench.publish('/fast', -150n * ms);
    bench.publish('/slow', -150n * ms);
    bench.publish('/slow', -150n * ms);
    bench.pass(5);
    await bench.end();
    expect(bench.figuresOf('/fast')).toMatchObject({ reordered: 1, duplicates: 0 });
    expect(bench.figuresOf('/slow')).toMatchObject({ reordered: 0, duplicates: 1 });
    for (const [index] of topicNames.entries()) {
      const used = bench.sets.map(({ sequences }) => sequences[index]);
      expect(new Set(used).size).toBe(used.length);
    }
  });

  it('holds a bounded number of messages, however many come', async () => {
    const bench = new Bench({ topics: ['/fast', '/never'], queueSize: 7 });
    for (let index = 0; index < 20_000; index += 1) {
      bench.nowNs += 1n;
      bench.publish('/fast');
      bench.published.length = 0;
    }
    await bench.end();
    expect(bench.figuresOf('/fast')).toMatchObject({ messages: 20_000, pending: 7, unmatched: 19_993 });
  });
});

describe('figures in the bag', () => {
  it('are those of the segment, and lose nothing between segments', async () => {
    const bench = new Bench();
    bench.pass(20);
    const first = bench.node.takeSegmentMetadata();
    bench.pass(20, ['/other']);
    bench.publish('/other', -90_000n * ms);
    const second = bench.node.takeSegmentMetadata();
    bench.pass(20);
    const third = bench.node.takeSegmentMetadata();
    await bench.end();
    const total = bench.node.figures();
    const sum = (key: string) => [first, second, third].reduce((all, each) => all + Number(each.get(key) ?? 0), 0);
    expect(sum('sets')).toBe(total.sets);
    expect(sum('missed_sets')).toBe(total.missedSets);
    for (const { topic, messages, unmatched } of total.topics) {
      expect([sum(`messages:${topic}`), sum(`unmatched:${topic}`)]).toEqual([messages, unmatched]);
    }
    expect(first.get('policy')).toBe('approximate');
    expect(first.get('slop_ns')).toBe('600000000');
    expect(first.get('topics')).toBe('/fast /slow /other');
    expect(first.get('completeness')).toBe('1.0000');
    expect(Math.abs(Number(first.get('skew_median_ns')) / 200e6 - 1)).toBeLessThan(0.01);
    expect(first.has('reordered:/other')).toBe(false);
    expect(Number(second.get('completeness'))).toBeLessThan(0.2);
    expect(second.get('reordered:/other')).toBe('1');
    expect(Number(third.get('sets'))).toBeGreaterThanOrEqual(18);
  });
});

describe('the configuration', () => {
  const of = (text: string) => synchroniserOptions(parseConfig(text, 'test.yaml'));

  it('means the sound, the particulate sensor and the temperature, as far as they are on', () => {
    expect(of('')).toEqual({
      policy: 'approximate',
      topics: ['/uma8/audio', '/plantower/particulate', '/bme680/temperature'],
      queueSize: 100,
      slopNs: 600n * ms,
      agePenalty: 0.1,
      lowerBoundsNs: {},
    });
    expect(of('sensors: { particulate: { model: sps30 }, bme680: { device: none } }')?.topics).toEqual([
      '/uma8/audio',
      '/sps30/particulate',
    ]);
  });

  it('switches it off, as two sensors too few do', () => {
    expect(of('synchroniser: { enabled: false }')).toBeNull();
    expect(of('sensors: { particulate: { model: none }, bme680: { device: none } }')).toBeNull();
  });

  it('takes bounds of all topics that it chooses itself, also of those that are off', () => {
    for (const model of ['plantower', 'sds011', 'sps30']) {
      for (const topic of of(`sensors: { particulate: { model: ${model} } }`)?.topics ?? []) {
        expect(of(`synchroniser: { inter_message_lower_bounds_ms: { ${topic}: 9 } }`)?.topics).toHaveLength(3);
      }
    }
  });

  it('takes any topics, and bounds of their messages', () => {
    expect(
      of('synchroniser: { topics: [/imu/data, /uma8/audio], inter_message_lower_bounds_ms: { /uma8/audio: 99.5 } }'),
    ).toMatchObject({ topics: ['/imu/data', '/uma8/audio'], lowerBoundsNs: { '/uma8/audio': 99_500_000n } });
  });

  it.each([
    ['topics: [/one]', 'none, or 2 to 9 topics'],
    ['topics: [/one, /one]', 'each topic once'],
    ['topics: [one, /two]', 'an absolute ROS name like /imu/data'],
    ['topics: [/fender/sets, /two]', 'other topics than the sets themselves'],
    ['queue_size: 201', 'a whole number from 1 to 200'],
    ['slop_ms: -1', 'a number from 0 to 3600000'],
    [
      'topics: [/one, /two], inter_message_lower_bounds_ms: { /one: 5, /tow: 7 }',
      'bounds_ms./tow: expected bounds of synchronised topics only (/one, /two), found 7',
    ],
    ['inter_message_lower_bounds_ms: { /imu/data: 7 }', 'synchronised topics only (/uma8/audio, '],
  ])('refuses %s', (text, expected) => {
    expect(() => of(`synchroniser: { ${text} }`)).toThrow(expected);
  });
});
