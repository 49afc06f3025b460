import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const systemd = spawnSync('systemd-analyze', ['--version']).status === 0;
const missing = systemd ? '' : ' (skipped: systemd-analyze is not installed)';
const folder = join(import.meta.dirname, '../../systemd');

/** A root folder as after the installation: the units, and the program they start. */
function installed({ withRos = false } = {}): string {
  const root = mkdtempSync(join(tmpdir(), 'fender-units-'));
  mkdirSync(join(root, 'opt/fender/node_modules/.bin'), { recursive: true });
  const node = join(root, 'opt/fender/node_modules/.bin/node');
  writeFileSync(node, '#!/bin/sh\n');
  chmodSync(node, 0o755);
  cpSync('/usr/lib/systemd/system', join(root, 'usr/lib/systemd/system'), { recursive: true });
  cpSync(folder, join(root, 'etc/systemd/system'), { recursive: true });
  cpSync(folder, join(root, 'opt/fender/systemd'), { recursive: true });
  if (withRos) {
    const dropIn = join(root, 'etc/systemd/system/fender-agent.service.d');
    mkdirSync(dropIn);
    cpSync(join(folder, 'fender-agent-ros.conf'), join(dropIn, 'ros.conf'));
  }
  return root;
}

describe.skipIf(!systemd && !process.env.CI)(`systemd units${missing}`, () => {
  test.each([
    ['fender-agent.service', false],
    ['fender-agent.service', true],
    ['fender-central.service', false],
    ['fender-ros-node@uma8.service', false],
  ])('%s (with ROS 2: %s) is clean for systemd-analyze verify', (unit, withRos) => {
    const result = spawnSync('systemd-analyze', ['verify', '--man=no', `--root=${installed({ withRos })}`, unit], {
      encoding: 'utf8',
    });
    const lines = `${result.stdout}${result.stderr}`.split('\n').filter((line) => line.includes('fender'));
    expect({ lines, status: result.status }).toEqual({ lines: [], status: 0 });
  });

  test.each(['fender-agent.service', 'fender-central.service', 'fender-ros-node@.service'])(
    '%s is exposed at most 2.0',
    (unit) => {
      const result = spawnSync('systemd-analyze', ['security', '--offline=true', join(folder, unit)], {
        encoding: 'utf8',
      });
      const level = Number(/exposure level for .*: ([\d.]+)/.exec(result.stdout)?.[1]);
      expect(level).toBeGreaterThan(0);
      expect(level).toBeLessThanOrEqual(2.0);
    },
  );
});
