/** Looks at how the model listens: which form of it, the candidate beside it, and, where an agent runs, how both do. */
import { join, resolve } from 'node:path';
import type { AgentConfig } from '../config/schema.ts';
import { chosenText } from '../detector/detector-node.ts';
import { findPair, recallChoice } from '../detector/model-choice.ts';
import { type Check, ok, warn } from './check.ts';
import { runningAgent } from './machine.ts';
import { checkModel } from './model.ts';

const programFolder = resolve(import.meta.dirname, '../..');
const TIMEOUT_MS = 1_000;

/** Which of int8 and fp32 the agent takes, as it was measured on this machine. */
export async function checkModelForm({ detector, data_dir }: AgentConfig): Promise<Check> {
  const name = 'model form';
  if (!detector.enabled) return ok(name, 'the detector is switched off');
  const pathOf = (path: string): string => (path === '' ? '' : resolve(programFolder, path));
  const pair = await findPair(pathOf(detector.model), pathOf(detector.model_fp32));
  if (pair.fp32Path === null) return ok(name, 'one file only');
  const choice = await recallChoice(pair, join(data_dir, 'model-speed.json'));
  return ok(name, choice === null ? 'int8 and fp32 are not compared yet; the agent does it' : chosenText(choice));
}

/** Whether the candidate can listen; null when none is configured. */
export async function checkCandidate({ detector, sensors }: AgentConfig): Promise<Check | null> {
  if (!detector.enabled || detector.candidate === '') return null;
  const { source, sample_rate_hz: rateHz } = sensors.uma8;
  const settings = { ...detector, model: detector.candidate, thresholds: {} };
  const check = await checkModel(settings, source === 'none' ? null : rateHz);
  // Nothing that is recorded or told needs the candidate.
  return { ...check, name: 'candidate', level: check.level === 'error' ? 'warn' : check.level };
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
