/**
 * Owns the decision: when the two channels together mean smoke or bad air in the cabin, how bad it is, and when it is over. Pure: readings
 * and times go in, beginnings, worsenings and ends come out.
 */
import type { EnvironmentSample, ParticulateSample } from '../../drivers/sample.ts';
import type { AirLevel, EventReading } from '../messages/messages.ts';
import type { AirOptions } from './air-options.ts';
import { GasChannel, type GasView } from './gas-channel.ts';
import { type ChannelState, ParticleChannel, type ParticleView } from './particle-channel.ts';

export type AirLabel = 'smoke' | 'bad_air';

/** Something began, got worse, or is over. */
export interface AirNews {
  readonly what: 'began' | 'worse' | 'over';
  readonly label: AirLabel;
  /** The worst so far, as are the readings. */
  readonly level: AirLevel;
  readonly readings: readonly EventReading[];
  readonly detail: string;
  /** Since it began. */
  readonly durationS: number;
}

/** What is learnt and outlives the agent: logarithms of what is usual. */
export interface LearntAir {
  readonly particles: number | null;
  readonly gas: number | null;
}

interface Episode {
  readonly label: AirLabel;
  readonly beganS: number;
  readonly cause: string;
  level: AirLevel;
  worstUgM3: number;
  particles: EventReading | null;
  gas: EventReading | null;
  /** Since when the air is good again; null while it is not. */
  goodSinceS: number | null;
  /** When a channel last had something to say. */
  judgedS: number;
}

const LEVELS: readonly AirLevel[] = ['raised', 'high', 'very_high'];
/** Particles that came within this time are smoke; slower ones are bad air. */
const QUICK_S = 180;
/** Bad air by particles lasts; a lorry's cloud does not. */
const LASTING_S = 60;
/** A fall to this share of the last minutes' resistance agrees that something burns; exhaust gas in a tunnel makes less of it. */
const AGREES_DIP = 0.8;
/** The gas sensor may agree so much later. */
const AGREES_WITHIN_S = 45;
/** An event whose sensors are silent for so long is ended. */
const SILENT_S = 180;

/** One vehicle's cabin. Times in seconds of a clock that never steps; they may pause and must not fall. */
export class AirJudge {
  readonly #options: AirOptions;
  readonly #particles: ParticleChannel;
  readonly #gas: GasChannel;
  readonly #episodes = new Map<AirLabel, Episode>();
  /** Since when particles are too many, whatever they are; null: they are not. */
  #dustySinceS: number | null = null;

  constructor(options: AirOptions, learnt: LearntAir = { particles: null, gas: null }) {
    this.#options = options;
    this.#particles = new ParticleChannel(options.particles, learnt.particles);
    this.#gas = new GasChannel(options.gas, learnt.gas);
  }

