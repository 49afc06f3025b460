/**
 * Run once before the lean process, with a compile cache and the same flags of V8: loads the modules of the agent and its detector
 * and ROS processes, none of which does anything when it is only loaded, so that the cache has them all compiled.
 */
import { flushCompileCache } from 'node:module';

/** What the lean process and the detector's load; a module that is missing here costs each of them the TypeScript compiler's memory. */
const MODULES: readonly string[] = [
  './lean-process.ts',
  './run-configured.ts',
  './air/air-node.ts',
  './detector/detector-process.ts',
  './sound/sound-compressor.ts',
  './sound/plain-sound.ts',
  './sound/flac-thread.ts',
  './ros/agent-bridge.ts',
  './synchroniser/ros-description.ts',
  './ros/ros-process.ts',
  '../models/detector.ts',
  '../models/package.ts',
  '../models/session.ts',
  '../drivers/plantower/device.ts',
  '../drivers/plantower/emulator.ts',
  '../drivers/sds011/device.ts',
  '../drivers/sds011/emulator.ts',
  '../drivers/sps30/device.ts',
  '../drivers/sps30/emulator.ts',
  '../drivers/bme680/device.ts',
  '../drivers/bme680/emulator.ts',
  '../drivers/serial-port.ts',
  '../drivers/i2c-bus.ts',
  '../drivers/uma8/device.ts',
  '../drivers/uma8/arecord.ts',
  '../drivers/uma8/replay.ts',
  '../drivers/uma8/generated/source.ts',
];

// A native addon that does not load on this machine is not needed on it.
await Promise.allSettled(MODULES.map((path) => import(path)));
flushCompileCache();
process.exit();
