/** Play and pause, what is heard, and the span in view with its buttons. */
import { useSyncExternalStore } from 'react';
import { Icon } from '../../components/icon.tsx';
import type { SeriesKey, TopicInfo } from '../reading/bag-model.ts';
import type { SoundPlayer } from './sound-player.ts';
import type { Stage } from './stage.ts';
import { clockText, spanText, utcText } from './time-text.ts';
import { useSlowly } from './use-stage.ts';
import { topicTitle } from './view-rows.ts';

interface BagTransportProps {
  readonly stage: Stage;
  readonly player: SoundPlayer;
  readonly startNs: string;
  readonly heard: SeriesKey | null;
  readonly sounds: readonly TopicInfo[];
  readonly onHear: (key: SeriesKey) => void;
  readonly onToggle: () => void;
  readonly hasSpectrum: boolean;
  readonly onSpectrum: (on: boolean) => void;
}

export function BagTransport(props: BagTransportProps) {
  const { stage, player, startNs, heard, onToggle } = props;
  useSlowly(stage);
  const playing = useSyncExternalStore(player.subscribe, () => player.playing);
  const around = stage.cursorS >= stage.fromS && stage.cursorS <= stage.toS ? stage.cursorS : undefined;
  const isWhole = stage.spanS >= stage.durationS - 1e-9;
  return (
    <div className="transport bag-transport">
      {heard !== null && (
        <button
          type="button"
          className="button button-primary play-button"
          onClick={onToggle}
          aria-keyshortcuts="Space"
        >
          <Icon name={playing ? 'pause' : 'play'} size={18} />
          {playing ? 'Pause' : 'Play'}
        </button>
      )}
      <p className="position bag-position">
        <span className="number bag-cursor-time" title={utcText(startNs, stage.readS)}>
          {clockText(startNs, stage.readS, 1)}
        </span>
        <span className="faint number">
          {spanText(stage.spanS)} in view
          {stage.progress < 1 && <span role="status"> · reading {Math.floor(stage.progress * 100)} %</span>}
        </span>
      </p>
      <p className="cluster">
        <button
          type="button"
          className="button"
          aria-label="Zoom in"
          title="Zoom in (+)"
          onClick={() => stage.zoom(0.5, around)}
        >
          <Icon name="zoomIn" />
        </button>
        <button
          type="button"
          className="button"
          aria-label="Zoom out"
          title="Zoom out (−)"
          disabled={isWhole}
          onClick={() => stage.zoom(2, around)}
        >
          <Icon name="zoomOut" />
        </button>
        <button
          type="button"
          className="button"
          disabled={isWhole}
          aria-label="Earlier"
          onClick={() => stage.pan(-0.5)}
        >
          <Icon name="back" />
        </button>
        <button type="button" className="button" disabled={isWhole} aria-label="Later" onClick={() => stage.pan(0.5)}>
          <Icon name="forward" />
        </button>
        <button
          type="button"
          className="button"
          disabled={isWhole}
          title="Whole bag (0)"
          onClick={() => stage.show(0, stage.durationS)}
        >
          All
        </button>
      </p>
      {heard !== null && <Heard {...props} heard={heard} />}
      <p className="keys">
        <kbd>drag</kbd> zoom <kbd>Ctrl</kbd>+<kbd>wheel</kbd> zoom <kbd>Shift</kbd>+<kbd>drag</kbd> move <kbd>←</kbd>{' '}
        <kbd>→</kbd> cursor <kbd>,</kbd> <kbd>.</kbd> impact <kbd>Space</kbd> play
      </p>
    </div>
  );
}

function Heard({ heard, sounds, onHear, hasSpectrum, onSpectrum }: BagTransportProps & { readonly heard: SeriesKey }) {
  const topic = sounds.find(({ id }) => id === heard.topic);
  return (
    <>
      {sounds.length > 1 && (
        <label className="field bag-heard">
          <span className="visually-hidden">Sound to hear</span>
          <select value={heard.topic} onChange={(change) => onHear({ topic: Number(change.target.value), field: 0 })}>
            {sounds.map((sound) => (
              <option key={sound.id} value={sound.id}>
                {topicTitle(sound)}
              </option>
            ))}
          </select>
        </label>
      )}
      <fieldset className="segments channels">
        <legend>Hear</legend>
        {Array.from({ length: topic?.channels ?? 0 }, (_, channel) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a channel is its number
          <label key={channel}>
            <input
              type="radio"
              name="bag-channel"
              checked={heard.field === channel}
              onChange={() => onHear({ topic: heard.topic, field: channel })}
              aria-label={`Hear channel ${channel}`}
            />
            <span>{channel}</span>
          </label>
        ))}
      </fieldset>
      <label className="bag-choice">
        <input type="checkbox" checked={hasSpectrum} onChange={(change) => onSpectrum(change.target.checked)} />
        <span>Spectrogram</span>
      </label>
    </>
  );
}
