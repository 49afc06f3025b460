/** The detector process: loads the model named by its setup and hears impacts in the sound it is sent. */
import { openHearing } from './hearing.ts';
import { serveDetector } from './serve.ts';

// Being imported to be compiled ahead, it does nothing.
if (import.meta.main) {
  // The agent ends this process by closing the socket; a Ctrl-C in its terminal must not end it before the agent is done.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
  process.exit(await serveDetector(openHearing));
}
