/** Kills recording processes at random moments, repairs what they leave, and measures what is missing of what they had recorded. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { repairRecordings } from '../../agent/recording/repair-recordings.ts';
import { filesBelow, messageSequences } from './bag-contents.ts';
import { type SeededRandom, seededRandom } from './seeded-random.ts';

/** What one kill cost, in seconds. */
export interface CrashLoss {
  readonly sound: 'pcm' | 'flac';
  /** From the first sound to the kill. */
  readonly aliveS: number;
  /** Sound that was handed to the recorder and is not in the recording. */
  readonly soundS: number;
  /** From the end of the last recorded sound to the kill, with what the microphones heard and nobody had been handed yet. */
  readonly soundToKillS: number;
  /** From the oldest missing message of a slow topic to the kill, the longest of all topics; 0 when none is missing. */
  readonly slowS: number;
  /** The longest time in the last second that the machine, and not its own work, kept the process from writing a few bytes elsewhere. */
  readonly stalledS: number;
  /** Messages handed over, and those of them that are missing. */
  readonly handed: number;
  readonly missing: number;
  /** Messages that are in the recording and not among those handed over, or before a missing one of their topic; must be 0. */
  readonly wrong: number;
}

/** What a kill may cost, in seconds. */
const mostSoundS = 0.2;
const mostSlowS = 1;

/**
 * Whether a kill cost more than it may.
 * @param allowedS what the machine itself held up, as other programs had it, is not the recording's: `stalledS`, or 0.
 */
export function isTooMuch({ soundS, slowS, wrong }: CrashLoss, allowedS = 0): boolean {
  // Chunks are counted whole.
  return soundS > mostSoundS + allowedS + 1e-6 || slowS > mostSlowS + allowedS || wrong > 0;
}

/** A sign of life: when, and how much CPU time the recording's thread had taken until then. */
interface Alive {
  readonly ns: bigint;
  readonly cpuUs: number;
}

interface Handed {
  readonly topic: string;
  readonly sequence: number;
  readonly monotonicNs: bigint;
  readonly durationNs: bigint;
}

const soundTopic = '/uma8/audio';
const startTimeoutMs = 60_000;

/** What the child said in whole lines. */
interface Said {
  readonly handed: readonly Handed[];
  readonly alive: readonly Alive[];
}

function saidIn(output: string): Said {
  const lines = output.slice(0, output.lastIndexOf('\n') + 1).split('\n');
  const words = lines.slice(0, -1).map((line) => line.split(' '));
  const alive = words.flatMap(([what, ns = '0', cpuUs]) =>
    what === 'alive' ? [{ ns: BigInt(ns), cpuUs: Number(cpuUs) }] : [],
  );
  const handed = words.filter(([what]) => what !== 'alive');
  return {
    alive,
    handed: handed.map(([topic = '', sequence, monotonicNs = '0', durationNs = '0']) => {
      return { topic, sequence: Number(sequence), monotonicNs: BigInt(monotonicNs), durationNs: BigInt(durationNs) };
    }),
  };
}

/**
 * The longest gap between signs of life in the second before the kill, in seconds, without the pause that it makes itself, and without
 * the CPU time that was taken in it; that of the last gap, which the kill ends, nobody knows.
 */
function longestGapS(alive: readonly Alive[], killedNs: bigint): number {
  const signs = alive.filter(({ ns }) => ns <= killedNs);
  const last = signs.at(-1);
  if (last !== undefined) signs.push({ ns: killedNs, cpuUs: last.cpuUs });
  const gaps = signs.map(({ ns, cpuUs }, index) => {
    const before = signs[index - 1];
    if (before === undefined || killedNs - ns >= 1_000_000_000n) return 0;
    return Number(ns - before.ns) / 1e9 - (cpuUs - before.cpuUs) / 1e6 - 0.01;
  });
  return Math.max(0, ...gaps);
}

