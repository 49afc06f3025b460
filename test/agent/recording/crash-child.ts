/**
 * Records until it is killed, and says on its standard output how many messages of each topic it had given to the recorder whenever
 * that had brought all of them to the file system.
 */

import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { Recorder } from '../../../agent/recording/recorder.ts';
import { clock, sound, temperature } from './recording-fixtures.ts';

const folder = process.argv[2] ?? '';
const options = {
  vehicle: 'car-7',
  minFreeBytes: 0,
  slowFlushMs: 3,
  maxSegmentBytes: 2_000_000,
};
const recorder = await Recorder.open(join(folder, 'recordings'), options, clock);

let given = 0;
setInterval(() => {
  if (recorder.stats().queueBytes === 0) writeSync(1, `settled ${given}\n`);
  recorder.write(sound(given));
  recorder.write(temperature(given));
  given += 1;
}, 10);
