import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Exposition } from '../../../agent/health/exposition.ts';
import { ownUsage, readDisk, readProcess, readTemperature } from '../../../agent/health/machine.ts';
import { ProgressWatch } from '../../../agent/health/watchdog.ts';
import { watchdogPeriodMs } from '../../../agent/service-manager.ts';

describe('the watchdog', () => {
  it('is fed only while everything moves on, and a known fault is no standstill', () => {
    let nowMs = 0;
    let samples = 0;
    let isExcused = false;
    const watch = new ProgressWatch(
      [
        { name: 'samples/uma8', count: () => samples, excused: () => isExcused, limitMs: 1_000 },
        { name: 'disk', count: () => nowMs, excused: () => false, limitMs: 1_000 },
      ],
      () => nowMs,
    );
    expect(watch.stalled()).toEqual([]);
    nowMs = 900;
    samples = 1;
    expect(watch.stalled()).toEqual([]);
    nowMs = 1_800;
    expect(watch.stalled()).toEqual([]);
    nowMs = 2_000;
    expect(watch.stalled()).toEqual(['samples/uma8']);
    isExcused = true;
    expect(watch.stalled()).toEqual([]);
    isExcused = false;
    nowMs = 4_000;
    expect(watch.stalled()).toEqual(['samples/uma8']);
    samples = 2;
    expect(watch.stalled()).toEqual([]);
  });

  it('is expected by the service manager of this process only', () => {
    expect(watchdogPeriodMs({ WATCHDOG_USEC: '30000000' })).toBe(30_000);
    expect(watchdogPeriodMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '42' }, 42)).toBe(30_000);
    expect(watchdogPeriodMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '42' }, 43)).toBeNull();
    expect(watchdogPeriodMs({})).toBeNull();
  });
});

describe('metrics', () => {
  it('are written as Prometheus reads them', () => {
    const out = new Exposition('fender_');
    out.counter('topic_messages_total', 'Messages published.', 3, { topic: '/a"b\\c' });
    out.gauge('soc_temperature_celsius', 'Temperature.', Number.NaN);
    out.counter('topic_messages_total', 'Messages published.', 4, { topic: '/d' });
    expect(out.text()).toBe(
      [
        '# HELP fender_topic_messages_total Messages published.',
        '# TYPE fender_topic_messages_total counter',
        'fender_topic_messages_total{topic="/a\\"b\\\\c"} 3',
        'fender_topic_messages_total{topic="/d"} 4',
        '# HELP fender_soc_temperature_celsius Temperature.',
        '# TYPE fender_soc_temperature_celsius gauge',
        'fender_soc_temperature_celsius NaN',
        '',
      ].join('\n'),
    );
  });
});

describe('the machine', () => {
  it('tells the usage of processes and the room on the disk', async () => {
    const usage = await readProcess(process.pid);
    expect(usage?.memoryBytes).toBeGreaterThan(10_000_000);
    expect(Math.abs((usage?.cpuS ?? 0) - ownUsage().cpuS)).toBeLessThan(5);
    expect(await readProcess(0)).toBeNull();
    const disk = await readDisk(tmpdir());
    expect(disk?.totalBytes).toBeGreaterThan(disk?.freeBytes ?? 0);
    expect(await readDisk('/does/not/exist')).toBeNull();
  });

  it('tells the hottest thermal zone, or null where there is none', async () => {
    const root = await mkdtemp(join(tmpdir(), 'fender-thermal-'));
    expect(await readTemperature(root)).toBeNull();
    for (const [zone, temp] of [
      ['thermal_zone0', '48312\n'],
      ['thermal_zone1', '51000\n'],
    ] as const) {
      await mkdir(join(root, zone));
      await writeFile(join(root, zone, 'temp'), temp);
    }
    expect(await readTemperature(root)).toBe(51);
  });
});