  get learnt(): LearntAir {
    return { particles: this.#particles.baselineLog, gas: this.#gas.baselineLog };
  }

  get states(): { readonly particles: ChannelState; readonly gas: ChannelState; readonly relearnt: number } {
    return { particles: this.#particles.state, gas: this.#gas.state, relearnt: this.#gas.relearnt };
  }

  get view(): { readonly particles: ParticleView | null; readonly gas: GasView | null } {
    return { particles: this.#particles.view, gas: this.#gas.view };
  }

  particulate(sample: ParticulateSample, timeS: number): readonly AirNews[] {
    this.#particles.take(sample, timeS, this.#gas.humidity, this.#episodes.size > 0);
    return this.#decide(timeS);
  }

  environment(sample: EnvironmentSample, timeS: number): readonly AirNews[] {
    this.#gas.take(sample, timeS, this.#episodes.size > 0);
    return this.#decide(timeS);
  }

  /** To be called every few seconds, whether or not the sensors say anything. */
  tick(timeS: number): readonly AirNews[] {
    this.#particles.tick(timeS);
    this.#gas.tick(timeS);
    return this.#decide(timeS);
  }

  /** What goes on now, as it stands. */
  ongoing(timeS: number): readonly AirNews[] {
    return [...this.#episodes.values()].map((episode) => newsOf('worse', episode, timeS, `${episode.cause}.`));
  }

  #decide(timeS: number): readonly AirNews[] {
    this.#noteDust(this.view.particles, timeS);
    const news = [...this.#episodes.values()].flatMap((episode) => this.#follow(episode, timeS));
    const { particles, gas } = this.view;
    const cause = this.#smokeCause(particles, gas, timeS);
    if (cause !== null && !this.#episodes.has('smoke')) news.push(this.#begin('smoke', cause, timeS));
    const bad = this.#badAirCause(particles, gas, timeS);
    if (bad !== null && this.#episodes.size === 0) news.push(this.#begin('bad_air', bad, timeS));
    return news;
  }

  #noteDust(particles: ParticleView | null, timeS: number): void {
    const isDusty = particles !== null && this.#isRaised(particles);
    this.#dustySinceS = isDusty ? (this.#dustySinceS ?? timeS) : null;
  }

  #isRaised({ changed, excessUgM3 }: ParticleView): boolean {
    return changed && excessUgM3 >= this.#options.particles.raisedUgM3;
  }

  get #isHumid(): boolean {
    return (this.#gas.humidity ?? 0) >= this.#options.humidRatio;
  }

  /** Fine particles that came quickly, where the gas sensor agrees; or so many that nothing else can be meant. */
  #smokeCause(particles: ParticleView | null, gas: GasView | null, timeS: number): string | null {
    if (particles === null || !this.#isRaised(particles) || !particles.fine || particles.sinceS > QUICK_S) return null;
    const isPlain = particles.excessUgM3 >= this.#options.particles.veryHighUgM3;
    const isLate = timeS - (this.#dustySinceS ?? timeS) > AGREES_WITHIN_S;
    const agrees = !isLate && (gas !== null ? gas.dip <= AGREES_DIP : !this.#isHumid);
    if (!agrees && !(isPlain && !this.#isHumid)) return null;
    return `PM2.5 rose from ${particles.baselineUgM3.toFixed(0)} to ${particles.ugM3.toFixed(0)} µg/m³ within ${particles.sinceS.toFixed(0)} s`;
  }

  #badAirCause(particles: ParticleView | null, gas: GasView | null, timeS: number): string | null {
    if (gas?.changed && gas.ratio <= this.#options.gas.raisedRatio) {
      return `the gas resistance fell to ${(100 * gas.ratio).toFixed(0)} % of what is usual`;
    }
    if (particles === null || this.#dustySinceS === null || timeS - this.#dustySinceS < LASTING_S) return null;
    // Droplets look like particles; in fog only the gas sensor can tell.
    if (this.#isHumid && !(gas !== null && gas.dip <= AGREES_DIP)) return null;
    return `PM2.5 is at ${particles.ugM3.toFixed(0)} µg/m³, usual are ${particles.baselineUgM3.toFixed(0)}`;
  }

  #begin(label: AirLabel, cause: string, timeS: number): AirNews {
    const episode: Episode = {
      label,
      beganS: timeS,
      cause,
      level: 'raised',
      worstUgM3: Number.NEGATIVE_INFINITY,
      particles: null,
      gas: null,
      goodSinceS: null,
      judgedS: timeS,
    };
    this.#episodes.set(label, episode);
    this.#worsen(episode);
    return newsOf('began', episode, timeS, `${cause}.`);
  }

  #follow(episode: Episode, timeS: number): AirNews[] {
    const { particles, gas } = this.view;
    if (particles !== null || gas !== null) episode.judgedS = timeS;
    else if (timeS - episode.judgedS >= SILENT_S) return [this.#end(episode, timeS, 'the sensors went silent')];
    const news = this.#worsen(episode) ? [newsOf('worse', episode, timeS, `${episode.cause}.`)] : [];
    if (particles === null && gas === null) return news;
    episode.goodSinceS = this.#isGood(particles, gas) ? (episode.goodSinceS ?? timeS) : null;
    if (episode.goodSinceS !== null && timeS - episode.goodSinceS >= this.#options.endAfterS) {
      return [...news, this.#end(episode, timeS, 'the air is good again')];
    }
    if (timeS - episode.beganS < this.#options.longestS) return news;
    this.#particles.relearn();
    this.#gas.relearn();
    return [...news, this.#end(episode, timeS, 'it has stayed so long that it is taken for usual now')];
  }

  /** Hysteresis: half way back to what is usual. */
  #isGood(particles: ParticleView | null, gas: GasView | null): boolean {
    const { raisedUgM3 } = this.#options.particles;
    const isClean = particles === null || particles.excessUgM3 < raisedUgM3 / 2;
    return isClean && (gas === null || gas.ratio > Math.sqrt(this.#options.gas.raisedRatio));
  }

  #end(episode: Episode, timeS: number, why: string): AirNews {
    this.#episodes.delete(episode.label);
    return newsOf('over', episode, timeS, `${episode.cause}; ${why}.`);
  }

  /** Notes what is worse than before; true when the level rose. */
  #worsen(episode: Episode): boolean {
    const { particles, gas } = this.view;
    if (particles !== null && particles.ugM3 > episode.worstUgM3) {
      episode.worstUgM3 = particles.ugM3;
      const { measuredUgM3: value, baselineUgM3: baseline } = particles;
      episode.particles = { name: 'pm2_5_ugm3', value: rounded(value, 1), baseline: rounded(baseline, 1) };
    }
    if (gas !== null && gas.resistanceOhm < (episode.gas?.value ?? Number.POSITIVE_INFINITY)) {
      const { resistanceOhm: value, baselineOhm: baseline } = gas;
      episode.gas = { name: 'gas_resistance_ohm', value: rounded(value, 0), baseline: rounded(baseline, 0) };
    }
    const level = this.#levelOf(episode.label, particles, gas);
    if (LEVELS.indexOf(level) <= LEVELS.indexOf(episode.level)) return false;
    episode.level = level;
    return true;
  }

  /** Smoke is as bad as its particles; bad air as the worse of both. */
  #levelOf(label: AirLabel, particles: ParticleView | null, gas: GasView | null): AirLevel {
    const { highUgM3, veryHighUgM3 } = this.#options.particles;
    const { highRatio, veryHighRatio } = this.#options.gas;
    const excess = particles?.excessUgM3 ?? 0;
    const ratio = label === 'smoke' ? 1 : (gas?.ratio ?? 1);
    if (excess >= veryHighUgM3 || ratio <= veryHighRatio) return 'very_high';
    return excess >= highUgM3 || ratio <= highRatio ? 'high' : 'raised';
  }
}

function newsOf(what: AirNews['what'], episode: Episode, timeS: number, detail: string): AirNews {
  const readings = [episode.particles, episode.gas].filter((reading) => reading !== null);
  const { label, level, beganS } = episode;
  return { what, label, level, readings, detail, durationS: timeS - beganS };
}

function rounded(value: number, digits: number): number {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}
