/**
 * `npm run bench`: measures the figures of ARCHITECTURE.md on this machine and prints them as a table. Half an hour. It
 * ends with code 1 when a kill cost more than it may.
 */
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { benchAgent } from './agent.ts';
import { benchAir } from './air.ts';
import { benchBagView, type FrameFigures } from './bag-view.ts';
import { benchClockCorrection } from './clock-correction.ts';
import { benchCrash, type Spread } from './crash.ts';
import { benchDetector, type Change, type Cost } from './detector.ts';
import { benchDirection } from './direction.ts';
import { benchEdgeToCentral } from './edge-to-central.ts';
import { benchFlac } from './flac.ts';
import type { MemoryFigures } from './memory.ts';
import { benchShippedModel } from './model.ts';
import { benchOutbox } from './outbox.ts';
import { benchRecorder } from './recorder.ts';
import { benchRepair } from './repair.ts';
import { benchReplay } from './replay.ts';
import { benchRos } from './ros.ts';
import { benchSynchroniser } from './synchroniser.ts';

interface Row {
  readonly figure: string;
  readonly measured: string;
  readonly asked: string;
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    kills: { type: 'string', default: '200' },
    swaps: { type: 'string', default: '100' },
    'replay-minutes': { type: 'string', default: '60' },
    only: {
      type: 'string',
      default:
        'agent,detector,model,replay,direction,air,recorder,flac,repair,crash,outbox,sync,clock,synchroniser,ros,view',
    },
    help: { type: 'boolean', short: 'h' },
  },
});

const percent = (ratio: number) => `${(100 * ratio).toFixed(1)} %`;
const thousands = (count: number, what = 'rows') => `${Math.round(count / 1000)}k ${what}/s`;

const megabytes = (bytes: number) => Math.round(bytes / 1e6);

function memoryText(memory: MemoryFigures): string {
  const { sharedOnceBytes, residentBytes, proportionalBytes, anonymousBytes } = memory;
  const others = `RSS added up ${megabytes(residentBytes)}, PSS ${megabytes(proportionalBytes)}`;
  return `${megabytes(sharedOnceBytes)} MB with shared pages once (${others}, anonymous ${megabytes(anonymousBytes)})`;
}

async function agentRows(): Promise<Row[]> {
  const figures = await benchAgent(Number(values.minutes), (done, total) => note(`agent: ${done} of ${total} s`));
  return [
    {
      figure: 'capture + recording + detection of 8 × 48 kHz, CPU of one core',
      measured: `${percent(figures.cpuRatio)} (main ${percent(figures.cpuMainRatio)}, detector ${percent(figures.cpuDetectorRatio)})`,
      asked: '≤ 8 %',
    },
    {
      figure: `agent resident memory, both processes, after ${figures.minutes} min`,
      measured: memoryText(figures.memory),
      asked: '≤ 160 MB',
    },
    {
      figure: "end of an impact's sound → event committed at central, p95",
      measured: `${figures.latencyP95S.toFixed(2)} s (median ${figures.latencyP50S.toFixed(2)} s)`,
      asked: '≤ 1.5 s',
    },
    {
      figure: 'main process event-loop delay, p99, while detecting',
      measured: `${figures.eventLoopP99Ms.toFixed(1)} ms`,
      asked: '≤ 10 ms',
    },
    {
      figure: 'generated impacts found / played, false alarms, in that run',
      measured: `${figures.detected} / ${figures.played}, ${figures.falseAlarms}`,
      asked: '–',
    },
    {
      figure: 'messages lost by the recorder, chunks missed by the detector, in that run',
      measured: `${figures.lostMessages}, ${figures.missedChunks}`,
      asked: '0, 0',
    },
  ];
}

async function modelRows(): Promise<Row[]> {
  const { int8Ms, fp32Ms, windowsPerS, detectorRatio } = await benchShippedModel();
  const each = (name: string, ms: number) => `${name} ${ms.toFixed(2)} ms, ${percent((ms * windowsPerS) / 1000)}`;
  return [
    {
      figure: 'shipped model: processor time of one window, median, and its share of a core at its hop',
      measured: `${each('int8', int8Ms)}; ${each('fp32', fp32Ms)}`,
      asked: '≤ 3 %',
    },
    {
      figure: 'int8 against fp32, by turns',
      measured: `${(fp32Ms / int8Ms).toFixed(2)} × faster`,
      asked: '≥ 1.8 ×',
    },
    {
      figure: 'detection of 8 × 48 kHz in real time, all of it, CPU of one core',
      measured: percent(detectorRatio),
      asked: '≤ 3 %',
    },
  ];
}

