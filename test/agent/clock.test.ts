import { describe, expect, it } from 'vitest';
import { type ClockOptions, disciplineOffset, SystemClock, type TimeSource } from '../../agent/clock.ts';
import { parseChronyTracking, parseTimesyncMessage, readClockQuality } from '../../agent/clock-quality.ts';

const MS = 1_000_000n;
const OPTIONS: ClockOptions = { checkPeriodMs: 1000, qualityPeriodMs: 1000, stepThresholdMs: 50 };

/** A machine whose clocks stand still until told otherwise; reading UTC lets 1 ms pass so that edges are found. */
class FakeTime implements TimeSource {
  bootId = 'b6579813-7271-472c-8eab-535b6f24370b';
  monotonic = 5_000n * MS;
  utcOffsetNs = 1_700_000_000_000n * MS;

  monotonicNs(): bigint {
    return this.monotonic;
  }

  utcMs(): number {
    this.monotonic += MS / 10n;
    return Number((this.monotonic + this.utcOffsetNs) / MS);
  }
}

describe('the clock', () => {
  it('stamps UTC, the monotonic clock and the boot id of the same moment', () => {
    const time = new FakeTime();
    const clock = new SystemClock(OPTIONS, time);
    const stamp = clock.now();
    expect(stamp.monotonicNs).toBe(time.monotonic);
    const errorNs = stamp.capturedAtNs - (time.monotonic + time.utcOffsetNs);
    expect(errorNs < MS && errorNs > -MS).toBe(true);
    expect(stamp.bootId).toBe(time.bootId);
    expect(clock.at(stamp.monotonicNs - 100n * MS).capturedAtNs).toBe(stamp.capturedAtNs - 100n * MS);
  });

  it('reports a step of the system clock once and goes on in the new time', () => {
    const time = new FakeTime();
    const clock = new SystemClock(OPTIONS, time);
    expect(clock.check()).toBeNull();
    time.utcOffsetNs += 3_600_000n * MS;
    const step = clock.check();
    expect(Number((step?.stepNs ?? 0n) / MS)).toBeGreaterThanOrEqual(3_599_999);
    expect(Number((step?.stepNs ?? 0n) / MS)).toBeLessThanOrEqual(3_600_001);
    expect(clock.check()).toBeNull();
    time.utcOffsetNs -= 7_200_000n * MS;
    expect(clock.check()?.stepNs).toBeLessThan(0n);
  });

  it('follows a slewed clock without calling it a step', () => {
    const time = new FakeTime();
    const clock = new SystemClock(OPTIONS, time);
    for (let second = 0; second < 100; second += 1) {
      time.utcOffsetNs += MS / 2n;
      expect(clock.check()).toBeNull();
    }
    const errorNs = clock.now().capturedAtNs - (time.monotonic + time.utcOffsetNs);
    expect(errorNs < 2n * MS && errorNs > -2n * MS).toBe(true);
  });

  it('carries what the system says of its clock on every stamp', async () => {
    const quality = { synchronised: true, estimatedErrorNs: 42n, source: 'chrony' };
    const clock = new SystemClock(OPTIONS, new FakeTime(), async () => quality);
    expect(clock.now().synchronised).toBe(false);
    await clock.refreshQuality();
    expect(clock.now()).toMatchObject({ synchronised: true, estimatedErrorNs: 42n });
  });

  it('does not move an offset inside the millisecond that Date cannot see', () => {
    const reading = { monotonicNs: 10n * MS, utcMs: 100 };
    expect(disciplineOffset(90n * MS + 7n, reading, 50n * MS)).toEqual({ offsetNs: 90n * MS + 7n, stepNs: 0n });
    expect(disciplineOffset(92n * MS, reading, 50n * MS)).toEqual({ offsetNs: 91n * MS, stepNs: 0n });
  });
});

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
    expect(parseChronyTracking('506 Cannot talk to daemon')).toBeNull();
  });

  it('reads the spans of timesyncd', () => {
    const message =
      'NTPMessage={ Leap=0, Version=4, Mode=4, Stratum=2, Precision=-24, RootDelay=15.243ms, RootDispersion=488us, Reference=11FD227B }';
    expect(parseTimesyncMessage(message)).toBe(8_109_500n);
    expect(parseTimesyncMessage('NTPMessage=')).toBeNull();
  });

  it('asks chrony, then timesyncd, then the kernel flag, and says no when nobody answers', async () => {
    const missing = async (): Promise<string> => {
      throw new Error('ENOENT');
    };
    const no = async (): Promise<boolean> => false;
    expect(await readClockQuality(async () => CHRONY, no)).toMatchObject({ source: 'chrony', synchronised: true });
    expect(await readClockQuality(missing, async () => true)).toEqual({
      synchronised: true,
      estimatedErrorNs: null,
      source: 'timesyncd',
    });
    const flag = (answer: string) => async (command: string) => (command === 'chronyc' ? missing() : answer);
    expect(await readClockQuality(flag('yes\n'), no)).toMatchObject({ synchronised: true, source: 'timedatectl' });
    expect(await readClockQuality(flag('no\n'), no)).toMatchObject({ synchronised: false, source: 'timedatectl' });
    expect(await readClockQuality(missing, no)).toMatchObject({ synchronised: false, source: 'none' });
  });
});
