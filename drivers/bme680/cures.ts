/** What a person can do about each fault of a BME680, and how grave it is. */
import type { Diagnostic } from '../sample.ts';

interface Remedy {
  readonly level: Diagnostic['level'];
  readonly cure: string;
}

const REMEDIES: Readonly<Record<string, Remedy>> = {
  unplugged: {
    level: 'error',
    cure: 'Check the four wires (hardware/bme680.md) and that the configured address is right: 0x76 with SDO at ground, 0x77 at 3.3 V; it is tried every second.',
  },
  'wrong-address': {
    level: 'error',
    cure: 'Put the address at which it answers into the configuration, or tie SDO to ground (0x76) or 3.3 V (0x77).',
  },
  'wrong-chip-id': {
    level: 'error',
    cure: 'Connect a BME680; a BME280 or BMP280 looks alike and shares its addresses, and cannot measure gas.',
  },
  'no-bus': {
    level: 'error',
    cure: 'Enable the bus with `sudo raspi-config nonint do_i2c 0`, or `dtparam=i2c_arm=on` in /boot/firmware/config.txt and a restart.',
  },
  'no-permission': {
    level: 'error',
    cure: 'Add the user to the group i2c (`sudo usermod -aG i2c $USER`) and log in again.',
  },
  'not-built': { level: 'error', cure: 'Compile the addon for this Node with `npm run build:i2c`.' },
  'address-busy': {
    level: 'error',
    cure: 'Remove the kernel driver from the chip: take `dtoverlay=i2c-sensor,bme680` out of /boot/firmware/config.txt, or `sudo rmmod bme680_i2c`.',
  },
  'bus-error': {
    level: 'error',
    cure: 'Shorten the wires and lower the bus rate (`dtparam=i2c_arm_baudrate=50000` in /boot/firmware/config.txt).',
  },
  'bus-hung': {
    level: 'error',
    cure: 'Something holds SDA or SCL down: unplug the devices of the bus one by one, or switch the power off and on.',
  },
  'no-new-data': {
    level: 'stale',
    cure: 'The chip is reset at each attempt; if that does not help, switch its power off and on.',
  },
  frozen: {
    level: 'warn',
    cure: 'The chip is reset; if the results stay the same, switch its power off and on, or replace it.',
  },
  garbage: {
    level: 'error',
    cure: 'Check the 3.3 V supply and the length of the wires; lower the bus rate; a chip whose calibration reads empty is to be replaced.',
  },
  'short-read': { level: 'error', cure: 'Check the wires and lower the bus rate.' },
  'chip-reset': {
    level: 'warn',
    cure: 'Check the 3.3 V supply and its plug: the chip lost its settings, and has them again.',
  },
};

/** @param code of a DriverError or of a diagnostic; unknown ones count as an error without advice */
export function remedyOf(code: string): Remedy {
  return REMEDIES[code] ?? { level: 'error', cure: 'See the message; the sensor is tried again every second.' };
}
