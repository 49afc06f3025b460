/** What the bag has, by topic, and what of it is shown. */
import { useState } from 'react';
import { formatCount, formatNumber } from '../../format/format-value.ts';
import type { BagInfo, TopicInfo } from '../reading/bag-model.ts';
import { topicTitle, type ViewRow } from './view-rows.ts';

interface SensorListProps {
  readonly info: BagInfo;
  readonly rows: readonly ViewRow[];
  readonly chosen: ReadonlySet<string>;
  readonly onChoose: (id: string, on: boolean) => void;
}

/** From here on a list wants a filter. */
const manyTopics = 12;

export function SensorList({ info, rows, chosen, onChoose }: SensorListProps) {
  const [filter, setFilter] = useState('');
  const words = filter.trim().toLowerCase();
  const topics = info.topics
    .filter(({ name, type }) => `${name} ${type}`.toLowerCase().includes(words))
    .toSorted((one, other) => rankOf(one) - rankOf(other) || one.name.localeCompare(other.name));
  return (
    <section className="panel bag-sensors" aria-labelledby="bag-sensors">
      <h2 id="bag-sensors" className="panel-title">
        Sensors
      </h2>
      {info.topics.length > manyTopics && (
        <label className="field">
          <span>Find</span>
          <input type="search" value={filter} onChange={(change) => setFilter(change.target.value)} />
        </label>
      )}
      <ul>
        {topics.map((topic) => (
          <Topic
            key={topic.id}
            topic={topic}
            durationS={info.durationS}
            rows={rows.filter((row) => row.topic.id === topic.id)}
            chosen={chosen}
            onChoose={onChoose}
          />
        ))}
      </ul>
      {topics.length === 0 && <p className="faint">No topic is called so.</p>}
    </section>
  );
}

/** Sound, sensors, bookkeeping, what is shown otherwise, what is not shown. */
function rankOf({ kind, fields }: TopicInfo): number {
  if (kind === 'sound') return 0;
  if (kind === 'numbers') return fields.some(({ usual }) => usual) ? 1 : 2;
  return kind === 'none' ? 4 : 3;
}

interface TopicProps {
  readonly topic: TopicInfo;
  readonly durationS: number;
  readonly rows: readonly ViewRow[];
  readonly chosen: ReadonlySet<string>;
  readonly onChoose: (id: string, on: boolean) => void;
}

function Topic({ topic, durationS, rows, chosen, onChoose }: TopicProps) {
  const usual = rows.filter((row) => row.usual || chosen.has(row.id) || rows.length <= 4 || topic.kind === 'sound');
  const others = rows.filter((row) => !usual.includes(row));
  const choices = (some: readonly ViewRow[]) =>
    some.map((row) => (
      <label key={row.id} className={topic.kind === 'sound' ? 'bag-choice bag-choice-channel' : 'bag-choice'}>
        <input
          type="checkbox"
          checked={chosen.has(row.id)}
          aria-label={`${topicTitle(topic)}: ${row.title}`}
          onChange={(change) => onChoose(row.id, change.target.checked)}
        />
        <span>{topic.kind === 'sound' ? row.series[0]?.key.field : row.title}</span>
      </label>
    ));
  return (
    <li className="bag-topic">
      <p className="bag-topic-name" title={`${topic.name}, ${topic.type}`}>
        {topicTitle(topic)}
      </p>
      <p className="bag-topic-facts">{topicFacts(topic, durationS)}</p>
      {topic.kind === 'events' && <p className="faint">Marked above the rows.</p>}
      {topic.kind === 'list' && <p className="faint">Listed below the rows.</p>}
      {topic.reason === '' ? (
        <div className={topic.kind === 'sound' ? 'bag-choices bag-choices-sound' : 'bag-choices'}>{choices(usual)}</div>
      ) : (
        <p className="faint">Not drawn: {topic.reason}.</p>
      )}
      {others.length > 0 && (
        <details>
          <summary>{others.length} more</summary>
          <div className="bag-choices">{choices(others)}</div>
        </details>
      )}
    </li>
  );
}

function topicFacts(topic: TopicInfo, durationS: number): string {
  const rate = topic.messages === null || durationS <= 0 ? null : topic.messages / durationS;
  const facts = [topic.type.split('/').at(-1) ?? ''];
  if (topic.kind === 'sound' && topic.rateHz > 0)
    facts.push(`${topic.channels} × ${formatNumber(topic.rateHz / 1000, topic.rateHz % 1000 === 0 ? 0 : 1)} kHz`);
  if (topic.messages !== null) facts.push(formatCount(topic.messages, 'message'));
  if (rate !== null && topic.messages !== null && topic.messages > 1)
    facts.push(`${formatNumber(rate, rate < 10 ? 1 : 0)} Hz`);
  return facts.join(' · ');
}
