/** Owns what a person can do about each fault of the microphone array, in one sentence. */

const CURES: Readonly<Record<string, string>> = {
  'arecord-missing': 'Install ALSA’s tools (apt install alsa-utils).',
  'arecord-start': 'Run arecord by hand as the same user to see why it does not start.',
  'device-missing': 'Plug the array in, and compare the configured device with the names that `arecord -L` lists.',
  'device-busy': 'End the other program that records from the array (`fuser -v /dev/snd/*` names it).',
  'no-permission': 'Add the user to the group audio and start again.',
  'wrong-format':
    'Load the array’s raw firmware (8 channels), and use plughw: instead of hw:, because the array itself speaks 24 bit only.',
  unplugged: 'Check the USB cable and its strain relief; the array is tried again by itself.',
  exited:
    'Nothing, if it stays rare: the recorder is started again by itself; else look at the kernel log for USB errors.',
  'no-sound':
    'Check the USB cable, and the power supply of the Pi for undervoltage; the recorder is started again by itself.',
  stalled:
    'Check the USB cable, and the power supply of the Pi for undervoltage; the recorder is started again by itself.',
  'short-rate': 'Check that the device captures 48 kHz with 8 channels, and that the array does not share a USB 1 hub.',
  'excess-rate': 'Check that the device captures 48 kHz with 8 channels.',
  gap: 'Nothing, if it stays rare; else look for a process that keeps the processor busy.',
  'digital-silence': 'Check that capture is not muted (`alsamixer -c`), and that the raw firmware is loaded.',
  ended: 'Nothing; it is opened again. A recording that should go on must be played in a loop.',
  'generator-failed':
    'Nothing, if it stays rare: it is started again by itself; else look at what it wrote to standard error.',
  failed: 'See the message; the array is tried again by itself.',
  'no-recording': 'Give an existing WAV file, or a folder that has some.',
  'sox-missing': 'Install sox (apt install sox libsox-fmt-all), or give 16-bit WAV files at 48 kHz.',
  'bad-recording': 'Play the file with `sox FILE -n stat` to see what is wrong with it, or take it out of the folder.',
};

/** The cure of a fault by its code; empty when nothing is known or needed. */
export function faultCure(code: string): string {
  return CURES[code] ?? '';
}
