/**
 * Owns the metadata record `fender.clock`: one moment by both clocks, with the quality of UTC. Every segment has that of its first message,
 * every clip that of its event.
 */

import type { Stamp } from '../../drivers/sample.ts';

const nanoseconds = /^-?\d{1,19}$/;

/** The record's values; `estimated_error_ns` is `unknown` or a number. */
export function clockMetadata(stamp: Stamp): Map<string, string> {
  return new Map([
    ['boot_id', stamp.bootId],
    ['monotonic_ns', String(stamp.monotonicNs)],
    ['utc_ns', String(stamp.capturedAtNs)],
    ['synchronised', String(stamp.synchronised)],
    ['estimated_error_ns', String(stamp.estimatedErrorNs ?? 'unknown')],
  ]);
}

/** The moment that a record's values name; null for values that `clockMetadata` did not make. */
export function parseClockMetadata(values: ReadonlyMap<string, string>): Stamp | null {
  const bootId = values.get('boot_id') ?? '';
  const monotonic = values.get('monotonic_ns') ?? '';
  const utc = values.get('utc_ns') ?? '';
  const error = values.get('estimated_error_ns') ?? '';
  if (bootId === '' || !nanoseconds.test(monotonic) || !nanoseconds.test(utc)) return null;
  return {
    capturedAtNs: BigInt(utc),
    monotonicNs: BigInt(monotonic),
    bootId,
    synchronised: values.get('synchronised') === 'true',
    estimatedErrorNs: nanoseconds.test(error) ? BigInt(error) : null,
  };
}
