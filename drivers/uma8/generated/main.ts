/**
 * The process that makes generated sound: takes scene options as JSON in its first argument, writes Int16 [frames × 8] to standard output as
 * fast as it is read, and tells its parent what is in each block. Apart from the agent, because an impact takes up to 0.1 s to compute.
 */
import { once } from 'node:events';
import { Scene, type SceneOptions } from './scene.ts';

// The parent is gone, or has closed the pipe: nobody listens any more.
process.on('disconnect', () => process.exit(0));
process.stdout.on('error', () => process.exit(0));

const scene = new Scene(JSON.parse(process.argv[2] ?? '{"seed":1}') as SceneOptions);
for (;;) {
  const { pcm, truth, confusers } = scene.next();
  if (truth.length + confusers.length > 0) process.send?.({ truth, confusers });
  if (!process.stdout.write(new Uint8Array(pcm.buffer))) await once(process.stdout, 'drain');
  // Lets 'disconnect' be heard even when the pipe never fills.
  await new Promise(setImmediate);
}
