/**
 * The process that a model is first run in, apart from whoever asks: it is given limits, and may die of the model. Takes models on standard
 * input, says what they did on descriptor 3.
 */
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Model } from './package.ts';
import { processorMs, raceSessions } from './race.ts';
import { ModelSession, type Scorer } from './session.ts';
import { type TrialReport, type TrialRequest, trySession } from './trial.ts';

/** Reads exactly so many bytes; null at the end of the stream. */
class ExactReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: AsyncIterable<Buffer>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  async read(length: number): Promise<Buffer | null> {
    const parts = [this.#rest];
    let found = this.#rest.length;
    while (found < length) {
      const { value, done } = await this.#chunks.next();
      if (done) return null;
      parts.push(value);
      found += value.length;
    }
    const all = Buffer.concat(parts);
    this.#rest = all.subarray(length);
    return all.subarray(0, length);
  }
}

/** The same scorer, which notes the processor's time that each run takes, ms. */
function countingProcessorTime(scorer: Scorer): Scorer & { readonly spentMs: number[] } {
  const spentMs: number[] = [];
  const run = async (audio: Float32Array, batch: number): Promise<Float32Array> => {
    const startMs = processorMs();
    const scores = await scorer.run(audio, batch);
    spentMs.push(processorMs() - startMs);
    return scores;
  };
  return { run, spentMs };
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
    const counted = sessions.map(countingProcessorTime);
    const timesMs = await raceSessions(counted, request.models, request.windows);
    // The first runs are for warming up, and in neither.
    const processorTimesMs = counted.map(({ spentMs }) => spentMs.slice(spentMs.length - request.windows));
    return { loadMs, findings, timesMs, processorTimesMs, memoryBytes: process.memoryUsage.rss() - before };
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
    return { loadMs: 0, findings: [finding], timesMs: [], processorTimesMs: [], memoryBytes: 0 };
  } finally {
    for (const session of sessions) await session.close();
  }
}

async function serve(): Promise<void> {
  const reader = new ExactReader(process.stdin);
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
