/**
 * Another program in ROS 2: publishes and subscribes as its first argument (JSON) says, prints a line for each message it gets
 * (`topic hash`), and ends when its standard input does.
 */
import { findRos, rosSurroundings } from '../../../agent/ros/environment.ts';
import { loadRclnodejs } from '../../../agent/ros/rclnodejs.ts';
import { qosOf, typeClass } from '../../../agent/ros/ros-nodes.ts';
import { hashOf } from './cdr-hash.ts';

interface Orders {
  readonly publish: readonly {
    readonly topic: string;
    readonly type: string;
    /** CDR, hexadecimal; a counter is written into its last four bytes. */
    readonly cdr: string;
    readonly hz: number;
    readonly reliability: 'reliable' | 'best_effort';
    readonly durability: 'volatile' | 'transient_local';
  }[];
  readonly subscribe: readonly { readonly topic: string; readonly type: string; readonly depth: number }[];
}

const found = findRos(rosSurroundings());
if ('problem' in found) throw new Error(found.problem.message);
const library = await loadRclnodejs(found.ros.addonPath);
await library.init(undefined, ['peer', '--ros-args', '--disable-external-lib-logs']);
const node = new library.Node('peer', '/');
const { publish, subscribe } = JSON.parse(process.argv[2] ?? '') as Orders;
for (const { topic, type, depth } of subscribe) {
  const reliability = type.includes('RawAudio') ? 'best_effort' : 'reliable';
  const qos = qosOf(library, reliability, 'volatile', depth);
  node.createSubscription(typeClass(type), topic, { qos, isRaw: true }, (cdr) => {
    process.stdout.write(`${topic} ${hashOf(cdr)}\n`);
  });
}
for (const { topic, type, cdr, hz, reliability, durability } of publish) {
  const publisher = node.createPublisher(typeClass(type), topic, {
    qos: qosOf(library, reliability, durability, 100),
  });
  let count = 0;
  const send = (): void => {
    const bytes = Buffer.from(cdr, 'hex');
    bytes.writeUInt32LE(count, bytes.length - 4);
    count += 1;
    publisher.publish(bytes);
  };
  send();
  if (hz > 0) setInterval(send, 1_000 / hz);
}
node.spin(100);
process.stdout.write('ready\n');
process.on('SIGINT', () => {});
process.stdin.resume();
process.stdin.on('end', () => process.exit());
