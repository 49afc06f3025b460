import { describe, expect, it } from 'vitest';
import { PressureWatch } from '../../../agent/impacts/pressure-watch.ts';
import { randomStream, stampOf } from '../air/simulated-air.ts';

const ONSET_S = 100.4;

/** A watch that saw one reading a second from 80 s to `untilS`. */
function watched(pressureAt: (s: number) => number, untilS = 103, bootId = 'simulated'): PressureWatch {
  const watch = new PressureWatch();
  for (let s = 80; s <= untilS; s += 1) {
    const stamp = { ...stampOf(s), bootId };
    const rest = { temperatureC: 20, humidity: 0.5, gasResistanceOhm: 1e5, gasValid: true, heaterStable: true };
    watch.add({ stamp, pressurePa: pressureAt(s), ...rest });
  }
  return watch;
}

const noise = () => {
  const random = randomStream(11);
  return () => 1.2 * (random() + random() + random() - 1.5);
};

describe('a change of pressure', () => {
  it('that lasts is found beside noise and the slope of a road, by its size', () => {
    const some = noise();
    const watch = watched((s) => 99_000 + 9 * (s - 80) + some() + (s >= ONSET_S ? -40 : 0));
    const change = watch.changeAt(stampOf(ONSET_S));
    expect(change).toBeGreaterThan(-46);
    expect(change).toBeLessThan(-34);
  });

  it('of one reading only is found, when a reading fell into it', () => {
    const watch = watched((s) => 99_000 + (s === 101 ? 25 : 0));
    expect(watch.changeAt(stampOf(ONSET_S))).toBe(25);
    expect(watched((s) => 99_000 + (s === 104 ? 25 : 0), 106).changeAt(stampOf(ONSET_S))).toBeNull();
  });

  it('is null in noise and on a hill, at every moment', () => {
    const some = noise();
    const watch = watched((s) => 99_000 + 60 * Math.sin(s / 25) + some(), 143);
    for (let s = 92; s < 140; s += 0.7) expect(watch.changeAt(stampOf(s))).toBeNull();
  });

  it('is null with too few readings, none after the onset yet, or of another boot', () => {
    const step = (s: number) => 99_000 + (s >= ONSET_S ? 80 : 0);
    expect(watched(step, 100).changeAt(stampOf(ONSET_S))).toBeNull();
    expect(watched(step).changeAt(stampOf(82))).toBeNull();
    expect(watched(step, 103, 'another').changeAt(stampOf(ONSET_S))).toBeNull();
    expect(new PressureWatch().changeAt(stampOf(ONSET_S))).toBeNull();
  });

  it('is not found in readings before the onset', () => {
    const watch = watched((s) => 99_000 + (s === 99 ? 300 : 0));
    expect(watch.changeAt(stampOf(ONSET_S))).toBeNull();
  });
});
