/**
 * Colours of data on both themes. Each is at least 3 : 1 against its theme's surface (WCAG 2.2, 1.4.11); texts use the
 * custom properties of styles/tokens.css.
 */

export type ThemeName = 'light' | 'dark';

export interface Palette {
  /** What charts are drawn on; the same as `--surface`. */
  readonly surface: string;
  readonly series: readonly string[];
  readonly axis: string;
  readonly grid: string;
  readonly text: string;
  readonly impact: string;
  readonly waveform: string;
  readonly played: string;
  /** Stops of the spectrogram's colours from silent to loud, each as red, green, blue of 0 to 255. */
  readonly spectrum: readonly (readonly [number, number, number])[];
}

const palettes: Readonly<Record<ThemeName, Palette>> = {
  light: {
    surface: '#ffffff',
    series: ['#1d62c4', '#b4500c', '#15803d', '#7c3aed', '#c2255c', '#0e7490', '#756a00', '#a21caf'],
    axis: '#8a96a3',
    grid: '#e7ebef',
    text: '#51606e',
    impact: '#c2410c',
    waveform: '#6b8ba4',
    played: '#0b6478',
    spectrum: [
      [255, 255, 255],
      [214, 231, 238],
      [124, 181, 203],
      [42, 120, 160],
      [24, 62, 116],
      [22, 12, 56],
    ],
  },
  dark: {
    surface: '#161c22',
    series: ['#6ea8fe', '#f0a04b', '#5cc98a', '#b79cf7', '#f47a9f', '#4fc3d6', '#cfc24a', '#e48fe0'],
    axis: '#6b7885',
    grid: '#27303a',
    text: '#9fadba',
    impact: '#ff8a4c',
    waveform: '#5f7f95',
    played: '#5cc6dc',
    spectrum: [
      [16, 21, 26],
      [28, 42, 82],
      [74, 48, 140],
      [176, 62, 128],
      [246, 128, 72],
      [254, 240, 172],
    ],
  },
};

export function paletteOf(theme: ThemeName): Palette {
  return palettes[theme];
}

/** A line of 256 colours (red, green, blue, alpha, each 0 to 1) through the palette's stops, for the spectrogram. */
export function spectrumColours(palette: Palette): number[][] {
  const stops = palette.spectrum;
  return Array.from({ length: 256 }, (_, index) => {
    const place = (index / 255) * (stops.length - 1);
    const low = stops[Math.floor(place)] ?? [0, 0, 0];
    const high = stops[Math.min(stops.length - 1, Math.floor(place) + 1)] ?? low;
    const share = place - Math.floor(place);
    return [...low.map((value, channel) => (value + ((high[channel] ?? value) - value) * share) / 255), 1];
  });
}