async function replayRows(): Promise<Row[]> {
  const minutes = Number(values['replay-minutes']);
  const results = await benchReplay(minutes * 60, note);
  return results.map(({ sound, bagBytes, realTimeFactor, cpuS, impacts }) => ({
    figure: `fender replay of ${minutes} min of 8 × 48 kHz as ${sound}`,
    measured: `${realTimeFactor.toFixed(0)} × real time, ${cpuS.toFixed(0)} s of CPU (${megabytes(bagBytes)} MB, ${impacts} impacts)`,
    asked: sound === 'pcm' ? '≥ 60 ×' : '–',
  }));
}

async function detectorRows(): Promise<Row[]> {
  const figures = await benchDetector(20, Number(values.swaps), 60, (text) => note(`detector: ${text}`));
  const { killedS, stoppedS, due, scored, countedMissed, swaps, alone, beside, candidate, agent } = figures;
  const seconds = (all: readonly number[]) =>
    `${(all[Math.floor(all.length / 2)] ?? Number.NaN).toFixed(2)} s (at most ${(all.at(-1) ?? Number.NaN).toFixed(2)} s)`;
  const change = ({ before, after }: Change) => `${megabytes(before)} → ${megabytes(after)} MB`;
  const cost = ({ cpuRatio, anonymousBytes, residentBytes }: Cost) =>
    `${percent(cpuRatio)}, ${megabytes(anonymousBytes)} MB of its own (${megabytes(residentBytes)} resident)`;
  return [
    {
      figure: 'detector killed, detector stopped: until the next window is scored',
      measured: `${seconds(killedS)}; ${seconds(stoppedS)}`,
      asked: '≤ 2 s',
    },
    {
      figure: `windows missed in these ${killedS.length + stoppedS.length}; as counted`,
      measured: `${due - scored} of ${due}; ${countedMissed}`,
      asked: 'counted',
    },
    {
      figure: `recorder beside a detector killed and stopped ${agent.kills} times: messages lost, holes in the sound`,
      measured: `${agent.lostMessages}, ${agent.holes} (windows missed ${agent.missedWindows})`,
      asked: '0, 0',
    },
    {
      figure: `${swaps.count} swaps of the model: agent, detector process, windows missed`,
      measured: `${change(swaps.own)}; ${change(swaps.detector)}; ${swaps.missed}`,
      asked: 'as before, 0',
    },
    { figure: 'detection in real time, one core; memory', measured: cost(alone), asked: '≤ 3 %' },
    {
      figure: 'the same beside a candidate; the candidate',
      measured: `${cost(beside)}; ${cost(candidate)}`,
      asked: '–',
    },
  ];
}

async function recorderRows(): Promise<Row[]> {
  const { realTimeFactor, lostMessages, bytesPerS, sets } = await benchRecorder();
  const speed = `${Math.round(realTimeFactor)} × real time, ${Math.round(bytesPerS / 1e6)} MB/s`;
  return [
    {
      figure: 'recorder, durable, with sets and overview, replayed as fast as it can',
      measured: `${speed}, ${sets} sets, ${lostMessages} lost`,
      asked: '≥ 250 ×, 0 lost',
    },
  ];
}

async function flacRows(): Promise<Row[]> {
  const figures = await benchFlac();
  const { chunks, plainChunks, differentChunks } = figures;
  const size = `${figures.againstZstd.toFixed(2)} × smaller than zstd-3, ${figures.againstSamples.toFixed(2)} × than PCM`;
  const kept = `${chunks} chunks, ${differentChunks} changed, ${plainChunks} left as PCM`;
  return [
    {
      figure: 'FLAC on the generated drive: size; CPU of one core in real time',
      measured: `${size}; ${percent(figures.cpuRatio)} (main thread held up at most ${figures.longestStallMs.toFixed(1)} ms, without it ${figures.idleStallMs.toFixed(1)} ms); ${kept}`,
      asked: '≥ 1.35 ×, ≤ 3 %, 0 changed',
    },
  ];
}

