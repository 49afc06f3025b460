/** What the clock promises whatever happens to the system clock, and how it learns how good that is. */
import { describe, expect, it, vi } from 'vitest';
import { type ClockOptions, type ClockStep, SystemClock } from '../../agent/clock.ts';
import { parseChronyTracking, parseTimesyncStatus, readClockQuality } from '../../agent/clock-quality.ts';
import { SimulatedTime } from './clock-simulated-time.ts';

const MS = 1_000_000n;
const SECOND = 1000n * MS;
const YEAR = 31_557_600n * SECOND;
const OPTIONS: ClockOptions = { checkPeriodMs: 1000, qualityPeriodMs: 30_000, stepThresholdMs: 50 };
const GOOD = { synchronised: true, estimatedErrorNs: 42n, source: 'chrony' };

describe('the clock', () => {
  it('stamps UTC, the monotonic clock and the boot id of the same moment, to 20 µs', () => {
    const time = new SimulatedTime();
    const clock = new SystemClock(OPTIONS, time);
    const stamp = clock.now();
    expect(stamp.monotonicNs).toBeLessThanOrEqual(time.monotonic);
    expect(distance(stamp.capturedAtNs - stamp.monotonicNs, time.offsetNs)).toBeLessThan(20_000n);
    expect(stamp.bootId).toBe(time.bootId);
    expect(clock.at(stamp.monotonicNs - 100n * MS).capturedAtNs).toBe(stamp.capturedAtNs - 100n * MS);
  });

  it.each([
    ['an hour ahead', 3600n * SECOND],
    ['an hour back', -3600n * SECOND],
    ['ten years ahead', 10n * YEAR],
    ['ten years back', -10n * YEAR],
    ['little more than the threshold', 51n * MS],
    ['little more than the threshold back', -51n * MS],
  ])('reports a step of %s once, before the first stamp in the new time', (_name, stepNs) => {
    const time = new SimulatedTime();
    const clock = new SystemClock(OPTIONS, time, async () => GOOD);
    const heard: ClockStep[] = [];
    const stop = new AbortController();
    void clock.run(stop.signal, (step) => heard.push(step));
    time.monotonic += SECOND;
    const before = clock.now();
    time.monotonic += 30n * MS;
    time.offsetNs += stepNs;
    const captured = time.monotonic - 10n * MS;
    const late = clock.at(captured);
    expect(heard).toHaveLength(1);
    const [step] = heard as [ClockStep];
    expect(distance(step.stepNs, stepNs)).toBeLessThan(20_000n);
    expect(late.capturedAtNs - before.capturedAtNs).toBe(captured - before.monotonicNs);
    const after = clock.now();
    expect(after.capturedAtNs - after.monotonicNs).toBe(step.stamp.capturedAtNs - step.stamp.monotonicNs);
    expect(after.monotonicNs).toBeGreaterThanOrEqual(step.stamp.monotonicNs);
    expect(clock.at(step.stamp.monotonicNs)).toEqual(step.stamp);
    expect(clock.at(step.stamp.monotonicNs - 1n).capturedAtNs).toBe(step.stamp.capturedAtNs - step.stepNs - 1n);
    expect(clock.at(captured)).toEqual(late);
    expect(clock.check()).toBeNull();
    expect(clock.statistics()).toEqual({ steps: 1, leaps: 0, lastStepNs: step.stepNs, slewingNs: 0n });
    stop.abort();
  });

  it.each([
    ['ahead', 40n * MS],
    ['back', -40n * MS],
  ])('catches up with a small leap %s at 500 ppm, and says on each stamp how far it still is', (_name, leapNs) => {
    const time = new SimulatedTime();
    const clock = new SystemClock(OPTIONS, time, async () => GOOD);
    return clock.refreshQuality().then(() => {
      const start = clock.now();
      time.offsetNs += leapNs;
      expect(clock.check()).toBeNull();
      const early = clock.now();
      expect(distance(early.capturedAtNs - early.monotonicNs, start.capturedAtNs - start.monotonicNs)).toBeLessThan(MS);
      expect(early.estimatedErrorNs ?? 0n).toBeGreaterThan(39n * MS);
      time.monotonic += 40n * SECOND;
      const half = clock.now();
      expect(distance(half.capturedAtNs - half.monotonicNs, time.offsetNs)).toBeLessThan(21n * MS);
      expect(half.estimatedErrorNs ?? 0n).toBeGreaterThan(19n * MS);
      time.monotonic += 41n * SECOND;
      const end = clock.now();
      expect(distance(end.capturedAtNs - end.monotonicNs, time.offsetNs)).toBeLessThan(20_000n);
      expect(end.estimatedErrorNs).toBeLessThan(20_000n);
      expect(clock.statistics()).toMatchObject({ steps: 0, leaps: 1 });
    });
  });

  it('makes a step of small leaps that add up', () => {
    const time = new SimulatedTime();
    const clock = new SystemClock(OPTIONS, time);
    const found = [];
    for (let i = 0; i < 4; i++) {
      time.monotonic += SECOND;
      time.offsetNs -= 30n * MS;
      found.push(clock.check() !== null);
    }
    expect(found).toEqual([false, true, false, true]);
  });

  it('takes a suspended machine for a step, by as long as it was suspended', () => {
    const time = new SimulatedTime();
    const clock = new SystemClock(OPTIONS, time);
    // CLOCK_MONOTONIC stands still, the system clock does not.
    time.offsetNs += 600n * SECOND;
    expect(distance(clock.check()?.stepNs ?? 0n, 600n * SECOND)).toBeLessThan(20_000n);
  });

  it('tells steps that came before anybody listened', () => {
    const time = new SimulatedTime();
    const clock = new SystemClock(OPTIONS, time, async () => GOOD);
    time.offsetNs += SECOND;
    const step = clock.check();
    const heard: (ClockStep | null)[] = [];
    const stop = new AbortController();
    void clock.run(stop.signal, (each) => heard.push(each));
    expect(heard).toEqual([step]);
    stop.abort();
  });

  it('leaves the quality of a moment as it was, and doubts the clock from a step until somebody vouches for it', async () => {
    const time = new SimulatedTime();
    const asked: boolean[] = [];
    const clock = new SystemClock(OPTIONS, time, async (doubtful) => {
      asked.push(doubtful);
      return GOOD;
    });
    const first = clock.now();
    await clock.refreshQuality();
    time.monotonic += SECOND;
    const second = clock.now();
    time.monotonic += SECOND;
    time.offsetNs += SECOND;
    const third = clock.now();
    await clock.refreshQuality();
    time.monotonic += SECOND;
    const fourth = clock.now();
    expect([first, second, third, fourth].map(({ synchronised }) => synchronised)).toEqual([false, true, false, true]);
    for (const stamp of [first, second, third, fourth]) expect(clock.at(stamp.monotonicNs)).toEqual(stamp);
    await clock.refreshQuality();
    expect(asked).toEqual([false, true, false]);
  });

  it('drops an answer that a step has overtaken', async () => {
    const time = new SimulatedTime();
    let answer: (quality: typeof GOOD) => void = () => {};
    const clock = new SystemClock(OPTIONS, time, () => new Promise((resolve) => (answer = resolve)));
    const asking = clock.refreshQuality();
    time.offsetNs += SECOND;
    clock.check();
    answer(GOOD);
    await asking;
    expect(clock.now().synchronised).toBe(false);
  });

  it('believes nobody who vouches for a clock in the past century', async () => {
    const time = new SimulatedTime();
    time.offsetNs = 0n;
    const clock = new SystemClock(OPTIONS, time, async () => GOOD);
    await clock.refreshQuality();
    expect(clock.now()).toMatchObject({ synchronised: false, estimatedErrorNs: null });
  });

  it('asks for the quality again soon after a step and while nobody vouches for the clock, then at leisure', async () => {
    vi.useFakeTimers();
    try {
      const time = new SimulatedTime();
      let good = false;
      const askedS: number[] = [];
      const startMs = Date.now();
      const clock = new SystemClock(OPTIONS, time, async () => {
        askedS.push((Date.now() - startMs) / 1000);
        return { ...GOOD, synchronised: good };
      });
      const stop = new AbortController();
      const running = clock.run(stop.signal, () => {});
      await vi.advanceTimersByTimeAsync(8_000);
      expect(askedS).toEqual([0, 0.5, 1.5, 3.5, 7.5]);
      good = true;
      await vi.advanceTimersByTimeAsync(90_000);
      expect(askedS.slice(5)).toEqual([15.5, 45.5, 75.5]);
      time.offsetNs += SECOND;
      good = false;
      await vi.advanceTimersByTimeAsync(4_000);
      expect(askedS.slice(8)).toEqual([99.001, 99.501, 100.501]);
      stop.abort();
      await running;
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

function distance(a: bigint, b: bigint): bigint {
  return a < b ? b - a : a - b;
}

describe('clock quality', () => {
  const CHRONY =
    'A29FC87B,162.159.200.123,4,1700000000.123,-0.000123,0.000050000,0.000100000,-12.3,0.001,0.05,0.010000,0.002000,64.5,Normal\n';

  it('adds up the error bound of chrony', () => {
    expect(parseChronyTracking(CHRONY)).toEqual({
      synchronised: true,
      estimatedErrorNs: 7_123_000n,
      source: 'chrony',
    });
    expect(parseChronyTracking(CHRONY.replace('Normal', 'Not synchronised'))).toMatchObject({
      synchronised: false,
      estimatedErrorNs: null,
    });
    expect(parseChronyTracking(CHRONY.replace('A29FC87B', '7F7F0101'))).toMatchObject({ synchronised: false });
    expect(parseChronyTracking('506 Cannot talk to daemon')).toBeNull();
  });

  it('adds up the error bound of timesyncd', () => {
    const status = [
      '       Server: 216.239.38.15 (time4.google.com)',
      'Poll interval: 1min 4s (min: 32s; max 34min 8s)',
      '         Leap: normal',
      'Root distance: 335us (max: 5s)',
      '       Offset: -316us',
      '        Delay: 12.5ms',
      ' Packet count: 1',
    ].join('\n');
    expect(parseTimesyncStatus(status)).toBe(335_000n + 316_000n + 6_250_000n + 960_000n);
    expect(parseTimesyncStatus(' Packet count: 0\n')).toBeNull();
  });

  it('asks chrony, then timesyncd, then the kernel flag, and says no when nobody answers', async () => {
    const missing = async (): Promise<string> => {
      throw new Error('ENOENT');
    };
    const no = async (): Promise<boolean> => false;
    expect(await readClockQuality(false, async () => CHRONY, no)).toMatchObject({
      source: 'chrony',
      synchronised: true,
    });
    expect(await readClockQuality(false, missing, async () => true)).toEqual({
      synchronised: true,
      estimatedErrorNs: null,
      source: 'timesyncd',
    });
    const flag = (answer: string) => async (command: string) => (command === 'chronyc' ? missing() : answer);
    expect(await readClockQuality(false, flag('yes\n'), no)).toMatchObject({
      synchronised: true,
      source: 'timedatectl',
    });
    expect(await readClockQuality(false, flag('no\n'), no)).toMatchObject({
      synchronised: false,
      source: 'timedatectl',
    });
    expect(await readClockQuality(false, missing, no)).toMatchObject({ synchronised: false, source: 'none' });
  });

  it('believes nobody after a step until the kernel agrees', async () => {
    const answers = (flag: string) => async (command: string) => (command === 'chronyc' ? CHRONY : `${flag}\n`);
    const no = async (): Promise<boolean> => false;
    expect(await readClockQuality(true, answers('no'), no)).toEqual({
      synchronised: false,
      estimatedErrorNs: null,
      source: 'chrony',
    });
    expect(await readClockQuality(true, answers('yes'), no)).toMatchObject({ source: 'chrony', synchronised: true });
    expect(await readClockQuality(true, answers(''), no)).toMatchObject({ synchronised: true });
    expect(await readClockQuality(false, answers('no'), no)).toMatchObject({ synchronised: true });
  });
});
