import { afterEach, describe, expect, it, vi } from 'vitest';
import { DetectorSupervisor, type Impact, type SupervisorOptions } from '../../../agent/detector/supervisor.ts';
import type { Diagnostic } from '../../../drivers/sample.ts';
import { CHUNK_NS, chunk, optionsOf, setupOf, UTC_NS } from './pushed-sound.ts';

const running: DetectorSupervisor[] = [];

function supervise(options: Partial<SupervisorOptions> = {}) {
  const impacts: Impact[] = [];
  const diagnostics: Diagnostic[] = [];
  const supervisor = new DetectorSupervisor(
    { ...optionsOf('threshold.onnx'), ...options },
    { impact: (impact) => impacts.push(impact), diagnostic: (diagnostic) => diagnostics.push(diagnostic) },
  );
  supervisor.start();
  running.push(supervisor);
  return { supervisor, impacts, diagnostics };
}

const until = (condition: () => boolean) =>
  vi.waitFor(() => expect(condition()).toBe(true), { timeout: 20_000, interval: 20 });

afterEach(async () => {
  await Promise.all(running.splice(0).map((supervisor) => supervisor.stop(1_000)));
});

describe('the detector supervisor', () => {
  it('reports an impact with the recorded time of its sound', async () => {
    const { supervisor, impacts } = supervise();
    for (let index = 0; index < 10; index += 1) supervisor.push(chunk(index, index === 6 ? 30_000 : 0));
    await until(() => supervisor.statistics().processedChunks === 10);
    expect(impacts).toHaveLength(1);
    expect(impacts[0]).toMatchObject({
      label: 'body_impact',
      stamp: { monotonicNs: 6n * CHUNK_NS, capturedAtNs: UTC_NS + 6n * CHUNK_NS, synchronised: true },
      endNs: UTC_NS + 6n * CHUNK_NS + 50_000_000n,
      model: { name: 'threshold', version: '1.0.0' },
    });
    expect(supervisor.statistics()).toMatchObject({ state: 'running', restarts: 0, missedChunks: 0 });
  });

  it('a process that is killed is started again, and hears the sound that was waiting', async () => {
    const { supervisor, impacts, diagnostics } = supervise();
    supervisor.push(chunk(0, 0));
    await until(() => supervisor.statistics().processedChunks === 1);
    const killed = supervisor.statistics().pid ?? 0;
    process.kill(killed, 'SIGKILL');
    for (let index = 1; index < 10; index += 1) supervisor.push(chunk(index, index === 5 ? 30_000 : 0));
    await until(() => supervisor.statistics().processedChunks === 10);
    expect(supervisor.statistics()).toMatchObject({ restarts: 1, missedChunks: 0 });
    expect(supervisor.statistics().pid).not.toBe(killed);
    expect(impacts.map((impact) => impact.stamp.monotonicNs)).toEqual([5n * CHUNK_NS]);
    expect(diagnostics.map(({ code }) => code)).toEqual(['ok', 'restarted', 'ok']);
  });

  it('an impact that a dying process had heard and not told is told by the next one, and never twice', async () => {
    const setup = setupOf('late.onnx');
    const { supervisor, impacts } = supervise({ setup });
    for (let index = 0; index < 7; index += 1) supervisor.push(chunk(index, index === 5 ? 30_000 : 0));
    for (const next of [7, 15]) {
      await until(() => supervisor.statistics().processedChunks === next);
      expect(impacts).toHaveLength(next === 7 ? 0 : 1);
      process.kill(supervisor.statistics().pid ?? 0, 'SIGKILL');
      for (let index = next; index < next + 8; index += 1) supervisor.push(chunk(index, 0));
    }
    await until(() => supervisor.statistics().processedChunks === 23);
    expect(impacts.map(({ stamp }) => stamp.monotonicNs)).toEqual([5n * CHUNK_NS]);
    expect(supervisor.statistics()).toMatchObject({ restarts: 2, missedChunks: 0 });
  });

  it('a process that hangs is killed and started again', async () => {
    const { supervisor, impacts, diagnostics } = supervise();
    supervisor.push(chunk(0, 0));
    await until(() => supervisor.statistics().processedChunks === 1);
    process.kill(supervisor.statistics().pid ?? 0, 'SIGSTOP');
    for (let index = 1; index < 5; index += 1) supervisor.push(chunk(index, index === 3 ? 30_000 : 0));
    await until(() => supervisor.statistics().processedChunks === 5);
    expect(supervisor.statistics()).toMatchObject({ restarts: 1, missedChunks: 0 });
    expect(impacts).toHaveLength(1);
    expect(diagnostics[1]?.message).toContain('made no progress for 600 ms');
  });

  it('sound that kills the process twice is given up and counted, the rest is heard', async () => {
    const { supervisor, impacts } = supervise();
    supervisor.push(chunk(0, 12_345));
    supervisor.push(chunk(1, 0));
    await until(() => supervisor.statistics().restarts === 2);
    for (let index = 2; index < 6; index += 1) supervisor.push(chunk(index, index === 4 ? 30_000 : 0));
    await until(() => impacts.length === 1);
    expect(supervisor.statistics().missedChunks).toBeGreaterThanOrEqual(1);
  });

  it('a queue that is full loses its oldest unsent sound, counted, and keeps its bound', () => {
    const { supervisor, diagnostics } = supervise({ queueChunks: 5 });
    for (let index = 0; index < 12; index += 1) supervisor.push(chunk(index, 0));
    expect(supervisor.statistics()).toMatchObject({ queuedChunks: 5, missedChunks: 7 });
    expect(diagnostics[0]).toMatchObject({ level: 'warn', code: 'queue-full' });
  });

  it('a model that cannot be loaded is told with its reason', async () => {
    const { supervisor, diagnostics } = supervise({
      setup: setupOf('broken.onnx'),
    });
    supervisor.push(chunk(0, 0));
    await until(() => diagnostics.length > 0);
    expect(diagnostics[0]).toMatchObject({ code: 'restarted' });
    expect(diagnostics[0]?.message).toContain('expected a model, found a broken file');
  });

  it('stopping hears out what was pushed, then ends the process', async () => {
    const { supervisor, impacts } = supervise();
    supervisor.push(chunk(0, 0));
    await until(() => supervisor.statistics().state === 'running');
    const pid = supervisor.statistics().pid ?? 0;
    for (let index = 1; index < 20; index += 1) supervisor.push(chunk(index, index === 19 ? 30_000 : 0));
    await supervisor.stop(10_000);
    expect(impacts.map((impact) => impact.stamp.monotonicNs)).toEqual([19n * CHUNK_NS]);
    expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
    expect(supervisor.statistics().state).toBe('stopped');
  });

  it('a process that loops for ever is found out as one that is stopped, and costs the sound that made it', async () => {
    const { supervisor, impacts } = supervise();
    supervisor.push(chunk(0, 0));
    await until(() => supervisor.statistics().processedChunks === 1);
    for (let index = 1; index < 8; index += 1) supervisor.push(chunk(index, index === 3 ? 12_346 : 0));
    await until(() => supervisor.statistics().processedChunks === 7);
    expect(supervisor.statistics()).toMatchObject({
      restartsBy: { died: 0, hung: 2, memory: 0 },
      missedChunks: 1,
      scoredWindows: 7,
      missedWindows: 1,
    });
    expect(impacts).toHaveLength(0);
  });

  it('a process that grows is replaced without missing a window', async () => {
    const { supervisor, diagnostics } = supervise({ setup: setupOf('leaky.onnx'), maxMemoryBytes: 1e6 });
    let index = 0;
    await vi.waitFor(
      () => {
        supervisor.push(chunk(index, 0));
        index += 1;
        expect(supervisor.statistics().restarts).toBeGreaterThan(0);
        expect(supervisor.statistics().state).toBe('running');
      },
      { timeout: 20_000, interval: 100 },
    );
    await until(() => supervisor.statistics().processedChunks === index);
    expect(supervisor.statistics()).toMatchObject({ missedWindows: 0, scoredWindows: index });
    expect(supervisor.statistics().restartsBy.memory).toBeGreaterThan(0);
    expect(diagnostics.some(({ message }) => /expected at most \d+ MB, found \d+ MB/.test(message))).toBe(true);
  });

  it('another model takes over without a window lost or an impact told twice; one that cannot load changes nothing', async () => {
    const { supervisor, impacts } = supervise();
    const pids = new Set<number | null>();
    let index = 0;
    const push = (loud: boolean): void => {
      supervisor.push(chunk(index, loud ? 30_000 : 0));
      index += 1;
    };
    push(false);
    await until(() => supervisor.statistics().processedChunks === 1);
    for (const modelPath of ['other.onnx', 'broken.onnx', 'threshold.onnx']) {
      pids.add(supervisor.statistics().pid);
      push(true);
      const swapped = supervisor.swap({ modelPath }).then(
        () => 'swapped',
        (error: Error) => error.message,
      );
      await expect(supervisor.swap({ modelPath })).rejects.toThrow('expected no swap under way');
      for (let more = 0; more < 10; more += 1) push(false);
      expect(await swapped).toMatch(modelPath === 'broken.onnx' ? /found a broken file/ : 'swapped');
      await until(() => supervisor.statistics().processedChunks === index);
    }
    expect(pids.size).toBe(2);
    expect(impacts.map(({ stamp }) => stamp.monotonicNs / CHUNK_NS)).toEqual([1n, 12n, 23n]);
    expect(supervisor.statistics()).toMatchObject({ swaps: 2, restarts: 0, missedWindows: 0, scoredWindows: index });
  });

  it('a process that talks nonsense is heard as far as it makes sense', async () => {
    const { supervisor, impacts } = supervise({ setup: setupOf('liar.onnx') });
    for (let index = 0; index < 10; index += 1) supervisor.push(chunk(index, index === 5 ? 30_000 : 0));
    await until(() => supervisor.statistics().processedChunks === 10);
    expect(impacts).toHaveLength(1);
    expect(supervisor.statistics()).toMatchObject({ restarts: 0, missedWindows: 0 });
  });
});
