/** Looks at the configured devices: that they are there, may be used, and that the programs and addons they need are. */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import type { AgentConfig } from '../config/schema.ts';
import { type Check, failed, ok, reasonOf, warn } from './check.ts';

type SensorConfig = AgentConfig['sensors'];

export async function checkParticulate({ model, device }: SensorConfig['particulate']): Promise<Check> {
  if (model === 'none') return ok('particulate', 'switched off');
  if (device === 'emulated') return ok('particulate', `${model}, emulated`);
  const missing = `Plug the ${model} in, or name its device in sensors.particulate.device (ls /dev/serial/by-id).`;
  const access = await checkNodeFile('particulate', device, missing, 'dialout');
  if (access !== null) return access;
  try {
    await import('serialport');
    return ok('particulate', `${model} on ${device}, which may be used`);
  } catch (error) {
    return failed('particulate', `the serialport addon does not load: ${reasonOf(error)}`, 'Install again: npm ci');
  }
}

export async function checkBme680({ device, address }: SensorConfig['bme680']): Promise<Check> {
  if (device === 'none') return ok('bme680', 'switched off');
  if (device === 'emulated') return ok('bme680', 'emulated');
  const path = `/dev/i2c-${device}`;
  const missing = 'Enable I²C (dtparam=i2c_arm=on in /boot/firmware/config.txt, module i2c-dev), then start again.';
  const access = await checkNodeFile('bme680', path, missing, 'i2c');
  if (access !== null) return access;
  try {
    const { openI2cBus } = await import('../../drivers/i2c-bus.ts');
    const bus = await openI2cBus({ bus: device })();
    try {
      const CHIP_ID_REGISTER = 0xd0;
      const [chipId = 0] = await bus.read(address, CHIP_ID_REGISTER, 1);
      const BME680_CHIP_ID = 0x61;
      if (chipId === BME680_CHIP_ID) return ok('bme680', `answers at 0x${address.toString(16)} on ${path}`);
      const found = `the chip at 0x${address.toString(16)} says 0x${chipId.toString(16)}, expected 0x61`;
      return failed('bme680', found, 'Another chip is there: check the wiring and sensors.bme680.address.');
    } finally {
      await bus.close();
    }
  } catch (error) {
    const cure = 'Check the wiring and sensors.bme680.address (i2cdetect -y 1), and that npm run build:i2c was done.';
    return failed('bme680', reasonOf(error), cure);
  }
}

export async function checkSound({ source, device, sound }: SensorConfig['uma8']): Promise<Check> {
  switch (source) {
    case 'none':
      return ok('uma8', 'switched off');
    case 'generated':
      return ok('uma8', 'generated sound');
    case 'replay':
      return checkReplay(sound);
    case 'arecord':
      return checkArecord(device);
  }
}

async function checkReplay(path: string): Promise<Check> {
  try {
    await access(path, constants.R_OK);
  } catch (error) {
    return failed('uma8', `sound to replay: ${reasonOf(error)}`, 'Name a file or folder in sensors.uma8.sound.');
  }
  const sox = await run('sox', ['--version']);
  if (sox === null) {
    return warn('uma8', `replays ${path}; sox is missing`, 'Only 16-bit WAV plays without it: sudo apt install sox');
  }
  return ok('uma8', `replays ${path}`);
}

async function checkArecord(device: string): Promise<Check> {
  if ((await run('arecord', ['--version'])) === null) {
    return failed('uma8', 'the program arecord is missing', 'Install it: sudo apt install alsa-utils');
  }
  const names = ((await run('arecord', ['-L'])) ?? '').split('\n').filter((line) => /^\S/.test(line));
  // `hw:1,0` and the like are valid without being listed.
  if (names.includes(device) || /^(plug)?hw:\d/.test(device)) return ok('uma8', `arecord and ${device}`);
  const cure =
    'Plug the array in, add this user to the group audio, or name its device (arecord -L) in sensors.uma8.device.';
  return failed('uma8', `arecord does not list ${device}; it lists ${names.slice(0, 8).join(', ') || 'nothing'}`, cure);
}

/** Null when the device node is there and may be used. */
async function checkNodeFile(name: string, path: string, missing: string, group: string): Promise<Check | null> {
  try {
    await access(path, constants.R_OK | constants.W_OK);
    return null;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return failed(name, `${path} does not exist`, missing);
    const cure = `Add this user to the group ${group} and log in again: sudo usermod -aG ${group} $USER`;
    return failed(name, `${path} may not be opened (${code})`, cure);
  }
}

/** The command's output, or null when it is missing or fails. */
function run(command: string, args: readonly string[]): Promise<string | null> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: 5_000 }, (error, stdout) => resolve(error === null ? stdout : null));
  });
}
