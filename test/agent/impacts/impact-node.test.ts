import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SystemClock } from '../../../agent/clock.ts';
import type { Impact } from '../../../agent/detector/supervisor.ts';
import { Graph } from '../../../agent/graph.ts';
import { ImpactJournal } from '../../../agent/impacts/impact-journal.ts';
import { type CutClip, ImpactNode, type ImpactStore } from '../../../agent/impacts/impact-node.ts';
import type { ImpactSample } from '../../../agent/messages/messages.ts';
import type { ClipRange } from '../../../agent/recording/clip.ts';
import type { Diagnostic } from '../../../drivers/sample.ts';

const ROLLS = { preRollNs: 2_000_000_000n, postRollNs: 100_000_000n };
const clock = new SystemClock({ checkPeriodMs: 1000, qualityPeriodMs: 1000, stepThresholdMs: 50 });

let folder: string;
let stop: AbortController;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fender-impacts-'));
  stop = new AbortController();
});

afterEach(async () => {
  stop.abort();
  await rm(folder, { recursive: true, force: true });
});

function impactNow(): Impact {
  const stamp = clock.now();
  const scores = { background: 0.1, glass_break: 0.9 };
  const model = { name: 'impact', version: '1.0.0' };
  return { stamp, endNs: stamp.capturedAtNs + 50_000_000n, label: 'glass_break', score: 0.9, scores, model };
}

/** A node with a store that remembers what it was given, in order. */
function makeNode(
  cutClip?: CutClip,
  journal = new ImpactJournal(folder),
  appendEvent?: ImpactStore['appendEvent'],
  pressureChange?: () => number | null,
) {
  const stored: string[] = [];
  const diagnostics: Diagnostic[] = [];
  const spans: ClipRange[] = [];
  const graph = new Graph();
  graph.subscribeAll('test', ({ topic }) => stored.push(`message ${topic}`));
  const node = new ImpactNode(
    {
      graph,
      clock,
      journal,
      store: {
        appendEvent: appendEvent ?? (async (eventId: string, _impact: ImpactSample) => stored.push(`event ${eventId}`)),
        appendUpdate: async (_stamp, eventId, update) => stored.push(`update ${eventId} ${JSON.stringify(update)}`),
        appendClip: async (_stamp, eventId, clip) => stored.push(`clip ${eventId} ${clip.sha256}`),
        dropClip: async (eventId) => stored.push(`no clip ${eventId}`),
      },
      cutClip:
        cutClip ??
        (async (range) => {
          spans.push(range);
          return { path: 'x.mcap', sha256: 'abc', bytes: 3 };
        }),
      report: (diagnostic) => diagnostics.push(diagnostic),
      ...(pressureChange && { pressureChange }),
    },
    ROLLS,
  );
  return { node, stored, diagnostics, spans };
}

