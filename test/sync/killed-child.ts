/** A vehicle that appends and sends until it is killed, and writes each append that was promised
 * into a file. */

import { openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Outbox } from '../../sync/outbox.ts';
import { SyncSession } from '../../sync/session.ts';
import { seededRandom, stampAt, testClock } from './stamps.ts';

const [path, url, seedText, mode, journal = '/dev/null'] = process.argv.slice(2);
if (path === undefined || url === undefined)
  throw new Error('usage: killed-child.ts PATH URL SEED append|drain JOURNAL');
const clock = testClock();
const random = seededRandom(Number(seedText));
const outbox = await Outbox.open(path, { clock, groupCommitMs: 1 + Math.floor(random() * 20) });
const session = new SyncSession({
  outbox,
  url,
  vehicle: 'car-7',
  clock,
  state: () => ({ bootId: 'b', agentVersion: '0', modelName: '', modelVersion: '' }),
  batchRows: 1 + Math.floor(random() * 60),
  lingerMs: 1,
  ackTimeoutMs: 500,
  reconnectMinMs: 20,
});
const promised = openSync(journal, 'a');
const stop = new AbortController();
const running = session.run(stop.signal);
const streams = ['events', 'log', 'bench'] as const;

for (let count = 0; mode === 'append'; count += 1) {
  const stream = streams[Math.floor(random() * streams.length)] ?? 'log';
  const body = `${seedText}/${count}/${'x'.repeat(Math.floor(random() * 300))}`;
  const priority = stream === 'events' ? 'events' : 'telemetry';
  void outbox
    .appendRecord(stream, priority, stampAt(count), { case: 'opaque', value: Buffer.from(body) })
    .then((done) => {
      if (done.stored)
        writeSync(promised, `${JSON.stringify({ stream, sequence: done.sequence, body, epoch: outbox.epoch })}\n`);
    });
  if (random() < 0.1) await sleep(random() * 10);
}

await outbox.flush();
while (outbox.waitingStreams().length > 0) await sleep(10);
stop.abort();
await running;
await outbox.close();
