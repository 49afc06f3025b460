/** What the configuration means for the synchroniser. */
import type { AgentConfig } from '../config/schema.ts';
import { audioTopic, particulateTopic, temperatureTopic } from '../nodes/topics.ts';
import type { SynchroniserOptions } from './synchroniser-node.ts';

/** The options, or null when the synchroniser is off or there are not two topics to put together. */
export function synchroniserOptions({ synchroniser, sensors }: AgentConfig): SynchroniserOptions | null {
  const topics = synchroniser.topics.length > 0 ? synchroniser.topics : sensorTopics(sensors);
  if (!synchroniser.enabled || topics.length < 2) return null;
  const bounds = Object.entries(synchroniser.inter_message_lower_bounds_ms);
  return {
    policy: synchroniser.policy,
    topics,
    queueSize: synchroniser.queue_size,
    slopNs: msToNs(synchroniser.slop_ms),
    agePenalty: synchroniser.age_penalty,
    lowerBoundsNs: Object.fromEntries(bounds.map(([topic, ms]) => [topic, msToNs(ms)])),
  };
}

/** The sound, the particulate sensor and the temperature, as far as they are switched on. */
function sensorTopics({ uma8, particulate, bme680 }: AgentConfig['sensors']): string[] {
  const topics: string[] = [];
  if (uma8.source !== 'none') topics.push(audioTopic.name);
  if (particulate.model !== 'none') topics.push(particulateTopic(particulate.model).name);
  if (bme680.device !== 'none') topics.push(temperatureTopic.name);
  return topics;
}

function msToNs(ms: number): bigint {
  return BigInt(Math.round(ms * 1e6));
}
