/** Measures the repair of a torn segment of sound and slow topics: the usual one, completed in place, and one written anew. */

import { copyFile, mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChannelTable } from '../../agent/bag/channel-table.ts';
import { ChunkDraft } from '../../agent/bag/chunk-draft.ts';
import { createDurable, writeFully } from '../../agent/bag/durable-file.ts';
import { McapBuilder } from '../../agent/bag/mcap-builder.ts';
import { type RepairReport, repairSegment } from '../../agent/bag/repair.ts';
import { encodeRawAudio, encodeTemperature } from '../../agent/messages/messages.ts';
import type { Stamp } from '../../drivers/sample.ts';

/** What a run of the benchmark gives. */
export interface RepairBench {
  readonly segmentBytes: number;
  /** A segment that was cut off in its last chunk: read once, its index, overview and summary added. */
  readonly inPlaceBytesPerS: number;
  /** One that also has a damaged block in its middle, and is written anew. */
  readonly rewrittenBytesPerS: number;
}

const startNs = 1_764_000_000_000_000_000n;

function stampAt(ns: bigint): Stamp {
  return { capturedAtNs: startNs + ns, monotonicNs: ns, bootId: 'bench', synchronised: true, estimatedErrorNs: 0n };
}

/** Chunks as the recorder makes them: 100 ms of eight channels each, and every half second one of a slow topic. */
async function writeTorn(path: string, bytes: number): Promise<void> {
  const builder = new McapBuilder();
  const table = new ChannelTable();
  const handle = await createDurable(path);
  const add = async (topic: string, type: string, index: number, data: Uint8Array): Promise<void> => {
    const { channel, schema } = table.entry(topic, type);
    const draft = new ChunkDraft();
    draft.add(channel.id, index, startNs + BigInt(index) * 100_000_000n, data);
    const position = builder.position;
    const pieces = [...builder.schema(schema), ...builder.channel(channel)];
    pieces.push(...builder.chunk(draft, data.byteLength > 1000 ? 'none' : 'zstd'));
    await writeFully(handle, pieces, position);
  };
  await writeFully(handle, builder.begin(), 0);
  const pcm = Int16Array.from({ length: 4800 * 8 }, (_, at) =>
    Math.round(8000 * Math.sin(at / 7) + 500 * Math.sin(at * 1.7)),
  );
  const air = { pressurePa: 0, humidity: 0, gasResistanceOhm: 0, gasValid: true, heaterStable: true };
  for (let index = 0; builder.position < bytes; index += 1) {
    const stamp = stampAt(BigInt(index) * 100_000_000n);
    const chunk = { stamp, firstFrame: 0n, sampleRateHz: 48_000, channels: 8, frames: 4800, pcm };
    await add('/uma8/audio', 'foxglove_msgs/msg/RawAudio', index, encodeRawAudio(chunk));
    if (index % 5 !== 4) continue;
    const sample = encodeTemperature({ stamp, temperatureC: 20, ...air }, 'bme680');
    await add('/bme680/temperature', 'sensor_msgs/msg/Temperature', index, sample);
  }
  // The power went while the last chunk was written.
  await handle.truncate(builder.position - 40_000);
  await handle.datasync();
  await handle.close();
}

async function timed(path: string, expected: RepairReport['outcome']): Promise<number> {
  const { size } = await stat(path);
  const startedMs = performance.now();
  const { outcome, problem } = await repairSegment(path);
  const elapsedS = (performance.now() - startedMs) / 1000;
  if (outcome !== expected) throw new Error(`${path}: expected ${expected}, found ${outcome}: ${problem}`);
  return size / elapsedS;
}

/** Repairs segments of `bytes`, once each way, in a new folder under `folder`, which is removed again; it needs three times their room. */
export async function benchRepair(bytes = 1_000_000_000, folder = tmpdir()): Promise<RepairBench> {
  const scratch = await mkdtemp(join(folder, 'fender-bench-repair-'));
  try {
    const whole = join(scratch, 'a.mcap.active');
    const damaged = join(scratch, 'b.mcap.active');
    await writeTorn(whole, bytes);
    await copyFile(whole, damaged);
    const file = await open(damaged, 'r+');
    await file.write(new Uint8Array(4096), 0, 4096, Math.floor(bytes / 2 / 4096) * 4096);
    await file.datasync();
    await file.close();
    return {
      segmentBytes: bytes,
      inPlaceBytesPerS: await timed(whole, 'completed-in-place'),
      rewrittenBytesPerS: await timed(damaged, 'rewritten'),
    };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