describe('an impact', () => {
  it('is committed as an event at once, and gets its clip when its post-roll is over', async () => {
    const { node, stored, spans } = makeNode();
    const running = node.run(stop.signal);
    const impact = impactNow();
    node.take(impact);
    await node.settled();
    expect(stored[0]).toBe('message /fender/impacts');
    expect(stored[1]).toMatch(/^event [0-9a-f-]{36}$/);
    await vi.waitFor(() => expect(stored).toHaveLength(3), { timeout: 10_000 });
    expect(stored[2]).toBe(`${stored[1]?.replace('event', 'clip')} abc`);
    const { stamp } = impact;
    expect(spans).toEqual([
      {
        bootId: stamp.bootId,
        startMonotonicNs: stamp.monotonicNs - ROLLS.preRollNs,
        endMonotonicNs: stamp.monotonicNs + 50_000_000n + ROLLS.postRollNs,
        anchor: stamp,
      },
    ]);
    await vi.waitFor(async () => expect(await readdir(folder)).toEqual([]), { timeout: 10_000 });
    stop.abort();
    await running;
    expect(node.statistics()).toEqual({ events: 1, clips: 1, owedClips: 0, lostClips: 0 });
  });

  it('gets its clip before that of a snapshot whose longer post-roll began before it', async () => {
    const { node, stored, spans } = makeNode();
    const running = node.run(stop.signal);
    const long = { stamp: clock.now(), reason: 'test', preRollNs: 0n, postRollNs: 3_000_000_000n };
    const snapshot = await node.takeSnapshot(long);
    node.take(impactNow());
    await vi.waitFor(() => expect(stored).toHaveLength(6), { timeout: 10_000 });
    expect(stored[4]).toMatch(/^clip /);
    expect(stored[5]).toBe(`clip ${snapshot} abc`);
    const [first, second] = spans.map(({ endMonotonicNs }) => endMonotonicNs);
    expect(first as bigint).toBeLessThan(second as bigint);
    stop.abort();
    await running;
  });

  it('whose clip was not made before the agent ended gets it at the next start, its event once', async () => {
    const before = makeNode();
    before.node.take(impactNow());
    await before.node.settled();
    const after = makeNode();
    void after.node.run(stop.signal);
    await vi.waitFor(() => expect(after.stored).toHaveLength(1), { timeout: 10_000 });
    expect(after.stored[0]).toBe(`${before.stored[1]?.replace('event', 'clip')} abc`);
  });

  it('that was journalled but not committed is committed at the next start', async () => {
    const journal = new ImpactJournal(folder);
    const { stamp, endNs, label, score, scores, model } = impactNow();
    const eventId = '0b8f5a3e-7c1d-4f6e-9a2b-3c4d5e6f7a8b';
    await journal.put({
      event_id: eventId,
      committed: false,
      captured_at_ns: stamp.capturedAtNs,
      monotonic_ns: stamp.monotonicNs,
      boot_id: 'another boot',
      synchronised: false,
      estimated_error_ns: null,
      end_ns: endNs,
      label,
      score,
      scores,
      model,
    });
    await writeFile(join(folder, 'torn.owed.json'), '{"event_id": "0b8f');
    const { node, stored } = makeNode();
    void node.run(stop.signal);
    await vi.waitFor(() => expect(stored).toEqual([`event ${eventId}`, `clip ${eventId} abc`]), { timeout: 10_000 });
    await vi.waitFor(async () => expect(await readdir(folder)).toEqual([]), { timeout: 10_000 });
  });

  it('whose clip cannot be cut keeps its event, and the trouble is told', async () => {
    const { node, stored, diagnostics } = makeNode(async () => {
      throw new Error('the disk is full');
    });
    void node.run(stop.signal);
    node.take(impactNow());
    await vi.waitFor(() => expect(diagnostics).not.toEqual([]), { timeout: 10_000 });
    expect(stored.filter((each) => each.startsWith('event'))).toHaveLength(1);
    expect(diagnostics[0]).toMatchObject({ source: 'impacts', level: 'error', code: 'clip-failed' });
    expect(diagnostics[0]?.message).toContain('the disk is full');
  });

  it('that the journal cannot forget has one clip all the same, and the node goes on', async () => {
    class StubbornJournal extends ImpactJournal {
      override async remove(): Promise<void> {
        throw new Error('the disk is read-only');
      }
    }
    const { node, stored, diagnostics } = makeNode(undefined, new StubbornJournal(folder));
    const running = node.run(stop.signal);
    node.take(impactNow());
    await vi.waitFor(() => expect(node.statistics()).toMatchObject({ clips: 1, owedClips: 0 }), { timeout: 10_000 });
    node.take(impactNow());
    await vi.waitFor(() => expect(node.statistics()).toMatchObject({ clips: 2, owedClips: 0 }), { timeout: 10_000 });
    stop.abort();
    await running;
    expect(stored.filter((each) => each.startsWith('clip'))).toHaveLength(2);
    expect(diagnostics[0]).toMatchObject({ code: 'journal-failed' });
  });
});

