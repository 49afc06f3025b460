/** A clock for driver tests: real monotonic time, and a UTC that starts at a round moment. */
import type { Clock, Stamp } from '../../drivers/sample.ts';

const EPOCH_NS = 1_700_000_000_000_000_000n;

export function testClock(): Clock {
  const startNs = process.hrtime.bigint();
  const at = (monotonicNs: bigint): Stamp => ({
    capturedAtNs: EPOCH_NS + monotonicNs - startNs,
    monotonicNs,
    bootId: '00000000-0000-4000-8000-000000000000',
    synchronised: true,
    estimatedErrorNs: 1_000_000n,
  });
  return { monotonicNs: () => process.hrtime.bigint(), now: () => at(process.hrtime.bigint()), at };
}
