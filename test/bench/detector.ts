/**
 * What listening costs and how it bears being killed, stopped and swapped: real detector processes with the shipped model, on noise in real
 * time, in this process; and a whole agent, whose recorder must not notice.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bagInfo } from '../../agent/bag/bag-info.ts';
import { parseConfig } from '../../agent/config/load.ts';
import { checkModelFile } from '../../agent/detector/checked-model.ts';
import { detectorOptions } from '../../agent/detector/detector-options.ts';
import { Shadow } from '../../agent/detector/shadow.ts';
import { DetectorSupervisor } from '../../agent/detector/supervisor.ts';
import { readBagSound } from '../../agent/replay/bag-sound.ts';
import type { AudioChunk } from '../../drivers/sample.ts';
import { freePort, startAgent, until } from '../end-to-end/processes.ts';
import { filesBelow } from '../fault/bag-contents.ts';
import { memoryOf } from './memory.ts';

const ROOT = join(import.meta.dirname, '../..');
const MODEL = 'models/impact.int8.onnx';
const RATE_HZ = 48_000;
const CHANNELS = 8;
const FRAMES = 4_800;
const CHUNK_MS = 100;
const WINDOW_FRAMES = 48_000;
const HOP_FRAMES = 12_000;
const CLOCK_TICKS_PER_S = 100;

export interface DetectorFigures {
  /** From the kill, or from the stop, to the first window that no process had scored before, s, ascending. */
  readonly killedS: readonly number[];
  readonly stoppedS: readonly number[];
  /** Of the sound pushed in all that: windows due, scored once at least, and missed as the supervisor counted. */
  readonly due: number;
  readonly scored: number;
  readonly countedMissed: number;
  /** Bytes before and after the swaps: of this process, and of the detector process. */
  readonly swaps: { readonly count: number; readonly own: Change; readonly detector: Change; readonly missed: number };
  /** Share of a core, and private memory, of the active process alone; beside a candidate; and of the candidate. */
  readonly alone: Cost;
  readonly beside: Cost;
  readonly candidate: Cost;
  /** Of an agent whose detector was killed again and again. */
  readonly agent: {
    readonly kills: number;
    readonly lostMessages: number;
    readonly holes: number;
    readonly missedWindows: number;
  };
}

export interface Change {
  readonly before: number;
  readonly after: number;
}

export interface Cost {
  readonly cpuRatio: number;
  readonly residentBytes: number;
  readonly anonymousBytes: number;
}

/** Sound of the shape the array gives, in real time: faint noise, always the same second. */
class RealTimeNoise {
  pushed = 0;
  readonly #pcm = Int16Array.from({ length: FRAMES * CHANNELS }, () => Math.round((Math.random() - 0.5) * 600));
  readonly #startNs = process.hrtime.bigint();
  readonly #timer: NodeJS.Timeout;

