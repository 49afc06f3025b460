/** Puts what the nodes have to say into the outbox, in the records of the wire contract. */
import type { Diagnostic, Stamp } from '../drivers/sample.ts';
import type { Outbox } from '../sync/outbox.ts';
import type { ImpactStore } from './impacts/impact-node.ts';
import type { Log } from './log.ts';
import type { AppendTelemetry } from './nodes/telemetry.ts';

/** The outbox as the nodes see it. */
export interface OutboxSinks {
  readonly appendTelemetry: AppendTelemetry;
  readonly recordDiagnostic: (stamp: Stamp, diagnostic: Diagnostic) => void;
  readonly impacts: ImpactStore;
}

/** Connects to `outbox`; what it refuses is logged (once a kind of refusal a minute) and counted by the outbox itself. */
export function outboxSinks(outbox: Outbox, log: Log): OutboxSinks {
  const refused = new Map<string, number>();
  const guard = (stream: string, append: () => Promise<unknown>): void => {
    const refuse = (error: unknown): void => {
      const nowMs = performance.now();
      if (nowMs - (refused.get(stream) ?? Number.NEGATIVE_INFINITY) < 60_000) return;
      refused.set(stream, nowMs);
      log('error', 'the outbox refused a record', { stream, error });
    };
    try {
      append().catch(refuse);
    } catch (error) {
      refuse(error);
    }
  };
  return {
    appendTelemetry: (stream, stamp, values) => guard(stream, () => outbox.appendTelemetry(stream, { stamp, values })),
    recordDiagnostic: (stamp, diagnostic) => {
      const values = Object.fromEntries(
        Object.entries(diagnostic.values).map(([name, value]) => [name, String(value)]),
      );
      const body = { case: 'diagnostic' as const, value: { ...diagnostic, values } };
      guard('diagnostics', () => outbox.appendRecord('diagnostics', 'telemetry', stamp, body));
    },
    impacts: impactStore(outbox),
  };
}

function impactStore(outbox: Outbox): ImpactStore {
  return {
    appendEvent: (eventId, impact, durationS) => {
      const { label, score, scores, model, direction, pressureChangePa, readings } = impact;
      const value = {
        eventId,
        label,
        score,
        durationS,
        modelName: model.name,
        modelVersion: model.version,
        scores: Object.entries(scores).map(([each, its]) => ({ label: each, score: its })),
        kind: impact.kind ?? 'impact',
        ...(direction && {
          azimuthDeg: direction.azimuthDeg,
          azimuthConfidence: direction.confidence,
          side: direction.side,
        }),
        ...(pressureChangePa !== undefined && { pressureChangePa }),
        level: impact.level ?? '',
        detail: impact.detail ?? '',
        readings: [...(readings ?? [])],
        ongoing: impact.ongoing ?? false,
      };
      return outbox.appendRecord('events', 'events', impact.stamp, { case: 'impact', value });
    },
    appendUpdate: (stamp, eventId, { readings, ...update }) => {
      const value = { eventId, ...update, readings: [...(readings ?? [])] };
      return outbox.appendRecord('events', 'events', stamp, { case: 'eventUpdate', value });
    },
    appendClip: async (stamp, eventId, clip, startNs, endNs) => {
      const { sha256, bytes, path } = clip;
      await outbox.addBlob({ sha256, path, bytes, priority: 'events' });
      const value = { eventId, sha256, bytes: BigInt(bytes), startNs, endNs };
      await outbox.appendRecord('clips', 'events', stamp, { case: 'clip', value });
    },
    dropClip: (eventId) => outbox.declareDrop(`clip/${eventId}`, 0, 0, 'not-recorded'),
  };
}
