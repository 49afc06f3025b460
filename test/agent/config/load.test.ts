import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaultConfigText } from '../../../agent/config/default-text.ts';
import { isSection, type KeyNode, keyTree } from '../../../agent/config/key-tree.ts';
import { loadConfig, parseConfig } from '../../../agent/config/load.ts';

function faultOf(text: string): string {
  try {
    parseConfig(text, 'agent.yaml');
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('expected the configuration to be refused');
}

describe('configuration', () => {
  it('an empty file is all defaults, and so is the printed default file', () => {
    const empty = parseConfig('', 'agent.yaml');
    expect(parseConfig(defaultConfigText(), 'default.yaml')).toEqual(empty);
    expect(empty.vehicle.id).toBe('vehicle-1');
    expect(empty.health.listen).toEqual({ host: '127.0.0.1', port: 9464 });
  });

  it('the committed default file is what the schema says', async () => {
    const committed = await readFile(new URL('../../../agent/config/default.yaml', import.meta.url), 'utf8');
    expect(committed).toBe(defaultConfigText());
  });

  it('every key has a description, a default and a unit', () => {
    const lacking: string[] = [];
    const walk = (node: KeyNode, path: string): void => {
      if (node.description === undefined || node.description === '') lacking.push(`${path}: description`);
      if (!isSection(node)) {
        if (node.default === undefined) lacking.push(`${path}: default`);
        if (node.unit === undefined) lacking.push(`${path}: unit`);
        return;
      }
      for (const [name, child] of Object.entries(node.properties ?? {})) walk(child, `${path}.${name}`);
    };
    walk(keyTree(), '');
    expect(lacking).toEqual([]);
  });

  it('an unknown key is refused with its line, its path and the key that was meant', () => {
    const fault = faultOf('vehicle:\n  id: car-7\nrecorder:\n  segment_s: 60\n  fsync_m: 100\n');
    expect(fault).toMatch(/^agent\.yaml:5: recorder\.fsync_m: expected one of .*fsync_ms.*, found unknown key fsync_m/);
    expect(fault).toContain('did you mean fsync_ms?');
    expect(faultOf('detector: {drift_threshold: {helinger: 0.3}}')).toBe(
      'agent.yaml:1: detector.drift_threshold.helinger: expected one of hellinger, kullback_leibler, average_pairwise, ' +
        'found unknown key helinger; did you mean hellinger?',
    );
  });

  it('a wrong value is refused with its line, its path, what was expected and what was found', () => {
    expect(faultOf('recorder:\n  fsync_ms: soon\n')).toBe(
      'agent.yaml:2: recorder.fsync_ms: expected a whole number from 50 to 60000 (ms), found "soon"',
    );
    expect(faultOf('sensors:\n  particulate:\n    model: pms9000\n')).toBe(
      'agent.yaml:3: sensors.particulate.model: expected one of plantower, sds011, sps30, none, found "pms9000"',
    );
    expect(faultOf('vehicle:\n  id: Car 7\n')).toContain('lower-case letters, digits and hyphens');
    expect(faultOf('detector:\n  thresholds: { glass_break: 1.5 }\n')).toBe(
      'agent.yaml:2: detector.thresholds.glass_break: expected a number from 0 to 1, found 1.5',
    );
    expect(faultOf('sensors:\n  bme680:\n    device: bus\n')).toContain(
      'expected a whole number from 0 to 255, or one of',
    );
  });

  it('every fault of a file is told at once, in the order of its lines', () => {
    const lines = faultOf('log:\n  level: loud\nhealth:\n  period_s: -1\nnothing: 1\n').split('\n');
    expect(lines.map((line) => line.split(':')[1])).toEqual(['2', '4', '5']);
  });

  it('an entry of a list is refused at its line with its place in the list, and filled with defaults where it is right', () => {
    const text = (entry: string) =>
      `graph:\n  ros2:\n    topics:\n      - {topic: /a, type: std_msgs/msg/String}\n      - ${entry}\n`;
    expect(faultOf(text('{topic: imu, type: sensor_msgs/msg/Imu}'))).toBe(
      'agent.yaml:5: graph.ros2.topics.1.topic: expected an absolute ROS name like /imu/data, found "imu"',
    );
    expect(faultOf(text('{topic: /b, type: std_msgs/msg/String, reliabilty: auto}'))).toContain(
      'did you mean reliability?',
    );
    expect(faultOf(text('{topic: /a, type: std_msgs/msg/String}'))).toContain('expected topics named once each');
    expect(parseConfig(text('{topic: /b, type: b/msg/B, depth: 5}'), '').graph.ros2.topics).toEqual([
      { topic: '/a', type: 'std_msgs/msg/String', reliability: 'auto', durability: 'auto', depth: 200 },
      { topic: '/b', type: 'b/msg/B', reliability: 'auto', durability: 'auto', depth: 5 },
    ]);
  });

  it('what is not YAML, and a file that is not there, are refused by name', async () => {
    expect(faultOf('vehicle: [1\n')).toMatch(/^agent\.yaml:\d+: expected valid YAML/);
    expect(faultOf('vehicle: *car\n')).toMatch(/^agent\.yaml: expected valid YAML.*car/);
    expect(() => parseConfig('vehicle: *car\n', '')).toThrow(expect.objectContaining({ code: 'configuration' }));
    expect(faultOf('- 1\n')).toContain('expected a mapping');
    await expect(loadConfig('/does/not/exist.yaml')).rejects.toThrow(/\/does\/not\/exist\.yaml: expected a readable/);
  });

  it('a section whose keys are all commented out means its defaults', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fender-config-'));
    await writeFile(join(folder, 'agent.yaml'), 'sync:\n  # url: mqtt://broker\n  tls:\n');
    expect(await loadConfig(join(folder, 'agent.yaml'))).toEqual(parseConfig('', ''));
  });
});
