import { describe, expect, it } from 'vitest';
import { Graph } from '../../../agent/graph.ts';
import { DiagnosticsNode } from '../../../agent/nodes/diagnostics.ts';
import { SensorNode } from '../../../agent/nodes/sensor-node.ts';
import { environmentSink, particulateSink, soundSink } from '../../../agent/nodes/sinks.ts';
import type { Clock, Diagnostic, Stamp } from '../../../drivers/sample.ts';

function stampAt(ms: number): Stamp {
  const ns = BigInt(ms) * 1_000_000n;
  return { capturedAtNs: ns, monotonicNs: ns, bootId: 'b', synchronised: true, estimatedErrorNs: 0n };
}

function diagnostic(level: Diagnostic['level'], code: string, source = 'bme680'): Diagnostic {
  return { source, level, code, message: code, cure: '', values: {} };
}

function sinkParts() {
  const graph = new Graph();
  const topics: string[] = [];
  graph.subscribeAll('test', ({ topic, sequence }) => topics.push(`${topic} ${sequence}`));
  const rows: [string, Readonly<Record<string, number>>][] = [];
  const appendTelemetry = (stream: string, _stamp: Stamp, values: Readonly<Record<string, number>>) => {
    rows.push([stream, values]);
  };
  return { graph, topics, rows, appendTelemetry, report: () => {} };
}

describe('sensor sinks', () => {
  it('a BME680 reading becomes four messages and one row, gas that is not valid is missing', () => {
    const parts = sinkParts();
    environmentSink(parts).sample({
      stamp: stampAt(0),
      temperatureC: 21.5,
      pressurePa: 101_325,
      humidity: 0.4,
      gasResistanceOhm: 5_000,
      gasValid: false,
      heaterStable: true,
    });
    expect(parts.topics).toEqual([
      '/bme680/temperature 0',
      '/bme680/humidity 0',
      '/bme680/pressure 0',
      '/bme680/gas 0',
    ]);
    expect(parts.rows).toEqual([
      [
        'bme680/environment',
        {
          temperature_c: 21.5,
          humidity_ratio: 0.4,
          pressure_pa: 101_325,
          gas_resistance_ohm: Number.NaN,
          gas_valid: 0,
          heater_stable: 1,
        },
      ],
    ]);
  });

  it('what a particulate sensor does not measure is not in its row', () => {
    const parts = sinkParts();
    const sample = { pm1UgM3: Number.NaN, pm25UgM3: 12, pm4UgM3: Number.NaN, pm10UgM3: 20, countsPerCm3: {} };
    particulateSink('sds011', parts).sample({ stamp: stampAt(0), ...sample });
    expect(parts.topics).toEqual(['/sds011/particulate 0']);
    expect(parts.rows).toEqual([['sds011/particulate', { pm2_5_ugm3: 12, pm10_ugm3: 20 }]]);
  });

  it('a second of sound becomes its messages and one row of levels', () => {
    const parts = sinkParts();
    const sink = soundSink(parts);
    for (let chunk = 0; chunk < 10; chunk += 1) {
      // Channel 0 is a square wave at half of full scale: −6.02 dBFS; channel 1 is silent.
      const pcm = new Int16Array(200).map((_, index) => (index % 2 === 1 ? 0 : index % 4 === 0 ? 16_384 : -16_384));
      const frames = { firstFrame: BigInt(chunk * 100), sampleRateHz: 1_000, channels: 2, frames: 100, pcm };
      sink.sample({ stamp: stampAt(chunk * 100), ...frames });
    }
    expect(parts.topics).toHaveLength(10);
    expect(parts.rows).toHaveLength(1);
    expect(parts.rows[0]?.[1].ch0_dbfs).toBeCloseTo(-6.02, 2);
    expect(parts.rows[0]?.[1].ch1_dbfs).toBe(-120);
  });
});

describe('diagnostics', () => {
  it('are recorded when they change, at most once a source and second, and the latest is never lost', () => {
    let nowMs = 0;
    const clock: Clock = {
      now: () => stampAt(nowMs),
      monotonicNs: () => BigInt(nowMs) * 1_000_000n,
      at: () => stampAt(nowMs),
    };
    const recorded: string[] = [];
    const node = new DiagnosticsNode({
      vehicle: 'v-1',
      graph: new Graph(),
      clock,
      record: (_stamp, { source, code }) => recorded.push(`${nowMs} ${source} ${code}`),
    });
    node.report(diagnostic('ok', 'ok'));
    node.report(diagnostic('ok', 'ok'));
    node.report(diagnostic('error', 'unplugged', 'uma8'));
    for (nowMs = 100; nowMs <= 500; nowMs += 100) {
      node.report(diagnostic('warn', 'checksum'));
      node.report(diagnostic('error', 'silent'));
    }
    nowMs = 1_200;
    node.publishAll();
    expect(recorded).toEqual(['0 bme680 ok', '0 uma8 unplugged', '1200 bme680 silent']);
    expect(node.all().map(({ code }) => code)).toEqual(['silent', 'unplugged']);
  });
});

describe('a sensor node', () => {
  it('reports a device that cannot be made or that throws, tries again, and ends with its signal', async () => {
    const reports: Diagnostic[] = [];
    const stop = new AbortController();
    let opened = 0;
    const node = new SensorNode(
      'bme680',
      async () => {
        opened += 1;
        if (opened === 1) throw new Error('the addon is not built');
        return { run: async () => stop.abort() };
      },
      (each) => reports.push(each),
    );
    await node.run(stop.signal);
    expect(opened).toBe(2);
    expect(reports).toHaveLength(1);
    expect(reports[0]).toMatchObject({ source: 'bme680', level: 'error', message: 'the addon is not built' });
  });
});
