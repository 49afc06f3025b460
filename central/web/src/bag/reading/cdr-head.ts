/** Tells messages in plain CDR from all others, before a reader takes their bytes for numbers. */

/** Plain CDR of version 1 and 2, either byte order (OMG DDS-XTypes 1.3, table 60; 0x10 and 0x11 as version 1.2 had them). */
const plainKinds: ReadonlySet<number | undefined> = new Set([0, 1, 6, 7, 0x10, 0x11]);
/** How a zstd frame begins. */
const zstdStart = '28b52ffd';

/** @throws Error for a message that does not begin as plain CDR does. */
export function expectPlainCdr(data: Uint8Array): void {
  if (data[0] === 0 && plainKinds.has(data[1])) return;
  const start = Array.from(data.subarray(0, 4), (byte) => byte.toString(16).padStart(2, '0')).join('');
  if (start === zstdStart) {
    throw new Error(
      'expected plain CDR, found a message that rosbag2 compressed by itself: ros2 bag convert unpacks it',
    );
  }
  throw new Error(`expected plain CDR, found ${start === '' ? 'nothing' : `a message that begins with ${start}`}`);
}
