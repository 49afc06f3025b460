import { afterEach, describe, expect, it, vi } from 'vitest';
import { type CandidateOptions, Shadow } from '../../../agent/detector/shadow.ts';
import { DetectorSupervisor } from '../../../agent/detector/supervisor.ts';
import type { Diagnostic } from '../../../drivers/sample.ts';
import { chunk, optionsOf } from './pushed-sound.ts';

const PATIENCE = { timeout: 20_000, interval: 20 };
const running: { stop(timeoutMs: number): Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.stop(500)));
});

/** An active model and a candidate on the same sound. */
function beside(candidate: Partial<CandidateOptions>) {
  const diagnostics: Diagnostic[] = [];
  const impacts: string[] = [];
  const options = optionsOf('threshold.onnx');
  const pair = { modelPath: 'threshold.onnx', fp32Path: null };
  const shadow = new Shadow(
    { ...options, source: 'shadow', pair, choice: null, choiceFile: '', ...candidate },
    (diagnostic) => diagnostics.push(diagnostic),
    () => active.statistics().missedWindows,
  );
  const active = new DetectorSupervisor(options, {
    impact: ({ model, stamp }) => {
      impacts.push(model.version);
      shadow.activeEvent(stamp.monotonicNs);
    },
    diagnostic: () => {},
    ready: (about) => shadow.activeReady(about),
    windows: (windows) => shadow.activeWindows(windows),
  });
  active.start();
  shadow.start();
  running.push(active, shadow);
  let index = 0;
  const push = (count: number, sampleOf: (index: number) => number = () => 0): void => {
    for (const end = index + count; index < end; index += 1) {
      const next = chunk(index, sampleOf(index));
      active.push(next);
      shadow.push(next);
    }
  };
  return { active, shadow, diagnostics, impacts, push };
}

const until = (condition: () => boolean) => vi.waitFor(() => expect(condition()).toBe(true), PATIENCE);

describe('the candidate', () => {
  it('scores what the active model scores, is compared with it, and raises no event', async () => {
    const { active, shadow, impacts, push } = beside({ setup: optionsOf('other.onnx').setup });
    push(1);
    await until(() => active.statistics().state === 'running' && shadow.statistics().model !== null);
    for (let round = 0; round < 10; round += 1) {
      push(10, (at) => (at % 50 === 25 ? 30_000 : 0));
      await until(() => shadow.statistics().agreement.windows >= 10 * round + 5);
    }
    await until(() => active.statistics().processedChunks === 101 && shadow.statistics().agreement.windows >= 100);
    const { agreement, model, state } = shadow.statistics();
    expect({ state, model }).toEqual({ state: 'running', model: { name: 'threshold', version: '2.0.0' } });
    expect(agreement).toMatchObject({ agreement: 1, kappa: 1, difference: 0, eventsBoth: 2 });
    expect(impacts).toEqual(['1.0.0', '1.0.0']);
  });

  it('that dies again and again is dropped with its reason, and the active model hears everything', async () => {
    const { active, shadow, diagnostics, push } = beside({ setup: optionsOf('broken.onnx').setup });
    push(1);
    await until(() => shadow.statistics().state === 'dropped');
    push(20);
    await until(() => active.statistics().processedChunks === 21);
    expect(active.statistics()).toMatchObject({ restarts: 0, missedWindows: 0 });
    const told = diagnostics.find(({ code }) => code === 'dropped');
    expect(told).toMatchObject({ level: 'error', source: 'shadow' });
    expect(told?.message).toContain('expected a model, found a broken file');
    expect(shadow.statistics().pid).toBeNull();
  });

  it('that cannot keep up is suspended, counted and told', async () => {
    const { active, shadow, diagnostics, push } = beside({ setup: optionsOf('slow.onnx').setup });
    push(1);
    await until(() => active.statistics().state === 'running' && shadow.statistics().model !== null);
    for (let round = 0; round < 40 && shadow.statistics().state === 'running'; round += 1) {
      push(25);
      await until(() => active.statistics().processedChunks === 26 + 25 * round);
    }
    await until(() => shadow.statistics().state === 'suspended');
    expect(shadow.statistics()).toMatchObject({ suspensions: 1, pid: null });
    expect(diagnostics.find(({ code }) => code === 'suspended')?.message).toMatch(/suspended for 10 min$/);
    expect(active.statistics()).toMatchObject({ restarts: 0, missedWindows: 0 });
  });
});
