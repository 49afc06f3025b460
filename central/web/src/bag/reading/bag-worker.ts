/** The worker's side: owns the open bag and answers the page; everything that reads, decodes or computes happens here. */

import type { Bag } from './bag.ts';
import { faultOf } from './bag-error.ts';
import type { ViewAnswer } from './bag-model.ts';
import { reading } from './byte-source.ts';
import { eventsOf, linesOf } from './lines-and-events.ts';
import { openBag } from './open-bag.ts';
import { soundOf } from './playback.ts';
import type { FromWorker, ToWorker } from './protocol.ts';
import { statisticsOf } from './statistics.ts';
import { ViewReader } from './view-reader.ts';

let bag: Bag | null = null;
let view: ViewReader | null = null;
let strip: ViewReader | null = null;
let newestStatistics = 0;
let toldFaults = 0;

function post(message: FromWorker, transfer: Transferable[] = []): void {
  postMessage(message, { transfer });
}

function tellReading(): void {
  post({ kind: 'reading', bytes: reading.bytes, requests: reading.requests });
  if (bag !== null && bag.faults.length !== toldFaults) {
    toldFaults = bag.faults.length;
    post({ kind: 'faults', faults: bag.faults });
  }
}

function postAnswer(kind: 'view' | 'strip', answered: ViewAnswer): void {
  const buffers = answered.cells.flatMap((cells) => Object.values(cells).map(({ buffer }) => buffer));
  const picture = answered.spectrum?.picture;
  post({ kind, answer: answered }, [...(buffers as ArrayBuffer[]), ...(picture ? [picture] : [])]);
  tellReading();
}

async function answer(message: ToWorker): Promise<void> {
  if (message.kind === 'open') {
    bag = await openBag(message.name, message.files, (file, done, total) =>
      post({ kind: 'opening', file, done, total }),
    );
    toldFaults = bag.faults.length;
    view = new ViewReader(bag, (cells) => postAnswer('view', cells));
    strip = new ViewReader(bag, (cells) => postAnswer('strip', cells));
    post({ kind: 'opened', info: bag.info() });
  } else if (bag === null || view === null || strip === null) {
    return;
  } else if (message.kind === 'strip') {
    await strip.ask(message.query);
  } else if (message.kind === 'view') {
    await view.ask(message.query);
  } else if (message.kind === 'statistics') {
    newestStatistics = message.id;
    const isStale = () => newestStatistics !== message.id;
    const statistics = await statisticsOf(bag, message.keys, message.fromS, message.toS, isStale);
    if (!isStale()) post({ kind: 'statistics', id: message.id, statistics });
  } else if (message.kind === 'sound') {
    const sound = await soundOf(bag, message.key, message.fromS, message.toS);
    post({ kind: 'sound', id: message.id, sound }, [sound.samples.buffer]);
  } else if (message.kind === 'events') {
    post({ kind: 'events', events: await eventsOf(bag) });
  } else {
    post({ kind: 'lines', id: message.id, lines: await linesOf(bag, message.fromS, message.toS) });
  }
  tellReading();
}

addEventListener('message', (event: MessageEvent<ToWorker>) => {
  answer(event.data).catch((error: unknown) => {
    const fault = faultOf(error, event.data.kind === 'open' ? event.data.name : '');
    post({ kind: 'failed', fault, opening: event.data.kind === 'open' });
  });
});
