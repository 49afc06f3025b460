/** Makes the air node that the configuration asks for. */
import { join } from 'node:path';
import type { AgentConfig } from '../config/schema.ts';
import type { AirNode, AirNodeOptions, AirParts } from './air-node.ts';

/** Null where the air is not to be judged, or there is no sensor for it; nothing is loaded then. */
export async function configuredAir(
  config: AgentConfig,
  dataFolder: string,
  parts: Omit<AirParts, 'statePath'>,
): Promise<AirNode | null> {
  const options = airNodeOptions(config);
  if (options === null) return null;
  const { AirNode } = await import('./air-node.ts');
  return AirNode.open({ ...parts, statePath: join(dataFolder, 'air.json') }, options);
}

/** What the configuration says; null where the air is not to be judged. */
export function airNodeOptions({ air, sensors, recorder }: AgentConfig): AirNodeOptions | null {
  const { particulate, bme680 } = sensors;
  const particulateModel = particulate.model === 'none' ? null : particulate.model;
  const hasGas = bme680.device !== 'none';
  if (!air.enabled || (particulateModel === null && !hasGas)) return null;
  const rollNs = (seconds: number) => BigInt(Math.round(seconds * 1e9));
  return {
    particulateModel,
    hasGas,
    clip: air.clips ? { preRollNs: rollNs(recorder.pre_roll_s), postRollNs: rollNs(recorder.post_roll_s) } : null,
    particles: {
      raisedUgM3: air.raised_ugm3,
      highUgM3: air.high_ugm3,
      veryHighUgM3: air.very_high_ugm3,
      baselineLimitUgM3: air.baseline_limit_ugm3,
      warmUpS: air.particle_warm_up_s,
      periodS: particulate.period_s,
    },
    gas: {
      raisedRatio: air.raised_gas_ratio,
      highRatio: air.high_gas_ratio,
      veryHighRatio: air.very_high_gas_ratio,
      warmUpS: air.gas_warm_up_s,
      periodS: bme680.period_s,
    },
    humidRatio: air.humid_ratio,
    endAfterS: air.end_after_s,
    longestS: air.longest_s,
  };
}
