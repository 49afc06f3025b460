/** The seam between central and MQTT: what a broker must do for ingest, whether it is embedded or an outside one. */
import { readFile } from 'node:fs/promises';
import { CentralError, messageOf } from './error.ts';

/** Takes a message; the promise resolves when there is room for the next one of the same vehicle. */
export type Receive = (topic: string, payload: Uint8Array) => Promise<void>;

export interface Broker {
  /** Sends to a vehicle, QoS 0: what matters is said again when the vehicle asks again, so nothing may pile up. */
  publish(topic: string, payload: Uint8Array): void;
  /** Whether messages can flow, and in words. */
  status(): { readonly up: boolean; readonly message: string };
  /** Where it listens or is connected to, for people. */
  readonly address: string;
  /** Port of the embedded broker; null for an outside one. */
  readonly port: number | null;
  close(): Promise<void>;
}

/** PEM files: the authority that the other side's certificate must come from, the own certificate, its key. */
export interface TlsFiles {
  readonly caPath?: string | undefined;
  readonly certPath?: string | undefined;
  readonly keyPath?: string | undefined;
}

/** The contents of the files that are named. Throws CentralError `options` for one that cannot be read. */
export async function readTls(files: TlsFiles): Promise<{ ca?: Buffer; cert?: Buffer; key?: Buffer }> {
  const read = async (path: string | undefined): Promise<Buffer | undefined> => {
    if (path === undefined) return undefined;
    return await readFile(path).catch((cause: unknown) => {
      throw new CentralError('options', `${path}: expected a PEM file, ${messageOf(cause)}`, { cause });
    });
  };
  const [ca, cert, key] = await Promise.all([read(files.caPath), read(files.certPath), read(files.keyPath)]);
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}
