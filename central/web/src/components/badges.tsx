/** Small marks of state: online, diagnostic level, impact label, score. Each says in words what its colour says. */
import type { CSSProperties } from 'react';
import type { DiagnosticLevel, ImpactEvent } from '../api/types.ts';
import { formatScore, labelTitle } from '../format/format-value.ts';

export function OnlineBadge({ online }: { readonly online: boolean }) {
  return <span className={`badge ${online ? 'badge-ok' : 'badge-off'}`}>{online ? 'Online' : 'Offline'}</span>;
}

const levelWords: Readonly<Record<DiagnosticLevel, string>> = {
  ok: 'OK',
  warn: 'Warning',
  error: 'Error',
  stale: 'Stale',
};

export function LevelBadge({ level }: { readonly level: DiagnosticLevel }) {
  return <span className={`badge badge-${level}`}>{levelWords[level]}</span>;
}

/** All levels at a glance: `5 OK`, `1 warning`; levels without a source are left out. */
export function LevelCounts({ counts }: { readonly counts: Readonly<Record<DiagnosticLevel, number>> }) {
  const levels = (['error', 'warn', 'stale', 'ok'] as const).filter((level) => counts[level] > 0);
  if (levels.length === 0) return <span className="faint">no sensors reported</span>;
  return (
    <span className="cluster">
      {levels.map((level) => (
        <span key={level} className={`badge badge-${level}`}>
          {counts[level]} {level === 'ok' ? 'OK' : levelWords[level].toLowerCase()}
        </span>
      ))}
    </span>
  );
}

const chips: ReadonlySet<string> = new Set([
  'glass_break',
  'body_impact',
  'snapshot',
  'smoke',
  'bad_air',
  'model_drift',
]);

export function LabelChip({ label }: { readonly label: string }) {
  return <span className={`chip chip-${chips.has(label) ? label : 'other'}`}>{labelTitle(label)}</span>;
}

/** The score of an event; a dash where no model heard it, as for a snapshot. */
export function EventScore({ event, bar = false }: { readonly event: ImpactEvent; readonly bar?: boolean }) {
  if (event.kind !== 'impact' || event.model === null) {
    return (
      <span className="faint" title="Not heard by a model: it has no score">
        –
      </span>
    );
  }
  return bar ? <ScoreBar score={event.score} /> : <span className="number">{formatScore(event.score)}</span>;
}

/** A score from 0 to 1 as a number with a bar behind it. */
function ScoreBar({ score }: { readonly score: number }) {
  const style = { '--share': String(Math.max(0, Math.min(1, score))) } as CSSProperties;
  return (
    <span className="score" style={style}>
      <span className="score-track" aria-hidden="true" />
      <span className="score-value">{formatScore(score)}</span>
    </span>
  );
}
