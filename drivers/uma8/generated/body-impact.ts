/**
 * Owns the sound of something striking the vehicle's body: stones, knuckles, doors, shunts. A blow is a force pulse that drives
 * the damped modes of a panel; the panel, what hits it and how often are random.
 */
import { addForce, addMode, type Mode, normalised, type Strike, withReflections } from './modes.ts';
import type { Random } from './random.ts';

type BodyImpactKind = 'stone' | 'knock' | 'thump' | 'slam' | 'shunt';

const KINDS: Readonly<Record<BodyImpactKind, number>> = { stone: 2, knock: 4, thump: 2, slam: 1, shunt: 1.5 };

/**
 * Modes of a panel, spread evenly over octaves between its lowest and the highest that matters. Decay follows t60 = 2.2 / (η f) with
 * a loss factor η of 0.006 (bare steel) to 0.12 (trim, damping sheets), Cremer & Heckl, Structure-Borne Sound, ch. 4.
 */
function panelModes(random: Random, count: number, lowestHz: number, highestHz: number, lossFactor: number): Mode[] {
  const tilt = random.between(-0.5, 0.35);
  return Array.from({ length: count }, (_, i) => {
    const frequencyHz = lowestHz * (highestHz / lowestHz) ** ((i + random.unit()) / count);
    const eta = lossFactor * random.logBetween(0.6, 1.7) * (1 + 120 / frequencyHz);
    return {
      frequencyHz,
      t60S: Math.min(0.9, Math.max(0.004, 2.2 / (eta * frequencyHz))),
      // The lowest modes of a panel radiate badly: front and back cancel.
      amplitude: random.normal() * (frequencyHz / 500) ** tilt * Math.min(1, frequencyHz / 110),
    };
  });
}

/** Blows that repeat like a hand's: steady but not exact. */
function train(random: Random, count: number, strength: number, contactS: number): Strike[] {
  const intervalS = random.between(0.11, 0.32);
  let atS = 0.002;
  return Array.from({ length: count }, () => {
    const strike = {
      atS,
      strength: strength * random.logBetween(0.55, 1.5),
      contactS: contactS * random.logBetween(0.8, 1.25),
    };
    atS += intervalS * random.between(0.85, 1.18);
    return strike;
  });
}

/** Blows that fall together within `spreadS`, the later the weaker: a latch, a crumpling panel, a rattle. */
function cluster(random: Random, count: number, spreadS: number, contactLowS: number, contactHighS: number): Strike[] {
  return Array.from({ length: count }, (_, i) => {
    const at = i === 0 ? 0 : spreadS * random.unit() ** 1.6;
    return {
      atS: 0.002 + at,
      strength: (i === 0 ? 1 : random.logBetween(0.08, 0.8)) * Math.exp((-1.5 * at) / spreadS),
      contactS: random.logBetween(contactLowS, contactHighS),
    };
  });
}

interface Blow {
  readonly strikes: readonly Strike[];
  readonly modes: readonly Mode[];
  /** Share of the force itself heard as a pulse in the air (acceleration noise). */
  readonly click: number;
}

function blowOf(kind: BodyImpactKind, random: Random): Blow {
  switch (kind) {
    case 'stone': {
      const bounces = random.chance(0.35) ? random.integer(2, 3) : 1;
      const strikes = train(random, bounces, 1, random.logBetween(0.00008, 0.0006)).map((s, i) => ({
        ...s,
        strength: s.strength * 0.45 ** i,
      }));
      const loss = random.logBetween(0.006, 0.05);
      return {
        strikes,
        modes: panelModes(random, random.integer(30, 60), random.logBetween(150, 500), 12_000, loss),
        click: 0.4,
      };
    }
    case 'knock': {
      const strikes = train(random, random.integer(1, 6), 1, random.logBetween(0.0006, 0.004));
      const loss = random.logBetween(0.02, 0.12);
      return {
        strikes,
        modes: panelModes(random, random.integer(20, 48), random.logBetween(70, 260), 6_000, loss),
        click: 0.25,
      };
    }
    case 'thump': {
      const strikes = train(random, random.integer(1, 2), 1, random.logBetween(0.003, 0.01));
      const loss = random.logBetween(0.012, 0.08);
      return {
        strikes,
        modes: panelModes(random, random.integer(20, 44), random.logBetween(45, 140), 4_000, loss),
        click: 0.1,
      };
    }
    case 'slam': {
      const strikes = cluster(random, random.integer(3, 8), random.between(0.02, 0.09), 0.0006, 0.007);
      const loss = random.logBetween(0.03, 0.12);
      return {
        strikes,
        modes: panelModes(random, random.integer(30, 56), random.logBetween(40, 90), 7_000, loss),
        click: 0.2,
      };
    }
    case 'shunt': {
      const strikes = cluster(random, random.integer(12, 60), random.between(0.08, 0.45), 0.00025, 0.006);
      const loss = random.logBetween(0.008, 0.05);
      return {
        strikes,
        modes: panelModes(random, random.integer(40, 64), random.logBetween(50, 150), 9_000, loss),
        click: 0.35,
      };
    }
  }
}

/**
 * Adds what no bank of modes has: grit, paint and skin meeting the sheet, a burst of noise of a few milliseconds at each blow.
 * Recorded knocks show it as a thin line up to the top of the spectrum, 30 to 60 dB below the lowest modes.
 */
function addContactNoise(out: Float32Array, strikes: readonly Strike[], random: Random, sampleRateHz: number): void {
  let peak = 0;
  for (const v of out) peak = Math.max(peak, Math.abs(v));
  const level = peak * random.logBetween(0.008, 0.5);
  const keep = random.between(0, 0.8);
  for (const strike of strikes) {
    const begin = Math.round(strike.atS * sampleRateHz);
    const frames = Math.min(
      out.length - begin,
      Math.ceil((strike.contactS + random.logBetween(0.001, 0.012)) * sampleRateHz),
    );
    const gain = level * Math.min(1.5, strike.strength);
    let low = 0;
    for (let i = 0; i < frames; i++) {
      low = keep * low + (1 - keep) * (2 * random.unit() - 1);
      out[begin + i] = (out[begin + i] as number) + gain * low * Math.min(1, i / 12) * Math.exp((-5 * i) / frames);
    }
  }
}

/** One impact on the body as mono samples of peak 1 at `sampleRateHz`, at most about 3 s. */
export function bodyImpact(random: Random, sampleRateHz: number): { kind: string; samples: Float32Array } {
  const kind = random.weighted(KINDS);
  const { strikes, modes, click } = blowOf(kind, random);
  const lastS = Math.max(...strikes.map((s) => s.atS + s.contactS));
  const force = new Float32Array(Math.ceil((lastS + 1.1) * sampleRateHz));
  for (const strike of strikes) addForce(force, strike, sampleRateHz);
  const forceEnd = Math.ceil(lastS * sampleRateHz) + 2;
  const out = new Float32Array(force.length);
  for (const mode of modes) addMode(out, force, mode, sampleRateHz, 0, forceEnd);
  const pulse = click * random.logBetween(0.3, 2);
  for (let i = 1; i < forceEnd; i++) {
    out[i] = (out[i] as number) + pulse * 4 * ((force[i] as number) - (force[i - 1] as number));
  }
  addContactNoise(out, strikes, random, sampleRateHz);
  const wet = random.between(0.1, 0.7);
  return {
    kind,
    samples: normalised(withReflections(normalised(out), random, sampleRateHz, random.logBetween(0.06, 0.8), wet)),
  };
}
