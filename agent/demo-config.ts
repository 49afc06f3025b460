/** Makes the configuration of the demonstration's vehicle: the product with emulated devices behind the drivers. */
import { stringify } from 'yaml';
import { parseConfig } from './config/load.ts';

/** What the demonstration decides; everything else is the default. */
export interface DemoOptions {
  readonly vehicleId: string;
  readonly dataDir: string;
  /** The broker, `mqtt://127.0.0.1:<port>`. */
  readonly mqttUrl: string;
  /** Seed of the generated sound. */
  readonly seed: number;
  /** A sound file or folder to play instead of generated sound. */
  readonly sound?: string;
  /** Port of the agent's /metrics; by default any free one, so that two demonstrations do not meet. */
  readonly metricsPort?: number;
}

/** The configuration as the YAML file that `fender agent --config` reads. Throws AgentError `configuration` for options it refuses. */
export function demoConfig({ vehicleId, dataDir, mqttUrl, seed, sound, metricsPort }: DemoOptions): string {
  const config = {
    vehicle: { id: vehicleId },
    data_dir: dataDir,
    sensors: {
      particulate: { model: 'plantower', device: 'emulated' },
      bme680: { device: 'emulated' },
      uma8: sound === undefined ? { source: 'generated', seed } : { source: 'replay', sound },
    },
    sync: { url: mqttUrl },
    health: { listen: { port: metricsPort ?? 0 }, period_s: 2 },
  };
  const text = `# The demonstration's vehicle: emulated devices behind the real drivers.\n${stringify(config)}`;
  parseConfig(text, 'demo configuration');
  return text;
}
