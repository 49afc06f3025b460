/** Looks at how the model listens: which form of it, the candidate beside it, and, where an agent runs, how both do. */
import { join, resolve } from 'node:path';
import type { AgentConfig } from '../config/schema.ts';
import { chosenText } from '../detector/detector-node.ts';
import { findPair, recallChoice } from '../detector/model-choice.ts';
import { type Check, ok, warn } from './check.ts';
import { runningAgent } from './machine.ts';
import { checkModelFile, soundRateHz } from './model.ts';

const programFolder = resolve(import.meta.dirname, '../..');
const TIMEOUT_MS = 1_000;

/** Which of int8 and fp32 the agent takes, as it was measured on this machine, and whether it can take the fp32 one at all. */
export async function checkModelForm(config: AgentConfig, signal?: AbortSignal): Promise<Check> {
  const name = 'model form';
  const { detector, data_dir } = config;
  if (!detector.enabled) return ok(name, 'the detector is switched off');
  const pair = await findPair(pathOf(detector.model), pathOf(detector.model_fp32));
  if (pair.fp32Path === null) return ok(name, 'one file only');
  const fp32 = await checkFp32(name, config, pair.fp32Path, 'detector.model_fp32', signal);
  if (fp32 !== null) return fp32;
  const choice = await recallChoice(pair, join(data_dir, 'model-speed.json'));
  return ok(name, choice === null ? 'int8 and fp32 are not compared yet; the agent does it' : chosenText(choice));
}

/** Whether the candidate can listen, in both of its forms; null when none is configured. */
export async function checkCandidate(config: AgentConfig, signal?: AbortSignal): Promise<Check | null> {
  const name = 'candidate';
  const { detector, sensors } = config;
  if (!detector.enabled || detector.candidate === '') return null;
  const { candidate: path, max_model_bytes: maxBytes } = detector;
  const file = { path, key: 'detector.candidate', maxBytes, sampleRateHz: soundRateHz(sensors.uma8) };
  const check = await checkModelFile(name, file, [], signal);
  // Nothing that is recorded or told needs the candidate.
  if (check.level !== 'ok') return { ...check, level: 'warn' };
  const { fp32Path } = await findPair(pathOf(path), pathOf(detector.candidate_fp32));
  if (fp32Path === null) return check;
  return (await checkFp32(name, config, fp32Path, 'detector.candidate_fp32', signal)) ?? check;
}

function pathOf(path: string): string {
  return path === '' ? '' : resolve(programFolder, path);
}

/** What is wrong with the fp32 form of a model, which the agent then does not take; null when nothing is. */
async function checkFp32(
  name: string,
  { detector, sensors }: AgentConfig,
  path: string,
  key: string,
  signal: AbortSignal | undefined,
): Promise<Check | null> {
  const file = { path, key, maxBytes: detector.max_model_bytes, sampleRateHz: soundRateHz(sensors.uma8) };
  const check = await checkModelFile(name, file, [], signal);
  return check.level === 'ok' ? null : { ...check, level: 'warn' };
}

/** What a running agent says of its models. */
export async function checkListening({ detector, health, data_dir }: AgentConfig): Promise<Check> {
  const name = 'listening';
  if (!detector.enabled) return ok(name, 'the detector is switched off');
  const { host, port } = health.listen;
  const text = await fetch(`http://${host}:${port}/metrics`, { signal: AbortSignal.timeout(TIMEOUT_MS) })
    .then((answer) => (answer.ok ? answer.text() : ''))
    .catch(() => '');
  const figure = (series: string): number => {
    const line = text.split('\n').find((each) => each.startsWith(`fender_${series} `));
    return line === undefined ? Number.NaN : Number(line.slice(line.lastIndexOf(' ') + 1));
  };
  if (Number.isNaN(figure('detector_running'))) {
    const agent = await runningAgent(data_dir);
    if (agent === null) return ok(name, 'no agent runs, so there is nothing to tell');
    const why = port === 0 ? 'its port is not known: health.listen.port is 0' : `nothing answers at ${host}:${port}`;
    return ok(name, `agent ${agent} runs, but does not tell here how it listens: ${why}`);
  }
  const scored = figure('detector_windows_total');
  const missed = figure('detector_missed_windows_total');
  const found = [`${scored} windows scored, ${missed} missed, ${figure('detector_restarts_total')} restarts`];
  const pairs = figure('shadow_windows_total');
  if (pairs > 0) {
    const percent = (100 * figure('shadow_agreement_ratio')).toFixed(1);
    found.push(`the candidate agrees in ${percent} % of ${pairs} windows, kappa ${figure('shadow_kappa').toFixed(2)}`);
  }
  if (figure('shadow_state{state="dropped"}') === 1) found.push('the candidate was dropped');
  if (figure('shadow_state{state="suspended"}') === 1) found.push('the candidate is suspended');
  const drifting = figure('drift_drifting') === 1;
  if (drifting) found.push('the sound has drifted from what the model knows');
  const isTroubled =
    drifting || figure('detector_running') !== 1 || found.some((each) => /dropped|suspended/.test(each));
  if (!isTroubled) return ok(name, found.join('; '));
  return warn(name, found.join('; '), 'The diagnostics of the agent say what happened, and what to do about it.');
}