/** Records into a new folder, kills `aliveMs` after the first sound, repairs, and compares. @throws when the repair or the start fails. */
async function killOnce(sound: 'pcm' | 'flac', aliveMs: number, seed: number): Promise<CrashLoss> {
  const folder = mkdtempSync(join(tmpdir(), 'fender-crash-'));
  const program = fileURLToPath(new URL('./recording-child.ts', import.meta.url));
  const args = [program, folder, sound, String(seed)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  // Read, so that nobody waits; shown only when there is no sound.
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text;
  });
  try {
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    const startedMs = performance.now();
    while (!output.includes(`${soundTopic} `)) {
      if (child.exitCode !== null || performance.now() - startedMs > startTimeoutMs) {
        throw new Error(`expected sound from the recording process, found none: ${complaints.slice(-500)}`);
      }
      await sleep(5);
    }
    await sleep(aliveMs);
    const killedNs = process.hrtime.bigint();
    child.kill('SIGKILL');
    // Its own children may hold its output open for a moment more.
    await once(child, 'close');
    const reports = await repairRecordings(join(folder, 'recordings'), () => false);
    const problem = reports.find((report) => report.problem !== '')?.problem;
    if (problem !== undefined) throw new Error(problem);
    const recorded = filesBelow(join(folder, 'recordings'), '.mcap').flatMap((path) => messageSequences(path));
    return lossOf(sound, saidIn(output), recorded, killedNs);
  } finally {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

function lossOf(
  sound: 'pcm' | 'flac',
  { handed, alive }: Said,
  recorded: readonly { readonly topic: string; readonly sequence: number }[],
  killedNs: bigint,
): CrashLoss {
  const key = (topic: string, sequence: number): string => `${topic.replace(/\/flac$/, '')} ${sequence}`;
  const found = new Set(recorded.map(({ topic, sequence }) => key(topic, sequence)));
  const missing = handed.filter(({ topic, sequence }) => !found.has(key(topic, sequence)));
  const firstMissing = new Map<string, number>();
  for (const { topic, sequence } of missing) {
    firstMissing.set(topic, Math.min(sequence, firstMissing.get(topic) ?? sequence));
  }
  const known = new Set(handed.map(({ topic, sequence }) => key(topic, sequence)));
  const wrong = recorded.filter(({ topic, sequence }) => {
    const plain = topic.replace(/\/flac$/, '');
    return !known.has(key(topic, sequence)) || sequence > (firstMissing.get(plain) ?? Number.POSITIVE_INFINITY);
  });
  const seconds = (ns: bigint): number => Number(ns) / 1e9;
  const sounds = handed.filter(({ topic }) => topic === soundTopic);
  const lastSound = sounds.findLast(({ sequence }) => found.has(key(soundTopic, sequence)));
  const lastEndNs = lastSound === undefined ? sounds[0]?.monotonicNs : lastSound.monotonicNs + lastSound.durationNs;
  const missingSound = missing.filter(({ topic }) => topic === soundTopic);
  const missingSlow = missing.filter(({ topic }) => topic !== soundTopic);
  return {
    sound,
    aliveS: seconds(killedNs - (sounds[0]?.monotonicNs ?? killedNs)),
    soundS: missingSound.reduce((sum, { durationNs }) => sum + seconds(durationNs), 0),
    soundToKillS: Math.max(0, seconds(killedNs - (lastEndNs ?? killedNs))),
    slowS: missingSlow.reduce((longest, { monotonicNs }) => Math.max(longest, seconds(killedNs - monotonicNs)), 0),
    stalledS: longestGapS(alive, killedNs),
    handed: handed.length,
    missing: missing.length,
    wrong: wrong.length + recorded.length - found.size,
  };
}

/**
 * Kills `kills` recordings with SIGKILL, each at a random moment in its first `longestS` seconds, every other one of them with sound as
 * FLAC; `atOnce` run side by side. @throws of the first recording that does not start or cannot be repaired; none is begun after it.
 */
export async function measureCrashLoss(
  kills: number,
  {
    longestS = 3,
    atOnce = 4,
    random = seededRandom(),
    onKill = () => {},
  }: {
    readonly longestS?: number;
    readonly atOnce?: number;
    readonly random?: SeededRandom;
    readonly onKill?: (done: number) => void;
  } = {},
): Promise<CrashLoss[]> {
  const losses: CrashLoss[] = [];
  const plans = Array.from({ length: kills }, (_, index) => ({
    sound: index % 2 === 0 ? ('pcm' as const) : ('flac' as const),
    aliveMs: random.next() * longestS * 1000,
    seed: Math.floor(random.next() * 1e6),
  }));
  const work = async (): Promise<void> => {
    for (let plan = plans.shift(); plan !== undefined; plan = plans.shift()) {
      try {
        losses.push(await killOnce(plan.sound, plan.aliveMs, plan.seed));
      } catch (error) {
        plans.length = 0;
        throw error;
      }
      onKill(losses.length);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return losses;
}
