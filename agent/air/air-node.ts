/**
 * The air detectors in the graph: hears the slow sensors, says what it finds as events (at the beginning, and by updates while it goes on
 * and when it is over), tells how far it can judge, and remembers what it learnt.
 */
import type { Clock, Diagnostic, EnvironmentSample, ParticulateSample, Stamp } from '../../drivers/sample.ts';
import type { Graph } from '../graph.ts';
import type { ClipOptions, EventUpdate, Finding } from '../impacts/impact-node.ts';
import { type ParticulateModel, particulateTopic, temperatureTopic } from '../nodes/topics.ts';
import { AirJudge, type AirLabel, type AirNews } from './air-judge.ts';
import type { AirOptions } from './air-options.ts';
import { type AirState, type OpenEvent, readAirState, writeAirState } from './air-state.ts';

/** What the node is connected to. */
export interface AirParts {
  readonly graph: Graph;
  readonly clock: Clock;
  /** Where it remembers. */
  readonly statePath: string;
  /** Commits an event and returns its id. */
  readonly found: (finding: Finding, rolls: ClipOptions | null) => string;
  readonly update: (stamp: Stamp, eventId: string, update: EventUpdate) => void;
  readonly report: (diagnostic: Diagnostic) => void;
}

/** Which sensors there are, and what is done with what they find. */
export interface AirNodeOptions extends AirOptions {
  /** Null: none is configured. */
  readonly particulateModel: ParticulateModel | null;
  readonly hasGas: boolean;
  /** What a clip holds; null: there are none. */
  readonly clip: ClipOptions | null;
}

const TICK_MS = 5_000;
/** Every so many ticks an event that goes on is told as it stands: each 5 minutes. */
const TELL_TICKS = 60;
/** And what was learnt is written down: each 10 minutes. */
const SAVE_TICKS = 120;

/** The air node; made by `open`, then `run` once. */
export class AirNode {
  readonly #parts: AirParts;
  readonly #options: AirNodeOptions;
  readonly #judge: AirJudge;
  readonly #open = new Map<AirLabel, OpenEvent>();
  #saving: Promise<void> = Promise.resolve();
  #ticks = 0;

  private constructor(parts: AirParts, options: AirNodeOptions, before: AirState) {
    this.#parts = parts;
    this.#options = options;
    this.#judge = new AirJudge(options, before.learnt);
  }

  /** Takes up what an earlier run learnt, and ends the events that it left open. */
  static async open(parts: AirParts, options: AirNodeOptions): Promise<AirNode> {
    const before = await readAirState(parts.statePath);
    const stamp = parts.clock.now();
    for (const { event_id: eventId, duration_s: durationS, ...told } of before.open) {
      parts.update(stamp, eventId, { ...told, ongoing: false, durationS });
    }
    return new AirNode(parts, options, before);
  }