describe('a snapshot', () => {
  it('is an event of its own label, whose clip holds what was asked for, also after a restart', async () => {
    const before = makeNode();
    const stamp = clock.now();
    const asked = { stamp, reason: 'a stone', preRollNs: 7_000_000_000n, postRollNs: 100_000_000n };
    const eventId = await before.node.takeSnapshot(asked);
    expect(before.stored).toEqual(['message /fender/impacts', `event ${eventId}`]);
    expect(before.node.statistics()).toMatchObject({ events: 1, owedClips: 1 });

    const metadata: unknown[] = [];
    const ranges: ClipRange[] = [];
    const after = makeNode(async (range, its) => {
      ranges.push(range);
      metadata.push(its);
      return { path: 'x.mcap', sha256: 'abc', bytes: 3 };
    });
    void after.node.run(stop.signal);
    await vi.waitFor(() => expect(after.stored).toEqual([`clip ${eventId} abc`]), { timeout: 10_000 });
    const { bootId, monotonicNs } = stamp;
    expect(ranges).toEqual([
      {
        bootId,
        startMonotonicNs: monotonicNs - 7_000_000_000n,
        endMonotonicNs: monotonicNs + 100_000_000n,
        anchor: stamp,
      },
    ]);
    expect(metadata).toEqual([{ event_id: eventId, label: 'snapshot', reason: 'a stone' }]);
  });

  it('whose clip can never be made is declared', async () => {
    const { node, stored } = makeNode(async () => {
      throw new Error('nothing was recorded');
    });
    void node.run(stop.signal);
    const eventId = await node.takeSnapshot({ stamp: clock.now(), reason: '', preRollNs: 0n, postRollNs: 1n });
    await vi.waitFor(() => expect(stored.at(-1)).toBe(`no clip ${eventId}`), { timeout: 20_000 });
    const isOver = () => expect(node.statistics()).toMatchObject({ clips: 0, lostClips: 1, owedClips: 0 });
    await vi.waitFor(isOver, { timeout: 10_000 });
  });

  it('that the disk does not take is refused', async () => {
    const { node } = makeNode(undefined, new ImpactJournal(folder), async () => {
      throw new Error('the outbox is full');
    });
    const asked = { stamp: clock.now(), reason: '', preRollNs: 0n, postRollNs: 1n };
    await expect(node.takeSnapshot(asked)).rejects.toThrow('the outbox is full');
  });
});

describe('a change of pressure around an impact', () => {
  it('that is measured by then is in the event itself', async () => {
    const samples: ImpactSample[] = [];
    const append = async (_id: string, sample: ImpactSample) => samples.push(sample);
    const { node } = makeNode(undefined, undefined, append, () => -12);
    node.take(impactNow());
    await node.settled();
    expect(samples).toMatchObject([{ kind: 'impact', pressureChangePa: -12 }]);
  });

  it('that is measured later comes as an update, before the clip', async () => {
    let change: number | null = null;
    const { node, stored } = makeNode(undefined, undefined, undefined, () => change);
    const running = node.run(stop.signal);
    node.take(impactNow());
    await node.settled();
    change = 31.5;
    await vi.waitFor(() => expect(stored).toHaveLength(4), { timeout: 10_000 });
    expect(stored[2]).toMatch(/^update [0-9a-f-]{36} {"pressureChangePa":31.5}$/);
    expect(stored[3]).toMatch(/^clip /);
    stop.abort();
    await running;
  });
});

describe('a finding', () => {
  const air = { kind: 'air', label: 'smoke', detail: 'PM2.5 rose', level: 'high', ongoing: true } as const;

  it('of the air is an event with a clip, also after a restart, and its updates follow it', async () => {
    const samples: ImpactSample[] = [];
    let commit: () => void = () => {};
    const slow = async (id: string, sample: ImpactSample) => {
      samples.push(sample);
      await new Promise<void>((resolve) => {
        commit = resolve;
      });
      before.stored.push(`event ${id}`);
    };
    const before = makeNode(undefined, undefined, slow);
    const readings = [{ name: 'pm2_5_ugm3', value: 60, baseline: 8 }];
    const rolls = { preRollNs: 1_000_000_000n, postRollNs: 0n };
    const id = before.node.takeFinding({ ...air, stamp: clock.now(), readings }, rolls);
    before.node.update(clock.now(), id, { ongoing: false, durationS: 90 });
    await vi.waitFor(() => expect(samples).toHaveLength(1), { timeout: 10_000 });
    commit();
    await before.node.settled();
    expect(samples[0]).toMatchObject({ ...air, eventId: id, readings, score: 1, model: { name: '', version: '' } });
    await vi.waitFor(() => expect(before.stored).toHaveLength(3), { timeout: 10_000 });
    expect(before.stored[1]).toBe(`event ${id}`);
    expect(before.stored[2]).toBe(`update ${id} {"ongoing":false,"durationS":90}`);
    const after = makeNode();
    void after.node.run(stop.signal);
    await vi.waitFor(() => expect(after.stored).toEqual([`clip ${id} abc`]), { timeout: 10_000 });
  });

  it('without a clip owes none', async () => {
    const { node, stored } = makeNode();
    const id = node.takeFinding(
      { kind: 'drift', label: 'model_drift', detail: 'x', readings: [], stamp: clock.now() },
      null,
    );
    await node.settled();
    expect(stored).toEqual(['message /fender/impacts', `event ${id}`]);
    expect(node.statistics()).toMatchObject({ events: 1, owedClips: 0 });
    expect(await readdir(folder)).toEqual([]);
  });
});
