/**
 * Owns the sound of breaking glass: the blow, the crack that runs through the pane, and the shards that fall and ring. Which glass it
 * is, how it breaks and how many pieces fall are random.
 */
import { addForce, addMode, normalised, withReflections } from './modes.ts';
import type { Random } from './random.ts';

type Glass = 'window' | 'tempered' | 'laminated' | 'bottle';

const GLASSES: Readonly<Record<Glass, number>> = { window: 3, tempered: 2, laminated: 1, bottle: 3 };

interface Recipe {
  /** Share of the pane's own low modes in the blow. */
  readonly pane: number;
  readonly crackS: number;
  readonly cracks: number;
  readonly shards: number;
  readonly fallS: number;
  readonly shardLowHz: number;
  readonly shardHighHz: number;
  /** Quality factor of a shard's modes: free glass rings, glass held by a film does not. */
  readonly quality: readonly [low: number, high: number];
  readonly shardLevel: number;
  /** Level of the rush of pieces too small to tell apart. */
  readonly debris: number;
}

function recipeOf(glass: Glass, random: Random): Recipe {
  switch (glass) {
    case 'window':
      return {
        pane: random.between(0.3, 1),
        crackS: random.logBetween(0.02, 0.3),
        cracks: random.integer(60, 400),
        shards: random.integer(50, 260),
        fallS: random.logBetween(0.25, 1.6),
        shardLowHz: random.logBetween(1200, 2500),
        shardHighHz: random.logBetween(8000, 15_000),
        quality: [40, 900],
        shardLevel: random.logBetween(0.25, 1.2),
        debris: random.logBetween(0.03, 0.5),
      };
    case 'tempered':
      return {
        pane: random.between(0.4, 1.2),
        crackS: random.logBetween(0.03, 0.4),
        cracks: random.integer(150, 600),
        shards: random.integer(120, 320),
        fallS: random.logBetween(0.3, 1.2),
        shardLowHz: random.logBetween(3000, 5000),
        shardHighHz: random.logBetween(11_000, 17_000),
        quality: [20, 120],
        shardLevel: random.logBetween(0.2, 0.7),
        debris: random.logBetween(0.08, 0.7),
      };
    case 'laminated':
      return {
        pane: random.between(0.8, 1.6),
        crackS: random.between(0.03, 0.2),
        cracks: random.integer(60, 200),
        shards: random.integer(6, 40),
        fallS: random.logBetween(0.15, 0.7),
        shardLowHz: random.logBetween(1800, 3500),
        shardHighHz: random.logBetween(8000, 14_000),
        quality: [15, 90],
        shardLevel: random.logBetween(0.1, 0.5),
        debris: random.logBetween(0.02, 0.2),
      };
    case 'bottle':
      return {
        pane: random.between(0.1, 0.6),
        crackS: random.logBetween(0.008, 0.15),
        cracks: random.integer(30, 200),
        shards: random.integer(20, 140),
        fallS: random.logBetween(0.2, 1.4),
        shardLowHz: random.logBetween(1000, 2200),
        shardHighHz: random.logBetween(6000, 12_000),
        quality: [100, 3000],
        shardLevel: random.logBetween(0.4, 1.4),
        debris: random.logBetween(0.01, 0.25),
      };
  }
}

/** A blow on a pane: its bending modes, dying fast, and a few high ones. */
function addBlow(out: Float32Array, random: Random, sampleRateHz: number, pane: number): void {
  const contactS = random.logBetween(0.0001, 0.002);
  const force = new Float32Array(Math.ceil(sampleRateHz * 0.02));
  addForce(force, { atS: 0.001, strength: 1, contactS }, sampleRateHz);
  const forceEnd = Math.ceil((0.001 + contactS) * sampleRateHz) + 3;
  for (let i = 0; i < 26; i++) {
    const frequencyHz = random.logBetween(120, 9000);
    const t60S = random.logBetween(0.02, 0.18) * Math.min(1, 1500 / frequencyHz + 0.25);
    addMode(out, force, { frequencyHz, t60S, amplitude: pane * random.normal() }, sampleRateHz, 0, forceEnd);
  }
}

/** The crack: a burst of tiny fractures, dense at first, each a click in the treble. */
function addCrack(out: Float32Array, random: Random, sampleRateHz: number, recipe: Recipe): void {
  const level = random.logBetween(0.5, 2.5);
  for (let i = 0; i < recipe.cracks; i++) {
    const atS = 0.001 + Math.min(recipe.crackS * 3, random.exponential(recipe.crackS * 0.5));
    const begin = Math.round(atS * sampleRateHz);
    const frames = Math.ceil(random.logBetween(0.0004, 0.006) * sampleRateHz);
    const gain = level * random.logBetween(0.1, 1) * Math.exp((-0.8 * atS) / recipe.crackS);
    const frequencyHz = random.logBetween(1800, 14_000);
    const turn = (2 * Math.PI * frequencyHz) / sampleRateHz;
    for (let k = 0; k < frames && begin + k < out.length; k++) {
      const fall = Math.exp((-5 * k) / frames);
      const noise = random.unit() - 0.5;
      out[begin + k] = (out[begin + k] as number) + gain * fall * (0.45 * Math.sin(turn * k) + 0.8 * noise);
    }
  }
}