async function repairRows(): Promise<Row[]> {
  const { segmentBytes, inPlaceBytesPerS, rewrittenBytesPerS } = await benchRepair();
  return [
    {
      figure: `repair of a segment of ${megabytes(segmentBytes)} MB: in place; damaged in its middle`,
      measured: `${megabytes(inPlaceBytesPerS)} MB/s; ${megabytes(rewrittenBytesPerS)} MB/s`,
      asked: '≥ 200 MB/s',
    },
  ];
}

async function crashRows(): Promise<Row[]> {
  const kills = Number(values.kills);
  const figures = await benchCrash(kills, (done) => note(`crash: ${done} of ${kills} kills`));
  const spread = ({ median, p95, most }: Spread) =>
    `${Math.round(1000 * median)} / ${Math.round(1000 * p95)} / ${Math.round(1000 * most)} ms`;
  const counts = `${figures.missing} of ${figures.handed} messages, ${figures.wrong} wrong`;
  const ms = (seconds: number) => Math.round(1000 * seconds);
  const beyond = figures.tooMuch.map(
    ({ sound, aliveS, soundS, slowS, stalledS }) =>
      `${sound} after ${aliveS.toFixed(2)} s: ${ms(soundS)} and ${ms(slowS)} ms, stalled ${ms(stalledS)} ms`,
  );
  if (beyond.length > 0 || figures.wrong > 0) process.exitCode = 1;
  return [
    {
      figure: `${figures.kills} kills of a recording, lost of what it had been handed: sound; slow topics (median / p95 / most)`,
      measured: `${spread(figures.soundS)}; ${spread(figures.slowS)} (${counts}, seed ${figures.seed})`,
      asked: '≤ 200 ms; ≤ 1 s',
    },
    {
      figure: 'kills beyond these bounds; of them those in which the machine itself did not stand still',
      measured: [`${beyond.length}; ${figures.tooMuchItself}`, ...beyond].join('; '),
      asked: '0',
    },
    {
      figure: 'in these kills: from the end of the last recorded sound to the kill; the machine itself stood still for',
      measured: `${spread(figures.soundToKillS)}; ${spread(figures.stalledS)}`,
      asked: '–',
    },
  ];
}

async function viewRows(): Promise<Row[]> {
  const figures = await benchBagView();
  const frames = ({ perSecond, p99Ms, longestMs }: FrameFigures) =>
    `${Math.round(perSecond)} frames/s, p99 ${Math.round(p99Ms)} ms, longest ${Math.round(longestMs)} ms`;
  return [
    {
      figure: `bag viewer, one hour (${(figures.bagBytes / 1e9).toFixed(1)} GB): first picture`,
      measured: `${(figures.firstPictureMs / 1000).toFixed(2)} s, ${megabytes(figures.readBytes)} MB read for the whole of it`,
      asked: '< 2 s',
    },
    { figure: 'bag viewer, moving in 5 min of it', measured: frames(figures.hour), asked: 'no stutter' },
    { figure: 'bag viewer, moving in 12 s of it', measured: frames(figures.seconds), asked: 'no stutter' },
  ];
}

async function directionRows(): Promise<Row[]> {
  const figures = await benchDirection(4, (name) => note(`direction: ${name}`));
  return [
    ...figures.cases.map(({ name, events, untold, medianDeg, p90Deg, within20, meanConfidence }) => ({
      figure: `azimuth, simulated array, ${name}: median / 90th percentile error (${figures.sounds})`,
      measured: `${medianDeg.toFixed(1)}° / ${p90Deg.toFixed(1)}°; ${percent(within20)} within 20°, said ${percent(meanConfidence)}; not told ${untold} of ${events}`,
      asked: name === 'free field, 10 dB' ? '≤ 5° / 20°' : '–',
    })),
    {
      figure: 'time of a core to find the direction of an event: median / p95',
      measured: `${figures.medianMs.toFixed(0)} / ${figures.p95Ms.toFixed(0)} ms`,
      asked: '–',
    },
  ];
}

async function outboxRows(): Promise<Row[]> {
  const { rowsPerS } = await benchOutbox();
  return [
    { figure: 'outbox insert, FULL, batches of 100 × 200 B', measured: thousands(rowsPerS), asked: '≥ 150k rows/s' },
  ];
}

async function syncRows(): Promise<Row[]> {
  const { rowsPerS, rows, stored, duplicates } = await benchEdgeToCentral();
  return [
    {
      figure: 'edge → central durable and deduplicated, batches of 100',
      measured: `${thousands(rowsPerS)} (${stored} of ${rows} stored, ${duplicates} duplicates refused)`,
      asked: '≥ 30k rows/s',
    },
  ];
}

