/** Where frequencies stand on the spectrogram's mel axis (O'Shaughnessy 1987: 2595 · log10(1 + f / 700)). */

function mel(frequencyHz: number): number {
  return 2595 * Math.log10(1 + frequencyHz / 700);
}

/** Height of a frequency from 0 (bottom, 0 Hz) to 1 (top, `highestHz`). */
export function frequencyHeight(frequencyHz: number, highestHz: number): number {
  return mel(frequencyHz) / mel(highestHz);
}

/** The frequency in Hz at a height from 0 to 1: the reverse of `frequencyHeight`. */
export function frequencyAt(height: number, highestHz: number): number {
  return 700 * (10 ** ((height * mel(highestHz)) / 2595) - 1);
}

/** Frequencies in Hz worth a label up to `highestHz`. */
export function frequencyTicks(highestHz: number): number[] {
  return [500, 1_000, 2_000, 4_000, 8_000, 16_000].filter((frequencyHz) => frequencyHz < 0.9 * highestHz);
}