  /** Judges until `signal` aborts; what then goes on is ended. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { graph, clock } = this.#parts;
    const { particulateModel, hasGas } = this.#options;
    const leave: (() => void)[] = [];
    if (particulateModel !== null) {
      leave.push(graph.subscribe(particulateTopic(particulateModel), 'air', ({ value }) => this.particulate(value)));
    }
    if (hasGas) leave.push(graph.subscribe(temperatureTopic, 'air', ({ value }) => this.environment(value)));
    const ticker = setInterval(() => this.#tick(), TICK_MS);
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    clearInterval(ticker);
    for (const end of leave) end();
    const stamp = clock.now();
    for (const news of this.#judge.ongoing(secondsOf(stamp))) this.#say(stamp, { ...news, what: 'over' });
    this.#save();
    await this.#saving;
  }

  /** Takes a reading of the particle sensor. */
  particulate(sample: ParticulateSample): void {
    for (const news of this.#judge.particulate(sample, secondsOf(sample.stamp))) this.#say(sample.stamp, news);
  }

  /** Takes a reading of the BME680. */
  environment(sample: EnvironmentSample): void {
    for (const news of this.#judge.environment(sample, secondsOf(sample.stamp))) this.#say(sample.stamp, news);
  }

  #tick(): void {
    const stamp = this.#parts.clock.now();
    const timeS = secondsOf(stamp);
    for (const news of this.#judge.tick(timeS)) this.#say(stamp, news);
    this.#ticks += 1;
    if (this.#ticks % TELL_TICKS === 0) for (const news of this.#judge.ongoing(timeS)) this.#say(stamp, news);
    if (this.#ticks % SAVE_TICKS === 0) this.#save();
    this.#parts.report(this.#diagnostic());
  }

  #say(stamp: Stamp, { what, label, level, readings, detail, durationS }: AirNews): void {
    const told = { level, readings, detail };
    if (what === 'began') {
      const finding = { kind: 'air', stamp, label, ...told, ongoing: true } as const;
      const eventId = this.#parts.found(finding, this.#options.clip);
      this.#open.set(label, { event_id: eventId, duration_s: 0, ...told });
      this.#save();
      return;
    }
    const eventId = this.#open.get(label)?.event_id;
    if (eventId === undefined) return;
    const sinceS = Math.max(0, durationS);
    this.#parts.update(stamp, eventId, { durationS: sinceS, ongoing: what !== 'over', ...told });
    if (what === 'over') this.#open.delete(label);
    else this.#open.set(label, { event_id: eventId, duration_s: sinceS, ...told });
    this.#save();
  }

  #save(): void {
    const state = { learnt: this.#judge.learnt, open: [...this.#open.values()] };
    this.#saving = this.#saving
      .then(() => writeAirState(this.#parts.statePath, state))
      .catch((error: unknown) => {
        const message = `what is usual could not be written down: ${error instanceof Error ? error.message : String(error)}`;
        const cure = 'Check the disk of data_dir; after the next start the detectors learn anew.';
        this.#parts.report({ source: 'air', level: 'warn', code: 'not-saved', message, cure, values: {} });
      });
  }

  #diagnostic(): Diagnostic {
    const { particles, gas, relearnt } = this.#judge.states;
    const { particulateModel, hasGas } = this.#options;
    const channels = [
      ...(particulateModel === null ? [] : [{ name: particulateModel, state: particles }]),
      ...(hasGas ? [{ name: 'bme680', state: gas }] : []),
    ];
    const view = this.#judge.view;
    const values = {
      ...Object.fromEntries(channels.map(({ name, state }) => [name, state])),
      ...(view.particles && { pm2_5_above_usual_ugm3: Math.round(view.particles.excessUgM3) }),
      ...(view.gas && { gas_share_of_usual: Math.round(view.gas.ratio * 100) / 100 }),
      gas_sensor_relearnt: relearnt,
      events_open: this.#open.size,
    };
    const said = { source: 'air', values };
    const unfit = channels.find(({ state }) => state !== 'ok' && state !== 'warming-up');
    if (unfit !== undefined) {
      const message = `the air is not judged by the ${unfit.name}: expected readings that change, found it ${unfit.state}`;
      const cure = `Look at the diagnostics of the ${unfit.name}; while it is so, it raises no event.`;
      return { ...said, level: 'warn', code: `sensor-${unfit.state}`, message, cure };
    }
    if (channels.some(({ state }) => state === 'warming-up')) {
      return {
        ...said,
        level: 'ok',
        code: 'warming-up',
        message: 'a sensor is warming up; it is not judged yet',
        cure: '',
      };
    }
    return {
      ...said,
      level: 'ok',
      code: 'ok',
      message: `judged by ${channels.map(({ name }) => name).join(' and ')}`,
      cure: '',
    };
  }
}

function secondsOf({ monotonicNs }: Stamp): number {
  return Number(monotonicNs) / 1e9;
}
