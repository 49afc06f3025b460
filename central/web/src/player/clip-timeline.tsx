/**
 * The clip on one time axis: sound of the chosen microphone, its spectrogram, and all sensors, with one cursor through
 * everything. Space plays, arrow keys move, digits choose the microphone, O goes to the onset.
 */
import { useQuery } from '@tanstack/react-query';
import { type CSSProperties, type KeyboardEvent, useEffect, useRef, useState } from 'react';
import { sensorsQuery } from '../api/queries.ts';
import type { ImpactEvent } from '../api/types.ts';
import { Failed, QueryView } from '../components/states.tsx';
import { formatNumber } from '../format/format-value.ts';
import { useTheme } from '../theme/use-theme.ts';
import { frequencyHeight, frequencyTicks } from './frequency-scale.ts';
import { Ruler } from './ruler.tsx';
import { SensorRows } from './sensor-rows.tsx';
import { TimeRow } from './time-row.tsx';
import { Transport } from './transport.tsx';
import { useClipSound } from './use-clip-sound.ts';
import { spectrogramHeight, usePlayer, waveformHeight } from './use-player.ts';

const channels = 8;
/** Values beside the rows follow the cursor at this pace; the cursor itself moves with the display. */
const readoutMs = 100;

/** Seconds from the clip's start to the onset, from the two times of the event. */
function onsetOf(event: ImpactEvent): number {
  const startMs = Date.parse(event.clip?.start_at ?? '');
  return Number.isNaN(startMs) ? 0 : (Date.parse(event.captured_at) - startMs) / 1000;
}

/** Seconds that the clip spans by its two times; 0 when they make no sense. */
function clipSpanOf(event: ImpactEvent): number {
  const spanMs = Date.parse(event.clip?.end_at ?? '') - Date.parse(event.clip?.start_at ?? '');
  return spanMs > 0 ? spanMs / 1000 : 0;
}

export function ClipTimeline({ event }: { readonly event: ImpactEvent }) {
  const theme = useTheme();
  const [channel, setChannel] = useState(0);
  const [cursorS, setCursorS] = useState(0);
  const rows = useRef<HTMLDivElement>(null);
  const waveform = useRef<HTMLDivElement>(null);
  const spectrogram = useRef<HTMLDivElement>(null);
  const duration = useRef(0);
  const readAt = useRef(0);
  const sound = useClipSound(event.id, channel);
  const sensors = useQuery(sensorsQuery(event.id, true));
  const moveTo = (timeS: number) => {
    rows.current?.style.setProperty('--cursor', String(duration.current > 0 ? timeS / duration.current : 0));
    const now = performance.now();
    if (now - readAt.current < readoutMs && timeS < duration.current) return;
    readAt.current = now;
    setCursorS(timeS);
  };
  const player = usePlayer({ waveform, spectrogram }, sound.data, theme, moveTo);
  // Sensors have their axis before the sound is decoded, and without it.
  const durationS = player.durationS || clipSpanOf(event);
  duration.current = durationS;
  const onsetS = sensors.data?.onset_s ?? onsetOf(event);
  const seek = (timeS: number) => {
    player.seek(timeS);
    const at = Math.max(0, Math.min(durationS, timeS));
    rows.current?.style.setProperty('--cursor', String(durationS > 0 ? at / durationS : 0));
    setCursorS(at);
  };
  useSpaceKey(player.toggle);
  const onKeyDown = (key: KeyboardEvent) => {
    if (key.altKey || key.ctrlKey || key.metaKey) return;
    if (/^[0-7]$/.test(key.key)) setChannel(Number(key.key));
    else if (key.key === 'o' || key.key === 'O') seek(onsetS);
    else return;
    key.preventDefault();
  };
  const share = (timeS: number) => (durationS > 0 ? timeS / durationS : 0);
  const style = { '--onset': share(onsetS), '--impact-share': share(event.duration_s) } as CSSProperties;
  const timeAxis = { durationS, cursorS, onsetS, onSeek: seek };
  return (
    <section aria-label="Clip" onKeyDown={onKeyDown}>
      <Transport
        player={player}
        cursorS={cursorS}
        onsetS={onsetS}
        onSeek={seek}
        channel={channel}
        channels={channels}
        onChannel={setChannel}
        loading={sound.isPending}
      />
      {sound.isError && (
        <Failed what={`the sound of channel ${channel}`} error={sound.error} retry={() => void sound.refetch()} />
      )}
      {player.failure && !sound.isError && (
        <Failed what={`the sound of channel ${channel}`} error={player.failure} retry={() => void sound.refetch()} />
      )}
      <div ref={rows} className={player.ready ? 'timeline' : 'timeline timeline-waiting'} style={style}>
        <Ruler {...timeAxis} />
        <TimeRow
          {...timeAxis}
          title={`Sound, channel ${channel}`}
          detail={player.peak > 0 ? `peak ${formatNumber(20 * Math.log10(player.peak), 1)} dBFS` : ''}
          height={waveformHeight}
          slider
        >
          <div ref={waveform} className="wave" />
        </TimeRow>
        <TimeRow {...timeAxis} title="Spectrogram" detail="kHz, mel scale" height={spectrogramHeight}>
          <div ref={spectrogram} className="spectrogram" />
          <FrequencyLabels highestHz={player.sampleRateHz / 2} />
        </TimeRow>
        <QueryView query={sensors} what="the sensors around the event" rows={3}>
          {(data) => <SensorRows sensors={data} timeAxis={timeAxis} />}
        </QueryView>
      </div>
    </section>
  );
}

function FrequencyLabels({ highestHz }: { readonly highestHz: number }) {
  return (
    <div className="frequencies" aria-hidden="true">
      {frequencyTicks(highestHz).map((frequencyHz) => (
        <span key={frequencyHz} style={{ bottom: `${frequencyHeight(frequencyHz, highestHz) * 100}%` }}>
          {frequencyHz / 1000}
        </span>
      ))}
    </div>
  );
}

/** Space plays and pauses wherever it would do nothing else but scroll. */
function useSpaceKey(toggle: () => void): void {
  useEffect(() => {
    const onKeyDown = (event: globalThis.KeyboardEvent) => {
      const target = event.target instanceof Element ? event.target : null;
      if (event.key !== ' ' || event.repeat || target?.closest('button, a, input, select, textarea, summary')) return;
      event.preventDefault();
      toggle();
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, [toggle]);
}