  constructor(push: (chunk: AudioChunk) => void) {
    this.#timer = setInterval(() => {
      const due = Number((process.hrtime.bigint() - this.#startNs) / 1_000_000n) / CHUNK_MS;
      while (this.pushed + 1 <= due) push(this.#next());
    }, 10);
  }

  end(): void {
    clearInterval(this.#timer);
  }

  #next(): AudioChunk {
    const monotonicNs = this.#startNs + BigInt(this.pushed * CHUNK_MS) * 1_000_000n;
    const stamp = { capturedAtNs: monotonicNs, monotonicNs, bootId: 'b', synchronised: true, estimatedErrorNs: 1n };
    const firstFrame = BigInt(this.pushed * FRAMES);
    this.pushed += 1;
    return { stamp, firstFrame, sampleRateHz: RATE_HZ, channels: CHANNELS, frames: FRAMES, pcm: this.#pcm };
  }
}

/** Runs all of it: `troubles` kills and stops, `swaps` swaps, `seconds` of each measurement of cost. */
export async function benchDetector(
  troubles: number,
  swaps: number,
  seconds: number,
  onProgress: (text: string) => void,
): Promise<DetectorFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'fender-bench-detector-'));
  try {
    const bench = await openBench(folder);
    onProgress('kills and stops');
    const trouble = await benchTroubles(bench, troubles);
    onProgress('swaps');
    const swapped = await benchSwaps(bench, swaps, (done) => onProgress(`${done} of ${swaps} swaps`));
    onProgress('cost');
    const costs = await benchCosts(bench, seconds);
    onProgress('the recorder of a whole agent');
    return { ...trouble, swaps: swapped, ...costs, agent: await benchAgent(folder, troubles) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

type Bench = Awaited<ReturnType<typeof openBench>>;

async function openBench(folder: string) {
  const config = parseConfig(`detector: {candidate: models/impact.fp32.onnx}`, 'bench.yaml');
  const checkedModel = await checkModelFile(join(ROOT, MODEL));
  const options = await detectorOptions(config, folder, { programFolder: ROOT, checkedModel });
  if (options.candidate === null) throw new Error('expected a candidate, found none');
  const setup = { ...options.active.setup, modelPath: join(ROOT, MODEL), checkedModel };
  // As quick as the active one: how long a busy machine lets a candidate wait is no figure of ours.
  return { active: { ...options.active, setup }, candidate: { ...options.candidate, niceness: 0 } };
}

/** An active model on real-time noise, listening. */
async function listen(bench: Bench, shadow: Shadow | null = null) {
  const ends = new Set<string>();
  const waiting: (() => void)[] = [];
  const supervisor = new DetectorSupervisor(bench.active, {
    impact: () => {},
    diagnostic: () => {},
    ready: (about) => shadow?.activeReady(about),
    windows: (windows) => {
      for (const { end_ns } of windows) ends.add(end_ns);
      for (const resolve of waiting.splice(0)) resolve();
      shadow?.activeWindows(windows);
    },
  });
  supervisor.start();
  shadow?.start();
  const sound = new RealTimeNoise((chunk) => {
    supervisor.push(chunk);
    shadow?.push(chunk);
  });
  const nextWindow = () => new Promise<void>((resolve) => waiting.push(resolve));
  await nextWindow();
  const end = async (): Promise<void> => {
    sound.end();
    await Promise.all([supervisor.stop(5_000), shadow?.stop(5_000)]);
  };
  return { supervisor, sound, ends, nextWindow, end };
}

async function benchTroubles(bench: Bench, troubles: number) {
  const { supervisor, sound, ends, nextWindow, end } = await listen(bench);
  const times: Record<'SIGKILL' | 'SIGSTOP', number[]> = { SIGKILL: [], SIGSTOP: [] };
  for (let trouble = 0; trouble < troubles; trouble += 1) {
    await sleep(1_500 + 500 * Math.random());
    const signal = trouble % 2 === 0 ? 'SIGKILL' : 'SIGSTOP';
    const { pid } = supervisor.statistics();
    const startedMs = performance.now();
    process.kill(pid ?? 0, signal);
    // A window may be on its way already: what counts is told by another process.
    do await nextWindow();
    while (supervisor.statistics().pid === pid);
    times[signal].push((performance.now() - startedMs) / 1000);
  }
  await sleep(1_000);
  await end();
  const ascending = (values: number[]) => values.sort((a, b) => a - b);
  return {
    killedS: ascending(times.SIGKILL),
    stoppedS: ascending(times.SIGSTOP),
    due: Math.floor((sound.pushed * FRAMES - WINDOW_FRAMES) / HOP_FRAMES) + 1,
    scored: ends.size,
    countedMissed: supervisor.statistics().missedWindows,
  };
}

async function benchSwaps(bench: Bench, count: number, onProgress: (done: number) => void) {
  const { supervisor, sound, ends, end } = await listen(bench);
  const resident = () => [process.pid, supervisor.statistics().pid ?? 0].map((pid) => memoryOf([pid]).residentBytes);
  const models = [bench.active.setup, bench.candidate.setup].map(({ modelPath, checkedModel }) => ({
    modelPath,
    checkedModel,
  }));
  // The first swaps load code that stays.
  let before: number[] = [];
  for (let swap = -4; swap < count; swap += 1) {
    if (swap === 0) before = resident();
    await supervisor.swap(models[Math.abs(swap) % 2 === 0 ? 1 : 0] ?? {});
    onProgress(Math.max(0, swap + 1));
  }
  await supervisor.swap(models[0] ?? {});
  await sleep(2_000);
  const after = resident();
  await end();
  const due = Math.floor((sound.pushed * FRAMES - WINDOW_FRAMES) / HOP_FRAMES) + 1;
  const change = (index: number): Change => ({ before: before[index] ?? 0, after: after[index] ?? 0 });
  return { count, own: change(0), detector: change(1), missed: due - ends.size };
}

async function benchCosts(bench: Bench, seconds: number) {
  const without = await listen(bench);
  await sleep(3_000);
  const alone = await costOf([without.supervisor.statistics().pid ?? 0], seconds);
  await without.end();
  const shadow = new Shadow(
    bench.candidate,
    () => {},
    () => 0,
  );
  const both = await listen(bench, shadow);
  while (shadow.statistics().agreement.windows < 10) await sleep(100);
  const pids = [both.supervisor.statistics().pid ?? 0, shadow.statistics().pid ?? 0];
  const [beside, candidate] = await costOf(pids, seconds);
  await both.end();
  return { alone: alone[0] as Cost, beside: beside as Cost, candidate: candidate as Cost };
}

async function costOf(pids: readonly number[], seconds: number): Promise<Cost[]> {
  const before = pids.map(cpuSeconds);
  const startedMs = performance.now();
  await sleep(seconds * 1000);
  const wallS = (performance.now() - startedMs) / 1000;
  return pids.map((pid, index) => {
    const { residentBytes, anonymousBytes } = memoryOf([pid]);
    return { cpuRatio: (cpuSeconds(pid) - (before[index] ?? 0)) / wallS, residentBytes, anonymousBytes };
  });
}

/** Kills the detector of a real agent, and looks at what was recorded meanwhile. */
async function benchAgent(folder: string, kills: number) {
  const port = await freePort();
  const agent = startAgent(folder, {
    data_dir: join(folder, 'agent'),
    sensors: { particulate: { device: 'emulated' }, bme680: { device: 'emulated' }, uma8: { source: 'generated' } },
    sync: { enabled: false },
    health: { listen: { port }, period_s: 0.5 },
  });
  try {
    const metric = async (name: string): Promise<number> => {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      return Number(new RegExp(`^fender_${name} (\\S+)`, 'm').exec(text)?.[1] ?? Number.NaN);
    };
    const windows = () => metric('detector_windows_total');
    await until('the first windows', async () => (await windows()) > 8, { processes: [agent] });
    for (let kill = 0; kill < kills; kill += 1) {
      const scored = await windows();
      process.kill(detectorOf(agent.child.pid ?? 0), kill % 2 === 0 ? 'SIGKILL' : 'SIGSTOP');
      await until('windows after it', async () => (await windows()) > scored + 8, { processes: [agent] });
    }
    const lostMessages = await metric('recorder_lost_messages_total');
    const missedWindows = await metric('detector_missed_windows_total');
    await agent.end('SIGTERM');
    return { kills, lostMessages, missedWindows, holes: await holesIn(join(folder, 'agent/recordings')) };
  } finally {
    await agent.end('SIGKILL');
  }
}

/** Places in the recorded sound where a chunk is missing. */
async function holesIn(recordings: string): Promise<number> {
  let holes = 0;
  let before: bigint | null = null;
  for (const file of filesBelow(recordings, '.mcap').sort()) {
    if (!(await bagInfo(file)).complete) throw new Error(`expected a whole bag, found ${file}`);
    for await (const { firstSampleNs } of readBagSound(file, '/uma8/audio')) {
      if (before !== null && firstSampleNs - before > 150_000_000n) holes += 1;
      before = firstSampleNs;
    }
  }
  return holes;
}

function detectorOf(agentPid: number): number {
  const children = readFileSync(`/proc/${agentPid}/task/${agentPid}/children`, 'utf8').trim().split(' ').map(Number);
  const isDetector = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('detector-process');
  return children.find(isDetector) ?? 0;
}

/** User and system time of a process, proc_pid_stat(5) fields 14 and 15. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_S;
}
