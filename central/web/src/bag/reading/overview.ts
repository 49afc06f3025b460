/** The overview that the recorder attaches to each segment: what every series was in each second. */
import { type FileIndex, readNamed } from './file-index.ts';

/** One series of one segment; arrays have an entry a period, NaN where there was nothing. */
export interface OverviewPart {
  readonly topic: string;
  readonly field: string;
  /** Seconds from the bag's start, and a period's. */
  readonly startS: number;
  readonly periodS: number;
  readonly count: Float64Array;
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly mean: Float64Array;
  readonly meanSquare: Float64Array;
}

/** A longer segment than anybody records. */
const mostPeriods = 1_000_000;
const largestBytes = 64 * 1024 * 1024;

/** The overview of a file; empty when it has none, or none that can be understood. @throws BagError when it is damaged. */
export async function readOverview(file: FileIndex, originNs: bigint): Promise<OverviewPart[]> {
  const place = file.attachments.find(({ name }) => name === 'fender.overview');
  if (place === undefined || place.length > largestBytes) return [];
  const record = await readNamed(file.source, place);
  if (record?.type !== 'Attachment') return [];
  return parseOverview(new TextDecoder().decode(record.data), originNs);
}

/** Parses version 1 of the attachment; everything in it is checked, as it comes from a file. */
export function parseOverview(text: string, originNs: bigint): OverviewPart[] {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return [];
  }
  const { version, period_ns, start_ns, periods, series } = (document ?? {}) as Record<string, unknown>;
  if (version !== 1 || !isWhole(period_ns) || !isWhole(start_ns) || !Array.isArray(series)) return [];
  if (typeof periods !== 'number' || !(periods >= 0 && periods <= mostPeriods)) return [];
  const startS = Number(BigInt(start_ns) - originNs) / 1e9;
  const periodS = Number(period_ns) / 1e9;
  if (periodS <= 0) return [];
  return series.flatMap((one: unknown) => {
    const { topic, field, count, min, max, mean, mean_square } = (one ?? {}) as Record<string, unknown>;
    if (typeof topic !== 'string' || typeof field !== 'string') return [];
    const column = (values: unknown) => numbers(values, periods);
    return [
      {
        topic,
        field,
        startS,
        periodS,
        count: column(count),
        min: column(min),
        max: column(max),
        mean: column(mean),
        meanSquare: column(mean_square),
      },
    ];
  });
}

function isWhole(value: unknown): value is string {
  return typeof value === 'string' && /^\d{1,20}$/.test(value);
}

function numbers(values: unknown, length: number): Float64Array {
  const column = new Float64Array(length).fill(Number.NaN);
  if (!Array.isArray(values)) return column;
  for (let index = 0; index < length; index += 1) {
    const value: unknown = values[index];
    if (typeof value === 'number') column[index] = value;
  }
  return column;
}
