/** What the air node says of events beyond its own end: nothing that was told is forgotten. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AirNode } from '../../../agent/air/air-node.ts';
import { Graph } from '../../../agent/graph.ts';
import type { EventUpdate, Finding } from '../../../agent/impacts/impact-node.ts';
import type { Clock } from '../../../drivers/sample.ts';
import { airOptions, readingsOf, SCENE_AT_S, sceneOf } from './air-scenes.ts';
import { happenings as h } from './simulated-air.ts';

const ID = '0b8f5a3e-7c1d-4f6e-9a2b-3c4d5e6f7a8b';
const stampAt = (monotonicNs: bigint) => ({
  capturedAtNs: monotonicNs,
  monotonicNs,
  bootId: 'b',
  synchronised: true,
  estimatedErrorNs: 1n,
});
const clock: Clock = { now: () => stampAt(1n), monotonicNs: () => 1n, at: stampAt };

let folder: string;
let statePath: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fender-air-'));
  statePath = join(folder, 'air.json');
});
afterEach(() => rm(folder, { recursive: true }));

async function openNode() {
  const findings: Finding[] = [];
  const updates: (EventUpdate & { readonly eventId: string })[] = [];
  const parts = {
    graph: new Graph(),
    clock,
    statePath,
    found: (finding: Finding) => {
      findings.push(finding);
      return ID;
    },
    update: (_stamp: unknown, eventId: string, update: EventUpdate) => updates.push({ eventId, ...update }),
    report: () => {},
  };
  return { node: await AirNode.open(parts, airOptions()), findings, updates };
}

test('an event that a crash interrupted is ended at the next start, and keeps its worst level and values', async () => {
  const { node, findings, updates } = await openNode();
  for (const { s, particulate, environment } of readingsOf(sceneOf(h.cigarette(220)), SCENE_AT_S + 300, 1)) {
    const stamp = stampAt(BigInt(s) * 1_000_000_000n);
    node.particulate({ ...particulate, stamp });
    node.environment({ ...environment, stamp });
  }
  expect(findings).toMatchObject([{ kind: 'air', label: 'smoke', level: 'raised', ongoing: true }]);
  const told = updates.at(-1);
  expect(told).toMatchObject({ eventId: ID, level: 'very_high', ongoing: true });
  await vi.waitFor(async () => expect(await readFile(statePath, 'utf8')).toContain('very_high'), { timeout: 10_000 });
  // No word of the end: as killed.
  const next = await openNode();
  expect(next.updates).toEqual([{ ...told, ongoing: false }]);
  expect(next.findings).toEqual([]);
});

test('a state of the version before is taken up, and one that is damaged ends nothing', async () => {
  const open = [{ event_id: ID, duration_s: 12 }];
  await writeFile(statePath, JSON.stringify({ learnt: { particles: 2, gas: null }, open }));
  expect((await openNode()).updates).toEqual([{ eventId: ID, durationS: 12, ongoing: false }]);
  for (const odd of [{ level: 'awful' }, { readings: [{ name: 'pm2_5_ugm3' }] }, { detail: 1 }, { duration_s: -1 }]) {
    await writeFile(statePath, JSON.stringify({ learnt: {}, open: [{ ...open[0], ...odd }] }));
    expect((await openNode()).updates).toEqual([]);
  }
});
