/** What is given up when room is short, and how each loss is declared. All of it only within a transaction of the store. */

import type { Stamp } from '../drivers/sample.ts';
import type { StoredBlob } from './blob-table.ts';
import type { OutboxStore } from './outbox-store.ts';

/** Gives up rows until the database uses at most `bytes`; returns how many. `now` stamps the declarations. */
export function evictTo(store: OutboxStore, bytes: number, reason: string, now: Stamp): number {
  let lost = 0;
  while (store.usedBytes() > bytes) {
    const rows = store.evict(reason, now);
    if (rows === 0) break;
    lost += rows;
  }
  return lost;
}

/** Gives up the least important files until the rest has at most `maxBytes` together; returns them. They still exist. */
export function boundBlobs(store: OutboxStore, maxBytes: number, now: Stamp): StoredBlob[] {
  const givenUp: StoredBlob[] = [];
  while (store.blobs.totals().bytes > maxBytes) {
    const blob = store.blobs.head('lowest');
    if (blob === null) break;
    giveUpBlob(store, blob, 'size-limit', now);
    givenUp.push(blob);
  }
  return givenUp;
}

/** Takes a file off the list and declares its bytes dropped, as stream `blob/<sha256>`. */
export function giveUpBlob(store: OutboxStore, blob: StoredBlob, reason: string, now: Stamp): void {
  store.blobs.remove(blob.sha256);
  store.declareDrop(`blob/${blob.sha256}`, { first: 0, last: Math.max(0, blob.bytes - 1) }, reason, now);
}
