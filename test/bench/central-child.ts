/** The other side of the edge → central benchmark: the real central in a process of its own, as in use. */

import { startCentral } from '../../central/service.ts';

const [dataDir] = process.argv.slice(2);
if (dataDir === undefined) throw new Error('usage: central-child.ts DATA_DIR');
const quiet = (): void => {};
const log = { info: quiet, warn: quiet, error: (message: string) => process.stderr.write(`${message}\n`) };
const central = await startCentral({ dataDir, httpPort: 0, mqttPort: 0 }, log);
process.send?.({ mqttPort: central.mqttPort, httpPort: central.httpPort });
process.on('disconnect', () => {
  void central.close().then(() => process.exit(0));
});
