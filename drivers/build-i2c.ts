/**
 * Compiles the i2c-bus addon for the Node that runs this, against the headers inside the pinned Node package. Does
 * nothing when the addon already loads, unless `--force` is given. Needs a C++ compiler, make and Python 3.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);

/** Tries the addon in a fresh process: one that fails to load here could not be loaded again after building. */
function loads(): boolean {
  const probe = spawnSync(process.execPath, ['-e', "require('i2c-bus')"], { cwd: import.meta.dirname });
  return probe.status === 0;
}

function build(): number {
  if (process.platform !== 'linux') {
    console.error(`i2c-bus: expected Linux, found ${process.platform}; only emulated sensors work here`);
    return 1;
  }
  const packageFolder = dirname(require.resolve('i2c-bus/package.json'));
  const nodePackage = join(dirname(packageFolder), `node-linux-${process.arch}`);
  if (!existsSync(join(nodePackage, 'include', 'node', 'node.h'))) {
    console.error(`i2c-bus: expected the headers of Node in ${nodePackage}, found none; run npm ci first`);
    return 1;
  }
  const gyp = join(dirname(require.resolve('node-gyp/package.json')), 'bin', 'node-gyp.js');
  const built = spawnSync(process.execPath, [gyp, 'rebuild', `--nodedir=${nodePackage}`], {
    cwd: packageFolder,
    stdio: 'inherit',
    // npm hands its own settings down, and node-gyp believes them more than its arguments.
    env: { ...process.env, npm_config_nodedir: nodePackage },
  });
  if (built.status !== 0) {
    console.error('i2c-bus: building failed; it needs `sudo apt install build-essential python3`');
    return 1;
  }
  return loads() ? 0 : 1;
}

if (!process.argv.includes('--force') && loads()) console.log('i2c-bus: the addon loads already');
else process.exitCode = build();
