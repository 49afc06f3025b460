/** How each source of a vehicle is, worst first, with what to do about it. */
import type { Diagnostic, DiagnosticLevel } from '../../api/types.ts';
import { LevelBadge } from '../../components/badges.tsx';
import { ClockMark } from '../../components/clock-mark.tsx';
import { isTimeUnknown } from '../../components/marked-heading.tsx';
import { Ago } from '../../components/moment.tsx';
import { Empty } from '../../components/states.tsx';
import { formatNumber } from '../../format/format-value.ts';

const order: readonly DiagnosticLevel[] = ['error', 'warn', 'stale', 'ok'];

export function Diagnostics({ diagnostics }: { readonly diagnostics: readonly Diagnostic[] }) {
  if (diagnostics.length === 0) return <Empty title="No diagnostics yet" />;
  const sorted = diagnostics.toSorted(
    (one, other) => order.indexOf(one.level) - order.indexOf(other.level) || one.source.localeCompare(other.source),
  );
  const markEach = !isTimeUnknown(diagnostics);
  return (
    <ul className="diagnostics">
      {sorted.map((diagnostic) => (
        <li key={diagnostic.source} className={`diagnostic diagnostic-${diagnostic.level}`}>
          <div className="diagnostic-head">
            <LevelBadge level={diagnostic.level} />
            <strong>{diagnostic.source}</strong>
            {diagnostic.code !== 'ok' && <code>{diagnostic.code}</code>}
            <span className="diagnostic-at">
              {markEach && <ClockMark clock={diagnostic.clock} original={diagnostic.original_at} />}{' '}
              <Ago at={diagnostic.at} />
            </span>
          </div>
          <p className="diagnostic-message">{diagnostic.message}</p>
          {diagnostic.cure !== '' && (
            <p className="diagnostic-cure">
              <strong>What to do:</strong> {diagnostic.cure}
            </p>
          )}
          <DiagnosticValues values={diagnostic.values} />
        </li>
      ))}
    </ul>
  );
}

function DiagnosticValues({ values }: { readonly values: Diagnostic['values'] }) {
  const entries = Object.entries(values);
  if (entries.length === 0) return null;
  return (
    <details className="diagnostic-values">
      <summary>
        {entries.length} {entries.length === 1 ? 'reading' : 'readings'}
      </summary>
      <dl>
        {entries.map(([name, value]) => (
          <div key={name}>
            <dt>{name.replaceAll('_', ' ')}</dt>
            <dd>{typeof value === 'number' ? formatNumber(value, Number.isInteger(value) ? 0 : 2) : value}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
