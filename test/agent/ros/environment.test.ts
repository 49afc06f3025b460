import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseConfig } from '../../../agent/config/load.ts';
import { checkRos } from '../../../agent/doctor/ros.ts';
import { readRosDefinition } from '../../../agent/ros/definitions.ts';
import { findRos } from '../../../agent/ros/environment.ts';
import { rosFiles } from './ros-files.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fender-ros-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('looking for ROS 2', () => {
  test('finds one that is sourced and for which rclnodejs is ready', async () => {
    const found = findRos(await rosFiles(folder));
    expect(found).toMatchObject({ ros: { distro: 'jazzy', middleware: 'default' } });
  });

  test('says what to source when it is not', async () => {
    const { packageFolder, ubuntuCodename } = await rosFiles(folder);
    const found = findRos({ env: {}, packageFolder, ubuntuCodename });
    expect(found).toMatchObject({
      problem: {
        code: 'not-sourced',
        message: 'ROS 2 is configured, but not sourced: ROS_DISTRO and AMENT_PREFIX_PATH not set',
        cure: expect.stringMatching(/source \/opt\/ros\/.*\/setup\.bash, and the workspace with fender_msgs/),
      },
    });
  });

  test.each([
    ['addon', 'not-built', /no addon for ROS 2 jazzy/, /npm run build:ros/],
    ['messages', 'messages', /no message classes yet/, /npm run build:ros/],
    ['rclnodejs', 'rclnodejs', /rclnodejs is not installed/, /npm ci/],
  ] as const)('says what is missing when the %s is', async (without, code, message, cure) => {
    const found = findRos(await rosFiles(folder, without));
    expect(found).toMatchObject({
      problem: { code, message: expect.stringMatching(message), cure: expect.stringMatching(cure) },
    });
  });

  test('refuses a middleware that is not installed, which would end the process, and names those that are', async () => {
    const around = await rosFiles(folder);
    const env = { ...around.env, RMW_IMPLEMENTATION: 'rmw_fastrtps_cpp' };
    expect(findRos({ ...around, env })).toMatchObject({
      problem: { code: 'middleware', cure: expect.stringContaining('(rmw_cyclonedds_cpp)') },
    });
  });
});

describe('fender doctor', () => {
  const { graph } = parseConfig('graph: {kind: ros2}', 'test');

  test('is content without ROS 2 when none is configured, and names the cure when one is', async () => {
    expect(await checkRos(parseConfig('', 'test').graph)).toMatchObject({ level: 'ok' });
    const around = { env: {}, packageFolder: null, ubuntuCodename: '' };
    expect(await checkRos(graph, around)).toMatchObject({ level: 'error', cure: expect.stringContaining('source') });
  });

  test('tells of an addon that does not load, without dying of it', async () => {
    expect(await checkRos(graph, await rosFiles(folder))).toMatchObject({
      level: 'error',
      found: expect.stringMatching(/rclnodejs does not load with ROS 2 jazzy: .*file too short/),
      cure: expect.stringContaining('npm run build:ros -- --force'),
    });
  });
});

describe('the definition of a type of others', () => {
  test('is found in the sourced ROS 2 with all that it uses', async () => {
    const { env } = await rosFiles(folder);
    const prefix = env.AMENT_PREFIX_PATH as string;
    await mkdir(join(prefix, 'share', 'std_msgs', 'msg'), { recursive: true });
    await writeFile(join(prefix, 'share', 'std_msgs', 'msg', 'Header.msg'), 'string frame_id\n');
    expect(readRosDefinition('car_msgs/msg/Wheel', [join(folder, 'empty'), prefix])).toBe(
      `std_msgs/Header header\nSlip slip # of it\n${'='.repeat(80)}\nMSG: std_msgs/Header\nstring frame_id\n` +
        `${'='.repeat(80)}\nMSG: car_msgs/Slip\nfloat64 ratio\n`,
    );
  });

  test('that is not there is named, with where it was looked for', async () => {
    const { env } = await rosFiles(folder);
    const prefix = env.AMENT_PREFIX_PATH as string;
    expect(() => readRosDefinition('car_msgs/msg/Wheel', [prefix])).toThrow(
      `expected std_msgs/msg/Header.msg in a sourced ROS 2, looked in ${prefix}`,
    );
  });
});