async function clockRows(): Promise<Row[]> {
  const hour = await benchClockCorrection(14_400);
  const million = await benchClockCorrection(1_000_000);
  const longestMs = Math.round(million.longestSliceMs);
  return [
    {
      figure: 'times of stored rows put right: one hour of telemetry, 10⁶ rows',
      measured: `${hour.seconds.toFixed(2)} s, ${million.seconds.toFixed(1)} s (at most ${longestMs} ms at once)`,
      asked: '–',
    },
  ];
}

async function synchroniserRows(): Promise<Row[]> {
  const { policyPerS, policySets, nodePerS, nodeSets, messages } = benchSynchroniser();
  const share = (sets: number) => `${((100 * sets) / messages).toFixed(0)} sets of 100 messages`;
  return [
    {
      figure: 'synchroniser: policy alone; node, from the graph to the published set',
      measured: `${thousands(policyPerS, 'messages')} (${share(policySets)}); ${thousands(nodePerS, 'messages')} (${share(nodeSets)})`,
      asked: '≥ 500k messages/s',
    },
  ];
}

async function rosRows(): Promise<Row[]> {
  const figure = 'ROS 2 on, publishing all sensors: CPU of one core';
  const asked = '≤ 6 %, recorded data unchanged';
  if (!process.env.ROS_DISTRO) return [{ figure, measured: 'not measured: ROS_DISTRO is not set', asked }];
  const ros = await benchRos(60);
  const added = percent(Math.max(0, ros.mainRatio - ros.mainWithoutRatio));
  const missed = Math.max(0, ros.publishedMessages - ros.heardMessages);
  const heard = `another program missed ${missed} of ${ros.publishedMessages} messages`;
  const kept = `${ros.sameChunks} chunks of sound recorded as without it, ${ros.differentChunks} otherwise, ${ros.lostMessages} lost`;
  const cost = `${percent(ros.processRatio)} in its process (${megabytes(ros.memoryBytes)} MB), ${added} more in the agent's`;
  return [{ figure, measured: `${cost}; ${heard}; ${kept}`, asked }];
}

async function airRows(): Promise<Row[]> {
  const { found, quiet, secondUs } = benchAir((what) => note(`air: ${what}`));
  return [
    ...found.map(({ name, found: hits, runs, medianS, worstS }) => ({
      figure: `air, simulated: ${name}`,
      measured: `found ${hits} of ${runs}, after ${medianS} s (worst ${worstS} s)`,
      asked: '–',
    })),
    ...quiet.map(({ name, alarms, days }) => ({
      figure: `air, simulated: false alarms, ${name}`,
      measured: `${(alarms / days).toFixed(1)} a day (${alarms} in ${days} days)`,
      asked: '–',
    })),
    {
      figure: 'air: CPU of judging one second of both sensors',
      measured: `${secondUs.toFixed(1)} µs (${(secondUs / 10_000).toFixed(4)} % of a core)`,
      asked: '~ 0',
    },
  ];
}

function note(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

async function main(): Promise<void> {
  if (values.help) {
    process.stdout.write(
      'npm run bench -- [--minutes N] [--kills N] [--replay-minutes N] [--only agent,model,replay,direction,air,recorder,flac,repair,crash,outbox,sync,clock,synchroniser,ros,view]\n',
    );
    return;
  }
  const parts = {
    model: modelRows,
    replay: replayRows,
    direction: directionRows,
    air: airRows,
    recorder: recorderRows,
    flac: flacRows,
    repair: repairRows,
    crash: crashRows,
    outbox: outboxRows,
    sync: syncRows,
    clock: clockRows,
    synchroniser: synchroniserRows,
    ros: rosRows,
    view: viewRows,
    detector: detectorRows,
    agent: agentRows,
  };
  const rows: Row[] = [];
  for (const [name, measure] of Object.entries(parts)) {
    if (!values.only.split(',').includes(name)) continue;
    note(`${name} …`);
    rows.push(...(await measure()));
  }
  note('');
  const cpu = cpus();
  process.stdout.write(
    `${cpu.length} × ${cpu[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}, ${process.platform} ${process.arch}\n\n` +
      `| figure | measured | to reach |\n|---|---|---|\n${rows.map((row) => `| ${row.figure} | ${row.measured} | ${row.asked} |`).join('\n')}\n`,
  );
}

await main();
