/**
 * A ROS process on a ROS in memory, whose fate the test decides by what it publishes on /fate: `kill`, `hang`, `flood`,
 * `call NAME`, `parameter VALUE`. Somebody publishes /imu/data there 100 times a second: a counter, best effort.
 */
import { serveRos } from '../../../agent/ros/serve.ts';
import { MemoryRos } from './memory-ros.ts';

const ros = new MemoryRos();

function decide(fate: string): void {
  const [what = '', argument = ''] = fate.split(' ');
  if (what === 'kill') process.kill(process.pid, 'SIGKILL');
  if (what === 'hang') for (;;);
  if (what === 'flood') {
    for (let index = 0; index < 4_000; index += 1) replies(Buffer.from(`\0\u0001\0\0flood ${index}`));
  }
  if (what === 'call') {
    void ros.call(argument).then(({ success, message }) => {
      // What came back goes up as a foreign message.
      replies(Buffer.from(`\0\u0001\0\0${success} ${message}`));
    });
  }
  if (what === 'parameter') {
    const node = ros.nodes.find((each) => each.name() === 'bme680');
    const result = node?.setParameter({ name: 'period_s', value: Number(argument) });
    replies(Buffer.from(`\0\u0001\0\0${result?.successful} ${result?.reason}`));
  }
}

ros.onPublish = (topic, cdr) => {
  if (topic === '/fate') decide(cdr.toString());
};
const publish = ros.publisher('/imu/data', 'sensor_msgs/msg/Imu', { reliable: false });
const replies = ros.publisher('/replies', 'memory_msgs/msg/Reply', { reliable: true });
let count = 0;
const publishing = setInterval(() => {
  const cdr = Buffer.alloc(8);
  cdr[1] = 1;
  cdr.writeUInt32LE(count, 4);
  count += 1;
  publish(cdr);
}, 10);
publishing.unref();
process.exit(await serveRos(async () => ({ library: ros.library, distro: 'memory', middleware: 'none' })));
