/** Compares messages across a middleware. */
import { createHash } from 'node:crypto';

/**
 * A short hash of CDR. The middleware may fill a message up to four bytes, and note in the last two bits of the encapsulation's options by
 * how many (OMG DDS-XTypes 1.3, 7.6.3.1.2): neither is part of what was said.
 */
export function hashOf(cdr: Uint8Array): string {
  const filled = Buffer.alloc(Math.ceil(cdr.length / 4) * 4);
  filled.set(cdr);
  filled[3] = 0;
  return createHash('sha1').update(filled).digest('hex').slice(0, 12);
}
