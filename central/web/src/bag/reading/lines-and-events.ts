/** What of a bag is no number: impacts as marks, diagnostics and logs as lines. */
import type { Bag } from './bag.ts';
import type { BagEvent, BagLine } from './bag-model.ts';
import type { Track } from './track.ts';

const mostEventChunks = 5_000;
const mostEvents = 2_000;
const mostLineChunks = 600;
const mostLines = 200;

interface Seconds {
  readonly sec?: unknown;
  readonly nanosec?: unknown;
}

function nsOf(time: unknown): bigint | null {
  const { sec, nanosec } = (time ?? {}) as Seconds;
  if (typeof sec !== 'number' || typeof nanosec !== 'number') return null;
  return BigInt(sec) * 1_000_000_000n + BigInt(nanosec);
}

async function messagesOf(
  bag: Bag,
  track: Track,
  chunks: readonly number[],
): Promise<{ t: number; message: Record<string, unknown> }[]> {
  await bag.load(chunks.map((chunk) => ({ track, chunk })).filter((want) => bag.isMissing(want)));
  return chunks.flatMap((chunk) => {
    const decoded = bag.decoded(track, chunk);
    if (decoded?.kind !== 'messages') return [];
    return decoded.messages.map((message, at) => ({
      t: decoded.t[at] as number,
      message: message as Record<string, unknown>,
    }));
  });
}

/** All impacts of the bag, in order. */
export async function eventsOf(bag: Bag): Promise<BagEvent[]> {
  const events: BagEvent[] = [];
  for (const track of bag.tracks.filter(({ kind }) => kind === 'events')) {
    for (const { t, message } of await messagesOf(bag, track, track.chunks.slice(0, mostEventChunks))) {
      const header = message.header as { stamp?: unknown } | undefined;
      const [startNs, endNs] = [nsOf(header?.stamp), nsOf(message.end)];
      const atS = startNs === null ? t : Number(startNs - bag.originNs) / 1e9;
      events.push({
        id: String(message.event_id ?? ''),
        atS: atS >= 0 && atS <= bag.durationS ? atS : t,
        durationS:
          startNs !== null && endNs !== null && endNs > startNs ? Math.min(60, Number(endNs - startNs) / 1e9) : 0,
        label: String(message.label ?? ''),
        // Only impacts have one; bags from before there were kinds have impacts and snapshots.
        score: (message.kind ?? 'impact') === 'impact' ? Number(message.score ?? Number.NaN) : Number.NaN,
      });
    }
  }
  return events.sort((one, other) => one.atS - other.atS).slice(0, mostEvents);
}

const levels = ['ok', 'warn', 'error', 'stale'] as const;

/** Diagnostics that are not well, and logs, of a span; the newest `mostLines`. */
export async function linesOf(bag: Bag, fromS: number, toS: number): Promise<BagLine[]> {
  const lines: BagLine[] = [];
  for (const track of bag.tracks.filter(({ kind }) => kind === 'list')) {
    const places = track.within(fromS, toS);
    const chunks = places.slice(0, mostLineChunks).map((place) => track.chunks[place] as number);
    for (const { t, message } of await messagesOf(bag, track, chunks)) {
      if (t < fromS || t > toS) continue;
      for (const line of linesIn(message)) lines.push({ atS: t, topic: track.name, ...line });
    }
  }
  return withoutRepeats(lines.sort((one, other) => one.atS - other.atS)).slice(-mostLines);
}

function linesIn(message: Record<string, unknown>): Pick<BagLine, 'level' | 'source' | 'text'>[] {
  if (Array.isArray(message.status)) {
    return message.status.map((status: { level?: unknown; name?: unknown; message?: unknown }) => ({
      level: levels[Number(status.level ?? 0)] ?? 'stale',
      source: String(status.name ?? ''),
      text: String(status.message ?? ''),
    }));
  }
  // rcl_interfaces/msg/Log: 10 debug, 20 info, 30 warn, 40 error, 50 fatal.
  const severity = Number(message.level ?? 0);
  const level = severity >= 40 ? 'error' : severity >= 30 ? 'warn' : 'ok';
  return [{ level, source: String(message.name ?? ''), text: String(message.msg ?? '') }];
}

/** Diagnostics repeat themselves each second: only changes are news. */
function withoutRepeats(lines: readonly BagLine[]): BagLine[] {
  const last = new Map<string, string>();
  return lines.filter(({ topic, source, level, text }) => {
    const key = `${topic} ${source}`;
    const now = `${level} ${text}`;
    if (last.get(key) === now) return false;
    last.set(key, now);
    return true;
  });
}
