/** The seam between central and MQTT: what a broker must do for ingest, whether it is embedded or an outside one. */

/** Takes a message; the promise resolves when there is room for the next one of the same vehicle. */
export type Receive = (topic: string, payload: Uint8Array) => Promise<void>;

export interface Broker {
  /** Sends to a vehicle, QoS 0: what matters is said again when the vehicle asks again, so nothing may pile up. */
  publish(topic: string, payload: Uint8Array): void;
  /** Whether messages can flow, and in words. */
  status(): { readonly up: boolean; readonly message: string };
  /** Where it listens or is connected to, for people. */
  readonly address: string;
  /** TCP port of the embedded broker; null for none. */
  readonly port: number | null;
  /** TLS port of the embedded broker; null for none. */
  readonly tlsPort: number | null;
  close(): Promise<void>;
}

/** PEM files. */
export interface TlsFiles {
  readonly caPath: string;
  readonly certPath: string;
  readonly keyPath: string;
}
