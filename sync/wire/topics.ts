/** Names every MQTT topic of the contract, builds them and parses them; AsyncAPI form: asyncapi.yaml beside this file. */

import { SyncError } from './error.ts';

/** Vehicle → central, one level under `fender/v1/<vehicle>/`. */
export const upTopics = ['telemetry', 'events', 'metrics', 'log', 'state', 'reported'] as const;
/** Central → vehicle, one level under `fender/v1/<vehicle>/`. */
export const downTopics = ['ack', 'desired', 'command'] as const;

export type UpTopic = (typeof upTopics)[number];
export type DownTopic = (typeof downTopics)[number];

/** A topic of the contract, taken apart. `offset` is the chunk's first byte in its file. */
export type ParsedTopic =
  | { readonly vehicle: string; readonly kind: UpTopic | DownTopic }
  | { readonly vehicle: string; readonly kind: 'blob-offer' | 'blob-status'; readonly sha256: string }
  | { readonly vehicle: string; readonly kind: 'blob-chunk'; readonly sha256: string; readonly offset: number };

const prefix = 'fender/v1';
const vehiclePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const sha256Pattern = /^[0-9a-f]{64}$/;
const streamPattern = /^[a-z0-9][a-z0-9_-]{0,31}(\/[a-z0-9][a-z0-9_-]{0,31}){0,3}$/;
const offsetPattern = /^(0|[1-9][0-9]{0,15})$/;
const simpleKinds: ReadonlySet<string> = new Set([...upTopics, ...downTopics]);

/** Whether `vehicle` can be a client id and one topic level: 1 to 64 of `A-Z a-z 0-9 . _ -`, not beginning with a sign. */
export function isVehicleId(vehicle: string): boolean {
  return vehiclePattern.test(vehicle);
}

/** Whether `stream` is a stream name: 1 to 4 lower-case levels of at most 32 characters, as `bme680/environment`. */
export function isStreamName(stream: string): boolean {
  return streamPattern.test(stream);
}

/** Whether `sha256` is 64 lower-case hex digits. */
export function isSha256(sha256: string): boolean {
  return sha256Pattern.test(sha256);
}

/** `fender/v1/<vehicle>/<kind>`. Throws `bad-name` for a vehicle id that `isVehicleId` refuses. */
export function topicOf(vehicle: string, kind: UpTopic | DownTopic): string {
  return `${prefix}/${checkedVehicle(vehicle)}/${kind}`;
}

/** `fender/v1/<vehicle>/blob/<sha256>/offer`, vehicle → central. */
export function blobOfferTopic(vehicle: string, sha256: string): string {
  return `${prefix}/${checkedVehicle(vehicle)}/blob/${checkedSha256(sha256)}/offer`;
}

/** `fender/v1/<vehicle>/blob/<sha256>/chunk/<offset>`, vehicle → central; `offset` in bytes. */
export function blobChunkTopic(vehicle: string, sha256: string, offset: number): string {
  return `${prefix}/${checkedVehicle(vehicle)}/blob/${checkedSha256(sha256)}/chunk/${offset}`;
}

/** `fender/v1/<vehicle>/blob/<sha256>/status`, central → vehicle. */
export function blobStatusTopic(vehicle: string, sha256: string): string {
  return `${prefix}/${checkedVehicle(vehicle)}/blob/${checkedSha256(sha256)}/status`;
}

/** What central subscribes to, for one vehicle or (`+`) for all. */
export function centralSubscriptions(vehicle = '+'): string[] {
  const of = vehicle === '+' ? '+' : checkedVehicle(vehicle);
  return [
    ...upTopics.map((kind) => `${prefix}/${of}/${kind}`),
    `${prefix}/${of}/blob/+/offer`,
    `${prefix}/${of}/blob/+/chunk/+`,
  ];
}

/** What a vehicle subscribes to: what central has committed, and what it asks. */
export function vehicleSubscriptions(vehicle: string): string[] {
  return [topicOf(vehicle, 'ack'), topicOf(vehicle, 'command'), `${prefix}/${checkedVehicle(vehicle)}/blob/+/status`];
}

/** The up topic that carries a stream of records (not of telemetry columns). */
export function recordTopicKind(stream: string): 'events' | 'log' | 'metrics' {
  if (stream === 'events' || stream === 'clips' || stream === 'drops') return 'events';
  return stream === 'log' || stream === 'diagnostics' ? 'log' : 'metrics';
}

/** Takes a topic apart; null for anything that is not exactly a topic of this contract. Never throws. */
export function parseTopic(topic: string): ParsedTopic | null {
  if (topic.length > 256) return null;
  const [root, version, vehicle, kind, sha256, part, offset, ...rest] = topic.split('/');
  if (`${root}/${version}` !== prefix || vehicle === undefined || kind === undefined || rest.length > 0) return null;
  if (!isVehicleId(vehicle)) return null;
  if (sha256 === undefined) return simpleKinds.has(kind) ? { vehicle, kind: kind as UpTopic | DownTopic } : null;
  if (kind !== 'blob' || !isSha256(sha256)) return null;
  if (part === 'chunk') {
    if (offset === undefined || !offsetPattern.test(offset) || !Number.isSafeInteger(Number(offset))) return null;
    return { vehicle, kind: 'blob-chunk', sha256, offset: Number(offset) };
  }
  if (offset !== undefined || (part !== 'offer' && part !== 'status')) return null;
  return { vehicle, kind: part === 'offer' ? 'blob-offer' : 'blob-status', sha256 };
}

function checkedVehicle(vehicle: string): string {
  if (isVehicleId(vehicle)) return vehicle;
  throw new SyncError('bad-name', `vehicle id ${JSON.stringify(vehicle)}: expected 1 to 64 of A-Z a-z 0-9 . _ -`, {
    cure: 'Give the vehicle a name of letters, digits, dots, dashes and underscores in the configuration.',
  });
}

function checkedSha256(sha256: string): string {
  if (isSha256(sha256)) return sha256;
  throw new SyncError('bad-name', `blob name ${JSON.stringify(sha256)}: expected 64 lower-case hex digits`);
}
