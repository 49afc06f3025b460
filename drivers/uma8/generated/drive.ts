/**
 * Owns what a vehicle sounds like on the way: an engine whose orders follow its speed through the gears, tyres on changing roads,
 * wind, rain. Written as buses, each with a place, that the scene brings to the microphones, and noise of each capsule's own.
 */
import type { Random } from './random.ts';

/** Overall ratios of five gears: engine revolutions per minute for each m/s of speed. */
const RPM_PER_MPS = [430, 245, 165, 122, 98] as const;
const IDLE_RPM = 800;
const TABLE_FRAMES = 4096;
const DROP_FRAMES = 480;

/** What one block of driving consists of, each bus with `frames` samples, and the wind's level. */
export interface DriveBlock {
  readonly engine: Float32Array;
  readonly leftRoad: Float32Array;
  readonly rightRoad: Float32Array;
  readonly rain: Float32Array;
  /** Root mean square of each capsule's own wind noise at the block's end, linear; it has moved there evenly since the last block's end. */
  readonly windRms: number;
  readonly speedMps: number;
  readonly rpm: number;
}

/** The filters of one side's tyre noise: low-pass, rumble, and the tread's resonance. */
interface Tyre {
  low: number;
  rumble: number;
  y1: number;
  y2: number;
}

/** One firing cycle (two revolutions) of an engine: half orders with random phases that fall with their order. */
function engineTable(random: Random, cylinders: number, tilt: number): Float32Array {
  const table = new Float32Array(TABLE_FRAMES);
  const firing = cylinders; // half orders a cycle
  for (let half = 1; half <= 90; half++) {
    const main = half % firing === 0 ? 1 : half % 2 === 0 ? 0.16 : 0.07;
    const amplitude = main * random.logBetween(0.5, 1.6) * (half / firing) ** -tilt;
    const phase = random.between(0, 2 * Math.PI);
    for (let i = 0; i < TABLE_FRAMES; i++) {
      table[i] = (table[i] as number) + amplitude * Math.sin((2 * Math.PI * half * i) / TABLE_FRAMES + phase);
    }
  }
  let sum = 0;
  for (const v of table) sum += v * v;
  const scale = 1 / Math.sqrt(sum / TABLE_FRAMES);
  return table.map((v) => v * scale);
}

/** A drive without end: speed legs, roads and weather are drawn as it goes. Bounded memory; blocks are reused. */
export class Drive {
  readonly #random: Random;
  readonly #noise: Random;
  readonly #rate: number;
  readonly #coasting: Float32Array;
  readonly #pulling: Float32Array;
  readonly #drops: Float32Array[];
  readonly #engineLevel: number;
  readonly #block: { engine: Float32Array; leftRoad: Float32Array; rightRoad: Float32Array; rain: Float32Array };
  #phase = 0;
  #firingGain = 1;
  #speed: number;
  #target = 0;
  #acceleration = 0;
  #legLeftS = 0;
  #gear = 0;
  #rpm = IDLE_RPM;
  #roadLeftS = 0;
  #roughness = 1;
  #roadKeep = 0.95;
  #weatherLeftS = 0;
  #rainDropsPerS = 0;
  #rainTarget = 0;
  #gust = 0;
  #engineNow = 0;
  #pullNow = 0.3;
  #roadNow = 0;
  #wander = 0;
  #left: Tyre = { low: 0, rumble: 0, y1: 0, y2: 0 };
  #right: Tyre = { low: 0, rumble: 0, y1: 0, y2: 0 };
  #spill = new Float32Array(DROP_FRAMES);

