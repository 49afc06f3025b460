/** Runs central until it is told to stop: the only file of the room that turns errors into exit codes. */
import { CentralError, messageOf } from './error.ts';
import { type Log, lineLog } from './log.ts';
import { type CentralOptions, type CentralService, startCentral } from './service.ts';

/** Exit codes of `fender central`: 0 stopped when told to; 1 it could not start or failed; 2 wrong options. */
const exitCodes = { stopped: 0, failed: 1, options: 2 } as const;

/** A stop that takes longer than this is given up: what was not committed was not acknowledged either. */
const stopWithinMs = 4500;

export interface RunOptions extends CentralOptions {
  /** Called once HTTP and MQTT answer. */
  readonly onReady?: (service: CentralService) => void;
  /** Default: lines to standard error. */
  readonly log?: Log;
}

/**
 * Runs central until `signal` aborts; says `central ready http=… mqtt=…` once it answers, and stops within 5 s.
 * Resolves with the exit code; never rejects.
 */
export async function runCentral(options: RunOptions, signal: AbortSignal): Promise<number> {
  const log = options.log ?? lineLog((line) => process.stderr.write(`${line}\n`));
  try {
    const service = await startCentral(options, log);
    const http = `http://${service.httpHost}:${service.httpPort}`;
    log.info(`ready http=${http} mqtt=${service.mqttAddress}`, { data_dir: options.dataDir });
    options.onReady?.(service);
    if (!signal.aborted) {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    }
    log.info('stopping');
    const late = Symbol('late');
    const timeout = new Promise<typeof late>((resolve) => {
      setTimeout(() => resolve(late), stopWithinMs).unref();
    });
    if ((await Promise.race([service.close(), timeout])) === late) {
      log.error('stop took too long and was given up', { within_ms: stopWithinMs });
      return exitCodes.failed;
    }
    log.info('stopped');
    return exitCodes.stopped;
  } catch (error) {
    log.error(messageOf(error), error instanceof CentralError ? { code: error.code } : {});
    return error instanceof CentralError && error.code === 'options' ? exitCodes.options : exitCodes.failed;
  }
}
