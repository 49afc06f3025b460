/** Names every driver once: which device a configuration asks for, loaded only then. */
import type { Clock } from '../../drivers/sample.ts';
import type { AgentConfig } from '../config/schema.ts';
import { SensorNode } from './sensor-node.ts';
import { environmentSink, particulateSink, type SinkParts, soundSink } from './sinks.ts';
import type { ParticulateModel } from './topics.ts';

/** What sensor nodes are connected to. */
export interface SensorParts extends SinkParts {
  readonly clock: Clock;
}

type SensorConfig = AgentConfig['sensors'];

/** A node for each sensor that is configured; nothing is opened before its `run`. A changed `config` is heard when it is reopened. */
export function sensorNodes(config: SensorConfig, parts: SensorParts): SensorNode[] {
  const nodes: SensorNode[] = [];
  const { particulate, bme680, uma8 } = config;
  if (particulate.model !== 'none') nodes.push(particulateNode(particulate.model, particulate, parts));
  if (bme680.device !== 'none') nodes.push(environmentNode(bme680, parts));
  if (uma8.source !== 'none') nodes.push(soundNode(uma8, parts));
  return nodes;
}

const EMULATED = 'emulated';

function particulateNode(model: ParticulateModel, config: SensorConfig['particulate'], parts: SensorParts): SensorNode {
  const sink = particulateSink(model, parts);
  return new SensorNode(
    model,
    async () => {
      const { mode, device: path } = config;
      const periodMs = config.period_s * 1000;
      switch (model) {
        case 'plantower': {
          const { createPlantower } = await import('../../drivers/plantower/device.ts');
          const open = path === EMULATED ? await emulatedPlantower() : await serialPort(path, 9_600);
          return createPlantower({ mode, periodMs }, { open, clock: parts.clock }, sink);
        }
        case 'sds011': {
          const { createSds011 } = await import('../../drivers/sds011/device.ts');
          const open = path === EMULATED ? await emulatedSds011() : await serialPort(path, 9_600);
          const sds011Mode = mode === 'active' ? 'active' : 'query';
          return createSds011({ mode: sds011Mode, periodMs }, { open, clock: parts.clock }, sink);
        }
        case 'sps30': {
          const { createSps30 } = await import('../../drivers/sps30/device.ts');
          const open = path === EMULATED ? await emulatedSps30() : await serialPort(path, 115_200);
          return createSps30({ periodMs }, { open, clock: parts.clock }, sink);
        }
      }
    },
    parts.report,
  );
}

async function serialPort(path: string, baudRate: number) {
  const { openSerialPort } = await import('../../drivers/serial-port.ts');
  return openSerialPort({ path, baudRate });
}

async function emulatedPlantower() {
  const { PlantowerEmulator } = await import('../../drivers/plantower/emulator.ts');
  return new PlantowerEmulator().open;
}

async function emulatedSds011() {
  const { Sds011Emulator } = await import('../../drivers/sds011/emulator.ts');
  return new Sds011Emulator().open;
}

async function emulatedSps30() {
  const { Sps30Emulator } = await import('../../drivers/sps30/emulator.ts');
  return new Sps30Emulator().open;
}

function environmentNode(config: SensorConfig['bme680'], parts: SensorParts): SensorNode {
  const sink = environmentSink(parts);
  return new SensorNode(
    'bme680',
    async () => {
      const { device, address, heater_temperature_c: targetC, heater_duration_ms: durationMs } = config;
      const { Bme680Device } = await import('../../drivers/bme680/device.ts');
      const open = typeof device === 'number' ? await i2cBus(device) : await emulatedBme680(address);
      const settings = { heater: { targetC, durationMs } };
      return new Bme680Device(
        { address, intervalMs: config.period_s * 1000, settings },
        { open, clock: parts.clock },
        sink,
      );
    },
    parts.report,
  );
}

async function i2cBus(bus: number) {
  const { openI2cBus } = await import('../../drivers/i2c-bus.ts');
  return openI2cBus({ bus });
}

async function emulatedBme680(address: number) {
  const { Bme680Emulator } = await import('../../drivers/bme680/emulator.ts');
  return new Bme680Emulator({ address }).open;
}

/** Replayed and generated sound is always that of the whole array. */
const ARRAY_CHANNELS = 8;

function soundNode(config: SensorConfig['uma8'], parts: SensorParts): SensorNode {
  const sink = soundSink(parts);
  const sampleRateHz = config.sample_rate_hz;
  const channels = config.source === 'arecord' ? config.channels : ARRAY_CHANNELS;
  return new SensorNode(
    'uma8',
    async () => {
      const { Uma8Device } = await import('../../drivers/uma8/device.ts');
      const open = await soundSource(config);
      return new Uma8Device({ sampleRateHz, channels }, { open, clock: parts.clock }, sink);
    },
    parts.report,
  );
}

async function soundSource(config: SensorConfig['uma8']) {
  const { channels, sample_rate_hz: sampleRateHz } = config;
  switch (config.source) {
    case 'arecord': {
      const { openArecord } = await import('../../drivers/uma8/arecord.ts');
      return openArecord({ device: config.device, sampleRateHz, channels });
    }
    case 'replay': {
      const { openReplay } = await import('../../drivers/uma8/replay.ts');
      return openReplay({ path: config.sound, sampleRateHz });
    }
    default: {
      const { openGenerated } = await import('../../drivers/uma8/generated/source.ts');
      return openGenerated({ seed: config.seed, sampleRateHz });
    }
  }
}
