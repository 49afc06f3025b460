/** Play and pause, the position, a way to the onset, and the choice of microphone. */
import { Icon } from '../components/icon.tsx';
import { formatNumber } from '../format/format-value.ts';
import { relativeToOnset } from './time-row.tsx';
import type { Player } from './use-player.ts';

interface TransportProps {
  readonly player: Player;
  readonly cursorS: number;
  readonly onsetS: number;
  readonly onSeek: (timeS: number) => void;
  readonly channel: number;
  readonly channels: number;
  readonly onChannel: (channel: number) => void;
  readonly loading: boolean;
}

export function Transport(props: TransportProps) {
  const { player, cursorS, onsetS, onSeek, channel, channels, onChannel, loading } = props;
  return (
    <div className="transport">
      <button
        type="button"
        className="button button-primary play-button"
        disabled={!player.ready}
        onClick={player.toggle}
        aria-keyshortcuts="Space"
      >
        <Icon name={player.playing ? 'pause' : 'play'} size={18} />
        {player.playing ? 'Pause' : 'Play'}
      </button>
      <button
        type="button"
        className="button"
        disabled={!player.ready}
        onClick={() => onSeek(onsetS)}
        aria-keyshortcuts="O"
      >
        <Icon name="target" />
        To the onset
      </button>
      <p className="position">
        <span className="number">
          {formatNumber(cursorS, 2)} / {formatNumber(player.durationS, 2)} s
        </span>
        <span className="faint">{player.durationS > 0 ? relativeToOnset(cursorS, onsetS) : ''}</span>
      </p>
      <fieldset className="segments channels" aria-busy={loading}>
        <legend>Channel</legend>
        {Array.from({ length: channels }, (_, one) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a channel is its number
          <label key={one}>
            <input
              type="radio"
              name="channel"
              checked={channel === one}
              onChange={() => onChannel(one)}
              aria-label={`Channel ${one}`}
            />
            <span>{one}</span>
          </label>
        ))}
      </fieldset>
      <p className="keys">
        <kbd>Space</kbd> play <kbd>←</kbd> <kbd>→</kbd> move <kbd>O</kbd> onset <kbd>0</kbd>–<kbd>7</kbd> channel
      </p>
    </div>
  );
}
