/**
 * The process that a model is first run in, apart from whoever asks: it is given limits, and may die of the model. Takes models on standard
 * input, says what they did on descriptor 3.
 */
import { writeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Model } from './package.ts';
import { raceSessions } from './race.ts';
import { ModelSession } from './session.ts';
import { type TrialReport, type TrialRequest, trySession } from './trial.ts';

/** Reads exactly so many bytes; null at the end of the stream, which it notices at once. */
class ExactReader {
  readonly #chunks: Buffer[] = [];
  #held = 0;
  #ended = false;
  #wake: () => void = () => {};

  constructor(stream: Readable) {
    // Whoever asks waits for the answer before it sends more, so that no more than one request is ever held.
    stream.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#held += chunk.length;
      this.#wake();
    });
    stream.once('end', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  async read(length: number): Promise<Buffer | null> {
    while (this.#held < length) {
      if (this.#ended) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const all = Buffer.concat(this.#chunks.splice(0));
    this.#held = all.length - length;
    if (this.#held > 0) this.#chunks.push(all.subarray(length));
    return all.subarray(0, length);
  }
}

async function answer(request: TrialRequest, models: readonly Model[]): Promise<TrialReport> {
  const before = process.memoryUsage.rss();
  const startedMs = performance.now();
  const sessions: ModelSession[] = [];
  try {
    for (const model of models) sessions.push(await ModelSession.open(model, { threads: 1 }));
    const loadMs = performance.now() - startedMs;
    const [session, asked] = [sessions[0], request.models[0]];
    const isTrial = request.windows === 0 && session !== undefined && asked !== undefined;
    const findings = isTrial ? await trySession(session, asked.description) : [];
    const times = await raceSessions(sessions, request.models, request.windows);
    return { loadMs, findings, times, memoryBytes: process.memoryUsage.rss() - before };
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    const cure = 'Export the model again; fender model inspect shows its operators.';
    const finding = {
      code: 'session',
      field: 'graph',
      expected: 'a graph that ONNX Runtime runs',
      found,
      cure,
    } as const;
    return { loadMs: 0, findings: [finding], times: [], memoryBytes: 0 };
  } finally {
    for (const session of sessions) await session.close();
  }
}

async function serve(): Promise<void> {
  const reader = new ExactReader(process.stdin);
  // Nobody waits for the answer any more, whatever is being computed.
  process.stdin.once('end', () => process.exit());
  for (;;) {
    const length = await reader.read(4);
    const header = length === null ? null : await reader.read(length.readUInt32LE());
    if (header === null) return;
    const request = JSON.parse(header.toString()) as TrialRequest;
    const models: Model[] = [];
    for (const { path, byteLength, description } of request.models) {
      const bytes = await reader.read(byteLength);
      if (bytes === null) return;
      models.push({ path, bytes: new Uint8Array(bytes), description } as Model);
    }
    // Nothing else goes through this pipe, and a report is short.
    writeSync(3, `${JSON.stringify(await answer(request, models))}\n`);
    await sleep(0);
  }
}

if (import.meta.main) {
  await serve();
  process.exit();
}
