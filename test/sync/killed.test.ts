/** A vehicle killed at any moment: every append that was promised is at central exactly once, and no sequence is missing. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startAedes } from './brokers.ts';
import { CentralStub, type StubRow } from './central-stub.ts';
import { seededRandom } from './stamps.ts';

let folder: string;
let children: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fender-killed-'));
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  rmSync(folder, { recursive: true, force: true });
});

/** Starts the vehicle; `promised` reads what it has promised so far. */
function startVehicle(
  url: string,
  seed: number,
  mode: 'append' | 'drain',
): { child: ChildProcess; promised: () => string[] } {
  const journal = join(folder, `promised-${mode}-${seed}`);
  const script = fileURLToPath(new URL('./killed-child.ts', import.meta.url));
  const args = [script, join(folder, 'outbox.sqlite'), url, String(seed), mode, journal];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  children.push(child);
  // A line that the kill cut in two was not promised yet.
  const promised = (): string[] =>
    existsSync(journal) ? readFileSync(journal, 'latin1').split('\n').slice(0, -1) : [];
  return { child, promised };
}

describe('kill −9', () => {
  it('loses no promised append, doubles none and leaves no gap', { timeout: 120_000 }, async () => {
    const seed = Number(process.env.FENDER_SEED ?? Date.now() % 1_000_000);
    console.log(`seed ${seed} (repeat with FENDER_SEED=${seed})`);
    const random = seededRandom(seed);
    const broker = await startAedes();
    const url = `mqtt://127.0.0.1:${broker.port}`;
    const central = new CentralStub(join(folder, 'central'));
    await central.connect(url);
    // Now and then central's word is lost, so that rows are sent again over a kill.
    central.behaviour.loseAck = () => random() < 0.1;
    try {
      const promised: StubRow[] = [];
      for (let round = 0; round < 8; round += 1) {
        const vehicle = startVehicle(url, seed + round, 'append');
        const closed = once(vehicle.child, 'close');
        const enough = Math.floor(random() * 600);
        while (vehicle.promised().length <= enough && vehicle.child.exitCode === null) await sleep(5);
        await sleep(random() * 40);
        vehicle.child.kill('SIGKILL');
        expect(await closed).toEqual([null, 'SIGKILL']);
        promised.push(...vehicle.promised().map((line) => JSON.parse(line) as StubRow));
      }
      const { child } = startVehicle(url, seed, 'drain');
      const [code] = (await once(child, 'close')) as [number | null];
      expect(code).toBe(0);
      expectDelivered(promised, central.rows());
      expect(promised.length).toBeGreaterThan(500);
    } finally {
      await central.close();
      await broker.stop();
    }
  });
});

function expectDelivered(promised: readonly StubRow[], rows: readonly StubRow[]): void {
  const held = new Map(rows.map((row) => [`${row.epoch} ${row.stream} ${row.sequence}`, row.body]));
  const wrong = promised.filter((row) => held.get(`${row.epoch} ${row.stream} ${row.sequence}`) !== row.body);
  expect(wrong).toEqual([]);
  expect(new Set(promised.map((row) => `${row.stream} ${row.sequence}`)).size).toBe(promised.length);
  expect(new Set(rows.map(({ epoch }) => epoch)).size).toBe(1);
  for (const stream of new Set(rows.map((row) => row.stream))) {
    const sequences = rows.filter((row) => row.stream === stream).map(({ sequence }) => sequence);
    expect(sequences).toEqual(Array.from({ length: sequences.length }, (_, index) => index + 1));
  }
}
