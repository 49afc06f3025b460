/**
 * What the running agent costs and how soon an impact is at central: real agent and central processes, recorded sound with
 * known impacts at the microphones' port, CPU and memory as the kernel accounts them.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { renderSound } from '../../agent/render-sound.ts';
import { freePort, get, startAgent, startCentral, until } from '../end-to-end/processes.ts';
import { filesBelow, firstMessageTimeNs } from '../fault/bag-contents.ts';
import { type MemoryFigures, memoryOf } from './memory.ts';

export interface AgentFigures {
  readonly minutes: number;
  /** Main process and detector together, share of one core, after the first 20 s. */
  readonly cpuRatio: number;
  readonly cpuMainRatio: number;
  readonly cpuDetectorRatio: number;
  /** Of both processes together, at the end. */
  readonly memory: MemoryFigures;
  readonly eventLoopP99Ms: number;
  /** End of an impact's sound to its event committed at central, seconds. */
  readonly latencyP50S: number;
  readonly latencyP95S: number;
  /** Impacts played, and those that became an event. */
  readonly played: number;
  readonly detected: number;
  readonly falseAlarms: number;
  readonly lostMessages: number;
  readonly missedChunks: number;
}

const CLOCK_TICKS_PER_S = 100;
const WARM_UP_S = 20;

/** Runs agent and central for `minutes`. */
export async function benchAgent(
  minutes: number,
  onProgress: (doneS: number, totalS: number) => void,
): Promise<AgentFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'fender-bench-agent-'));
  const soundS = 300;
  const wav = join(folder, 'drive.wav');
  await renderSound({ path: wav, csvPath: join(folder, 'drive.csv'), seconds: soundS, seed: 11 });
  const place = { dataDir: join(folder, 'central'), httpPort: await freePort(), mqttPort: await freePort() };
  const healthPort = await freePort();
  const central = startCentral(place);
  const agent = startAgent(folder, {
    vehicle: { id: 'bench-1' },
    data_dir: join(folder, 'agent'),
    sensors: {
      particulate: { model: 'plantower', device: 'emulated' },
      bme680: { device: 'emulated' },
      uma8: { source: 'replay', sound: wav },
    },
    sync: { url: `mqtt://127.0.0.1:${place.mqttPort}` },
    health: { listen: { port: healthPort } },
  });
  try {
    await until('the vehicle', () => get(place.httpPort, '/api/vehicles/bench-1').then(() => true), {
      processes: [central, agent],
    });
    await sleep(WARM_UP_S * 1000);
    // A process that measured the two forms of the model may end meanwhile: its time then counts as its parent's.
    const treeOf = () => [agent.child.pid ?? 0, ...childrenOf(agent.child.pid ?? 0)];
    const before = new Map(treeOf().map((pid) => [pid, cpuSeconds(pid)]));
    const startedMs = performance.now();
    const measuredS = minutes * 60 - WARM_UP_S;
    for (let doneS = 0; doneS < measuredS; doneS += 5) {
      onProgress(WARM_UP_S + doneS, minutes * 60);
      await sleep(5_000);
    }
    const wallS = (performance.now() - startedMs) / 1000;
    const pids = treeOf();
    const [main = 0, ...others] = pids.map((pid) => (cpuSeconds(pid) - (before.get(pid) ?? 0)) / wallS);
    const detector = others.reduce((a, b) => a + b, 0);
    const memory = memoryOf(pids);
    const metrics = await (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text();
    const runS = wallS + WARM_UP_S;
    await agent.end('SIGTERM');
    return {
      minutes,
      cpuRatio: main + detector,
      cpuMainRatio: main,
      cpuDetectorRatio: detector,
      memory,
      eventLoopP99Ms: 1000 * metric(metrics, /^fender_event_loop_delay_seconds\{statistic="p99"[^}]*\} (\S+)/m),
      lostMessages: metric(metrics, /^fender_recorder_lost_messages_total (\S+)/m),
      missedChunks: metric(metrics, /^fender_detector_missed_chunks_total (\S+)/m),
      ...(await latencies(place.httpPort, folder, soundS, runS)),
    };
  } finally {
    await agent.end('SIGKILL');
    await central.end('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Event {
  readonly captured_at_ns: string;
  readonly received_at: string;
}

const PAGE_EVENTS = 500;

async function allEvents(httpPort: number): Promise<Event[]> {
  const all: Event[] = [];
  for (;;) {
    const path = `/api/events?order=asc&limit=${PAGE_EVENTS}&offset=${all.length}`;
    const { events } = await get<{ events: Event[] }>(httpPort, path);
    all.push(...events);
    if (events.length < PAGE_EVENTS) return all;
  }
}

/** Matches events with the truth, by the time of the first sound in the bag and the truth's own times. */
async function latencies(httpPort: number, folder: string, soundS: number, runS: number) {
  const [bag] = filesBelow(join(folder, 'agent/recordings'), '.mcap').sort();
  const soundStartMs = Number(firstMessageTimeNs(bag ?? '', '/uma8/audio') / 1_000_000n);
  const truth = readFileSync(join(folder, 'drive.csv'), 'utf8').trim().split('\n').slice(1);
  const events = await allEvents(httpPort);
  const free = new Set(events);
  const delaysS: number[] = [];
  let played = 0;
  for (let loopS = 0; loopS < runS; loopS += soundS) {
    for (const line of truth) {
      const [, onset = 0, end = 0] = line.split(',').map(Number);
      if (loopS + end > runS - 3) continue;
      played += 1;
      const onsetMs = soundStartMs + (loopS + onset) * 1000;
      const endMs = soundStartMs + (loopS + end) * 1000;
      const event = [...free].find((candidate) => {
        const at = Number(BigInt(candidate.captured_at_ns) / 1_000_000n);
        return at > onsetMs - 700 && at < endMs + 700;
      });
      if (!event) continue;
      free.delete(event);
      delaysS.push((Date.parse(event.received_at) - endMs) / 1000);
    }
  }
  delaysS.sort((a, b) => a - b);
  const quantile = (q: number) => delaysS[Math.min(delaysS.length - 1, Math.floor(q * delaysS.length))] ?? Number.NaN;
  return {
    played,
    detected: delaysS.length,
    falseAlarms: free.size,
    latencyP50S: quantile(0.5),
    latencyP95S: quantile(0.95),
  };
}

function metric(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? Number.NaN);
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
}

/** User and system time of a process with its ended children, proc(5) stat fields 14 to 17. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index] ?? 0), 0) / CLOCK_TICKS_PER_S;
}
