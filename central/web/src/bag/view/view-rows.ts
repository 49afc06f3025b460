/** Which rows a bag offers, and which of them are shown at first. */
import { streamTitle } from '../../format/field-catalogue.ts';
import type { BagInfo, FieldInfo, SeriesKey, TopicInfo } from '../reading/bag-model.ts';

export interface RowSeries {
  readonly key: SeriesKey;
  readonly field: FieldInfo;
  /** Within the row: `x` of `angular_velocity.x`. */
  readonly label: string;
}

export interface ViewRow {
  /** Topic's id and group. */
  readonly id: string;
  readonly kind: 'wave' | 'lines';
  readonly topic: TopicInfo;
  /** In a list under the topic's name. */
  readonly title: string;
  /** Standing alone: with the sensor where others of the bag are called the same. */
  readonly heading: string;
  readonly unit: string;
  readonly series: readonly RowSeries[];
  readonly usual: boolean;
}

const mostLines = 16;
const rowsAtFirst = 10;

/** All rows of a bag: a channel of sound, or the fields of one topic that belong together. */
export function rowsOf(info: BagInfo): ViewRow[] {
  const rows = info.topics.flatMap((topic) => {
    const groups = Map.groupBy(
      topic.fields.map((field, index) => ({ field, index })),
      ({ field }) => field.group,
    );
    return [...groups].map(([group, members]): Omit<ViewRow, 'heading'> => {
      const series = members.slice(0, mostLines).map(({ field, index }) => ({
        key: { topic: topic.id, field: index },
        field,
        label:
          field.label.startsWith(`${group}.`) || field.label.startsWith(`${group}[`)
            ? field.label.slice(group.length).replace(/^\./, '')
            : field.label,
      }));
      const only = series.length === 1 ? series[0]?.field : undefined;
      return {
        id: `${topic.id} ${group}`,
        kind: topic.kind === 'sound' ? 'wave' : 'lines',
        topic,
        title: topic.kind === 'sound' ? (only?.label ?? group) : (only?.label ?? group),
        unit: members[0]?.field.unit ?? '',
        series,
        usual: members.some(({ field }) => field.usual),
      };
    });
  });
  const alike = Map.groupBy(rows, ({ title }) => title);
  return rows.map((row) => ({
    ...row,
    heading: (alike.get(row.title)?.length ?? 0) > 1 ? `${topicTitle(row.topic)}: ${row.title}` : row.title,
  }));
}

/** Rows to begin with: one channel of each sound, and what is usually wanted of everything else. */
export function rowsToBegin(rows: readonly ViewRow[]): ReadonlySet<string> {
  const usual = rows.filter(({ usual: wanted }) => wanted);
  const sound = usual.filter(({ kind }) => kind === 'wave');
  // Known units first: they are what the recording was made for.
  const others = usual
    .filter(({ kind }) => kind === 'lines')
    .toSorted((one, other) => Number(one.unit === '') - Number(other.unit === ''));
  return new Set([...sound.slice(0, 2), ...others].slice(0, rowsAtFirst).map(({ id }) => id));
}

/** `/uma8/audio` → `UMA-8 audio`. */
export function topicTitle(topic: TopicInfo): string {
  return streamTitle(topic.name);
}
