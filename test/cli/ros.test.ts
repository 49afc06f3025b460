import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { splitRosArguments } from '../../bin/ros-arguments.ts';

const ROOT = join(import.meta.dirname, '../..');
const { ROS_DISTRO: _distro, AMENT_PREFIX_PATH: _prefixes, ...unsourced } = process.env;

function fender(...args: string[]): Promise<{ status: number; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [join(ROOT, 'bin/fender.ts'), ...args], { env: unsourced }, (error, _out, stderr) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, stderr });
    });
  });
}

describe('arguments for ROS 2', () => {
  test.each([
    [['agent', '--config', 'x'], ['agent', '--config', 'x'], null],
    [['node', 'uma8', '--ros-args'], ['node', 'uma8'], []],
    [
      ['node', 'uma8', '--ros-args', '-r', 'a:=/b', '-p', 'c:=1'],
      ['node', 'uma8'],
      ['-r', 'a:=/b', '-p', 'c:=1'],
    ],
    [['--ros-args', '-r', 'a:=/b', '--', 'node', '--ros-args', '-p', 'c:=1'], ['node'], ['-r', 'a:=/b', '-p', 'c:=1']],
  ])('stand behind --ros-args, up to -- or the end: %j', (argv, own, ros) => {
    expect(splitRosArguments(argv)).toEqual({ own, ros });
  });
});

describe('fender node', () => {
  test('without a sourced ROS 2 says what to source', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fender-cli-ros-'));
    const config = join(folder, 'agent.yaml');
    writeFileSync(config, 'sensors: {uma8: {source: generated}}\n');
    const { status, stderr } = await fender('node', 'uma8', '--config', config, '--ros-args', '-r', '__ns:=/front');
    rmSync(folder, { recursive: true });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^fender: ROS 2 is configured, but not sourced: .*source \/opt\/ros\/.*\/setup\.bash/);
  });

  test('names the sensors there are when asked for another', async () => {
    const { status, stderr } = await fender('node', 'radar');
    expect(status).toBe(2);
    expect(stderr).toContain('plantower, sds011, sps30, bme680, uma8');
  });
});