/** The rush of crumbs: treble noise that follows the fall and flickers, as grains do. */
function addDebris(out: Float32Array, random: Random, sampleRateHz: number, recipe: Recipe): void {
  const fallFrames = recipe.fallS * sampleRateHz * random.between(0.08, 0.35);
  const keep = random.between(0.3, 0.85);
  const attackFrames = random.logBetween(0.001, 0.05) * sampleRateHz;
  let low = 0;
  let flicker = 0;
  const end = Math.min(out.length, Math.round(fallFrames * 9));
  for (let i = 0; i < end; i++) {
    if (i % 64 === 0) flicker = 0.75 * flicker + 0.25 * random.exponential(1);
    const white = 2 * random.unit() - 1;
    low = keep * low + (1 - keep) * white;
    const shape = Math.min(1, i / attackFrames) * Math.exp(-i / fallFrames);
    out[i] = (out[i] as number) + recipe.debris * flicker * shape * (white - low);
  }
}

/** The shower: shards that land, ring with a few modes of a free plate, and sometimes bounce. */
function addShards(out: Float32Array, random: Random, sampleRateHz: number, recipe: Recipe): void {
  const delayS = random.logBetween(0.004, 0.2);
  for (let shard = 0; shard < recipe.shards; shard++) {
    let atS = delayS + Math.min(recipe.fallS * 1.6, random.exponential(recipe.fallS * 0.45));
    const baseHz = random.logBetween(recipe.shardLowHz, recipe.shardHighHz);
    const quality = random.logBetween(recipe.quality[0], recipe.quality[1]);
    const modes = Array.from({ length: random.integer(2, 5) }, (_, i) => ({
      frequencyHz: baseHz * (i === 0 ? 1 : random.between(1.2, 3.4)),
      share: i === 0 ? 1 : random.logBetween(0.15, 1),
    }));
    // Small pieces are higher and quieter.
    let gain = recipe.shardLevel * random.logBetween(0.06, 1) * (recipe.shardLowHz / baseHz) ** 0.4;
    const bounces = random.chance(0.3) ? random.integer(2, 5) : 1;
    let hopS = random.between(0.03, 0.14);
    const contactS = random.logBetween(0.00003, 0.00015);
    for (let bounce = 0; bounce < bounces; bounce++) {
      const begin = Math.round(atS * sampleRateHz);
      const force = new Float32Array(16);
      addForce(force, { atS: 0, strength: 1, contactS }, sampleRateHz);
      for (const { frequencyHz, share } of modes) {
        const t60S = Math.min(1.1, (2.2 * quality) / frequencyHz);
        const frames = Math.ceil(t60S * 1.2 * sampleRateHz) + 16;
        if (begin >= out.length) break;
        const window = out.subarray(begin, begin + frames);
        addMode(window, force, { frequencyHz, t60S, amplitude: gain * share }, sampleRateHz, 0, 16);
      }
      atS += hopS;
      hopS *= random.between(0.45, 0.75);
      gain *= random.between(0.35, 0.7);
    }
  }
}

/** One breaking glass as mono samples of peak 1 at `sampleRateHz`, at most about 4.5 s. */
export function glassBreak(random: Random, sampleRateHz: number): { kind: string; samples: Float32Array } {
  const kind = random.weighted(GLASSES);
  const recipe = recipeOf(kind, random);
  const out = new Float32Array(Math.ceil((recipe.fallS * 1.6 + 1.4) * sampleRateHz));
  addBlow(out, random, sampleRateHz, recipe.pane);
  addCrack(out, random, sampleRateHz, recipe);
  if (random.chance(0.35)) {
    // A large piece hits the ground or the hammer falls again.
    const again = Math.round(random.between(0.1, 0.6 * recipe.fallS + 0.12) * sampleRateHz);
    addCrack(out.subarray(again), random, sampleRateHz, recipe);
  }
  addDebris(out, random, sampleRateHz, recipe);
  addShards(out, random, sampleRateHz, recipe);
  const wet = random.between(0.05, 0.4);
  return {
    kind,
    samples: normalised(withReflections(normalised(out), random, sampleRateHz, random.logBetween(0.06, 0.8), wet)),
  };
}
