/** A central in this process on free ports and a folder of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lineLog } from '../../central/log.ts';
import { type CentralOptions, type CentralService, startCentral } from '../../central/service.ts';

export interface CentralFixture {
  readonly service: CentralService;
  readonly dataDir: string;
  readonly http: string;
  readonly mqtt: string;
  readonly lines: string[];
  /** The body of a GET as JSON, with its status. */
  get(path: string): Promise<{ status: number; body: unknown }>;
  close(): Promise<void>;
}

export async function temporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'fender-central-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

export async function openCentral(options: Partial<CentralOptions> = {}): Promise<CentralFixture> {
  const folder = await temporaryFolder();
  const lines: string[] = [];
  const service = await startCentral(
    { dataDir: folder.path, httpPort: 0, mqttPort: 0, ...options },
    lineLog((line) => lines.push(line)),
  );
  const http = `http://127.0.0.1:${service.httpPort}`;
  return {
    service,
    dataDir: folder.path,
    http,
    mqtt: `mqtt://127.0.0.1:${service.mqttPort}`,
    lines,
    async get(path) {
      const response = await fetch(`${http}${path}`);
      return { status: response.status, body: await response.json() };
    },
    async close() {
      await service.close();
      await folder.remove();
    },
  };
}