  constructor(random: Random, sampleRateHz: number, blockFrames: number) {
    this.#random = random.fork();
    this.#noise = random.fork();
    this.#rate = sampleRateHz;
    const cylinders = this.#random.weighted({ '3': 1, '4': 4, '6': 1 });
    this.#coasting = engineTable(this.#random, Number(cylinders), this.#random.between(1.1, 1.8));
    this.#pulling = engineTable(this.#random, Number(cylinders), this.#random.between(0.6, 1.1));
    this.#engineLevel = this.#random.logBetween(0.004, 0.016);
    this.#drops = Array.from({ length: 8 }, () => this.#drop());
    this.#speed = this.#random.chance(0.3) ? 0 : this.#random.between(5, 30);
    this.#block = {
      engine: new Float32Array(blockFrames),
      leftRoad: new Float32Array(blockFrames),
      rightRoad: new Float32Array(blockFrames),
      rain: new Float32Array(blockFrames),
    };
  }

  /** The next block. Its arrays are valid until the next call. */
  next(): DriveBlock {
    const seconds = this.#block.engine.length / this.#rate;
    this.#steer(seconds);
    this.#addEngine();
    this.#addRoads();
    this.#addRain();
    this.#gust += (this.#random.normal() * 0.5 - this.#gust * 0.6) * Math.sqrt(seconds);
    const windRms = 3.2e-6 * this.#speed ** 2.5 * Math.exp(this.#gust);
    return { ...this.#block, windRms: Math.min(0.08, windRms), speedMps: this.#speed, rpm: this.#rpm };
  }

  /** Moves speed, gear, road and weather on by one block. */
  #steer(seconds: number): void {
    const random = this.#random;
    this.#legLeftS -= seconds;
    if (this.#legLeftS <= 0) {
      this.#legLeftS = random.between(4, 25);
      this.#target = random.chance(0.2) ? 0 : random.between(6, 36);
      this.#acceleration = random.between(0.8, 2.8);
    }
    const step = this.#acceleration * seconds;
    this.#speed += Math.max(-1.6 * step, Math.min(step, this.#target - this.#speed));
    while (this.#gear < 4 && this.#speed * (RPM_PER_MPS[this.#gear] as number) > 3100) this.#gear++;
    while (this.#gear > 0 && this.#speed * (RPM_PER_MPS[this.#gear] as number) < 1300) this.#gear--;
    const wanted = Math.max(IDLE_RPM, this.#speed * (RPM_PER_MPS[this.#gear] as number));
    this.#wander += (random.normal() * 0.012 - this.#wander * 0.8) * Math.sqrt(seconds);
    this.#rpm += (wanted * (1 + this.#wander) - this.#rpm) * Math.min(1, seconds / 0.25);
    this.#roadLeftS -= seconds;
    if (this.#roadLeftS <= 0) {
      this.#roadLeftS = random.between(5, 40);
      this.#roughness = random.logBetween(0.4, 2.2);
      this.#roadKeep = random.between(0.88, 0.975);
    }
    this.#weatherLeftS -= seconds;
    if (this.#weatherLeftS <= 0) {
      this.#weatherLeftS = random.between(15, 60);
      this.#rainTarget = random.chance(0.3) ? random.logBetween(15, 250) : 0;
    }
    this.#rainDropsPerS += (this.#rainTarget - this.#rainDropsPerS) * Math.min(1, seconds / 4);
  }

  #addEngine(): void {
    const { engine } = this.#block;
    const load = this.#target > this.#speed + 0.3 ? 0.85 : 0.25;
    const level = this.#engineLevel * (0.6 + (this.#rpm / 2500) ** 1.4) * (0.7 + 0.6 * this.#pullNow);
    const step = (this.#rpm / 60 / 2 / this.#rate) * TABLE_FRAMES;
    // Levels move evenly through the block: a step at its edge would click like a tiny impact.
    const levelStep = (level - this.#engineNow) / engine.length;
    const pullStep = ((load - this.#pullNow) * 0.35) / engine.length;
    for (let i = 0; i < engine.length; i++) {
      this.#engineNow += levelStep;
      this.#pullNow += pullStep;
      this.#phase += step;
      if (this.#phase >= TABLE_FRAMES) {
        this.#phase -= TABLE_FRAMES;
        this.#firingGain = 1 + 0.06 * (this.#noise.unit() - 0.5);
      }
      const at = this.#phase | 0;
      const pull = this.#pullNow;
      const sound = pull * (this.#pulling[at] as number) + (1 - pull) * (this.#coasting[at] as number);
      engine[i] = this.#engineNow * this.#firingGain * sound;
    }
  }

  #addRoads(): void {
    const wanted = this.#roughness * 2.2e-4 * this.#speed ** 1.45;
    const before = this.#roadNow;
    this.#roadNow += (wanted - before) * 0.35;
    this.#addRoad(this.#block.leftRoad, this.#left, before, this.#roadNow);
    this.#addRoad(this.#block.rightRoad, this.#right, before, this.#roadNow);
  }

  /** Tyre noise: rumble under 60 Hz, a low-passed roar, and the tread's broad hump round 900 Hz. */
  #addRoad(out: Float32Array, state: Tyre, fromLevel: number, toLevel: number): void {
    const keep = this.#roadKeep;
    const roar = 0.9 * Math.sqrt((1 - keep * keep) / ((1 - keep) * (1 - keep))) * (1 - keep) * 3;
    const radius = 0.962;
    const a1 = 2 * radius * Math.cos((2 * Math.PI * 900) / this.#rate);
    const a2 = radius * radius;
    let { low, rumble, y1, y2 } = state;
    for (let i = 0; i < out.length; i++) {
      const white = this.#noise.uint32() * 4.656612873e-10 - 1;
      low = keep * low + (1 - keep) * white;
      rumble = 0.994 * rumble + 0.006 * white;
      const y = white + a1 * y1 - a2 * y2;
      y2 = y1;
      y1 = y;
      const level = fromLevel + ((toLevel - fromLevel) * i) / out.length;
      out[i] = level * (roar * low + 5 * rumble + 0.03 * y + 0.02 * white);
    }
    state.low = low;
    state.rumble = rumble;
    state.y1 = y1;
    state.y2 = y2;
  }

  /** Rain on the roof and the windscreen: drops at random moments, each a short knock of thin sheet. */
  #addRain(): void {
    const { rain } = this.#block;
    rain.fill(0);
    rain.set(this.#spill.subarray(0, Math.min(DROP_FRAMES, rain.length)));
    this.#spill.fill(0);
    const expected = (this.#rainDropsPerS * rain.length) / this.#rate;
    const drops = expected < 0.01 ? 0 : Math.max(0, Math.round(expected + Math.sqrt(expected) * this.#random.normal()));
    for (let i = 0; i < drops; i++) {
      const drop = this.#drops[this.#random.integer(0, 7)] as Float32Array;
      const gain = this.#random.logBetween(0.0006, 0.008);
      const begin = this.#random.integer(0, rain.length - 1);
      for (let k = 0; k < DROP_FRAMES; k++) {
        const at = begin + k;
        const v = gain * (drop[k] as number);
        if (at < rain.length) rain[at] = (rain[at] as number) + v;
        else if (at - rain.length < DROP_FRAMES)
          this.#spill[at - rain.length] = (this.#spill[at - rain.length] as number) + v;
      }
    }
  }

  #drop(): Float32Array {
    const out = new Float32Array(DROP_FRAMES);
    for (let mode = 0; mode < 4; mode++) {
      const turn = (2 * Math.PI * this.#random.logBetween(400, 7000)) / this.#rate;
      const fall = this.#random.between(5, 9) / (DROP_FRAMES * this.#random.between(0.2, 1));
      const gain = this.#random.normal() * 0.5;
      for (let i = 0; i < DROP_FRAMES; i++) {
        out[i] = (out[i] as number) + gain * Math.sin(turn * i) * Math.exp(-fall * i);
      }
    }
    return out;
  }
}
