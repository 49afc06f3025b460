/** `fender doctor`: is this vehicle ready, and if not, what cures it. Looks only; changes nothing and keeps no device open. */
import type { AgentConfig } from './config/schema.ts';
import { checkBroker } from './doctor/broker.ts';
import type { Check } from './doctor/check.ts';
import { checkBme680, checkParticulate, checkSound } from './doctor/devices.ts';
import { checkCandidate, checkListening, checkModelForm } from './doctor/listening.ts';
import { checkClock, checkDataFolder, checkDisk, checkNode } from './doctor/machine.ts';
import { checkModel } from './doctor/model.ts';
import { checkRos } from './doctor/ros.ts';

/** Checks everything that the agent needs with this configuration, in the order it is worth curing. Never rejects. */
export async function doctor(config: AgentConfig, signal?: AbortSignal): Promise<Check[]> {
  const { sensors, sync, graph, data_dir: dataFolder } = config;
  const checks: readonly (() => Promise<Check | null>)[] = [
    () => checkNode(),
    () => checkDataFolder(dataFolder),
    () => checkDisk(dataFolder),
    () => checkClock(),
    () => checkParticulate(sensors.particulate),
    () => checkBme680(sensors.bme680),
    () => checkSound(sensors.uma8),
    () => checkModel(config, signal),
    () => checkModelForm(config, signal),
    () => checkCandidate(config, signal),
    () => checkListening(config),
    () => checkBroker(sync),
    () => checkRos(graph),
  ];
  const results: Check[] = [];
  for (const check of checks) {
    if (signal?.aborted === true) break;
    const result = await check();
    if (result !== null) results.push(result);
  }
  return results;
}
