/** Owns one wavesurfer.js player: waveform, spectrogram, sound, and the time that everything else follows. */
import { type RefObject, useCallback, useEffect, useRef, useState } from 'react';
import WaveSurfer from 'wavesurfer.js';
import Spectrogram from 'wavesurfer.js/plugins/spectrogram';
import { paletteOf, spectrumColours, type ThemeName } from '../theme/palette.ts';

export const waveformHeight = 96;
export const spectrogramHeight = 160;

interface PlayerHosts {
  readonly waveform: RefObject<HTMLDivElement | null>;
  readonly spectrogram: RefObject<HTMLDivElement | null>;
}

export interface Player {
  readonly ready: boolean;
  readonly playing: boolean;
  /** Seconds; 0 until the sound is decoded. */
  readonly durationS: number;
  readonly sampleRateHz: number;
  /** Largest magnitude of the channel, 0 to 1. */
  readonly peak: number;
  readonly failure: Error | null;
  toggle(): void;
  seek(timeS: number): void;
}

interface Decoded {
  readonly ready: boolean;
  readonly durationS: number;
  readonly peak: number;
  readonly failure: Error | null;
}

const nothingDecoded: Decoded = { ready: false, durationS: 0, peak: 0, failure: null };

function peakOf(samples: Float32Array): number {
  let peak = 0;
  for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
  return peak;
}

/** Sample rate of a RIFF WAVE file from its header (its bytes 24 to 27 when `fmt ` comes first, as it does here). */
async function readSampleRate(sound: Blob): Promise<number> {
  const head = new DataView(await sound.slice(0, 28).arrayBuffer());
  const rate = head.byteLength === 28 ? head.getUint32(24, true) : 0;
  return rate >= 8_000 && rate <= 192_000 ? rate : 48_000;
}

/**
 * @param sound one channel as WAV; a new one keeps position and playing.
 * @param onTime called with seconds from the clip's start whenever the position moves, at the display's rate.
 */
export function usePlayer(
  hosts: PlayerHosts,
  sound: Blob | undefined,
  theme: ThemeName,
  onTime: (timeS: number) => void,
): Player {
  const { waveform, spectrogram } = hosts;
  const player = useRef<WaveSurfer | null>(null);
  const place = useRef({ timeS: 0, playing: false });
  const told = useRef(onTime);
  told.current = onTime;
  const [playing, setPlaying] = useState(false);
  const [sampleRateHz, setSampleRateHz] = useState(48_000);
  const [decoded, setDecoded] = useState(nothingDecoded);

  useEffect(() => {
    if (sound) void readSampleRate(sound).then(setSampleRateHz);
  }, [sound]);

  useEffect(() => {
    if (!waveform.current || !spectrogram.current || !sound) return;
    const { surfer, release } = createPlayer(waveform.current, spectrogram.current, theme, sampleRateHz);
    player.current = surfer;
    const { timeS, playing: wasPlaying } = place.current;
    surfer.on('ready', (durationS) => {
      const samples = surfer.getDecodedData()?.getChannelData(0) ?? new Float32Array();
      setDecoded({ ready: true, durationS, peak: peakOf(samples), failure: null });
      if (timeS > 0) surfer.setTime(Math.min(timeS, durationS));
      if (wasPlaying) void surfer.play().catch(() => setPlaying(false));
    });
    surfer.on('timeupdate', (now) => {
      place.current.timeS = now;
      told.current(now);
    });
    surfer.on('play', () => setPlaying(true));
    surfer.on('pause', () => setPlaying(false));
    surfer.on('finish', () => setPlaying(false));
    surfer.on('error', (failure) => setDecoded({ ...nothingDecoded, failure }));
    surfer.loadBlob(sound).catch(() => undefined);
    return () => {
      place.current = { timeS: surfer.getCurrentTime(), playing: surfer.isPlaying() };
      player.current = null;
      release();
    };
  }, [waveform, spectrogram, sound, theme, sampleRateHz]);

  const toggle = useCallback(() => void player.current?.playPause().catch(() => setPlaying(false)), []);
  const seek = useCallback((timeS: number) => {
    const surfer = player.current;
    if (surfer) surfer.setTime(Math.max(0, Math.min(surfer.getDuration(), timeS)));
  }, []);
  return { ...decoded, playing, sampleRateHz, toggle, seek };
}

function createPlayer(waveform: HTMLElement, spectrogram: HTMLElement, theme: ThemeName, sampleRateHz: number) {
  const palette = paletteOf(theme);
  const surfer = WaveSurfer.create({
    container: waveform,
    height: waveformHeight,
    waveColor: palette.waveform,
    progressColor: palette.played,
    // The cursor is drawn across all rows by the timeline; so is seeking.
    cursorWidth: 0,
    interact: false,
    normalize: true,
    hideScrollbar: true,
    sampleRate: sampleRateHz,
  });
  surfer.registerPlugin(
    Spectrogram.create({
      container: spectrogram,
      height: spectrogramHeight,
      labels: false,
      fftSamples: 1024,
      windowFunc: 'hann',
      scale: 'mel',
      frequencyMin: 0,
      frequencyMax: sampleRateHz / 2,
      autoGain: true,
      rangeDB: 66,
      colorMap: spectrumColours(palette),
    }),
  );
  const release = () => {
    surfer.destroy();
    waveform.replaceChildren();
    spectrogram.replaceChildren();
  };
  return { surfer, release };
}
