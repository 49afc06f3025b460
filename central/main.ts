/** Runs central until it is told to stop: the only file of the room that turns errors into exit codes. */
import { CentralError, type CentralErrorCode, messageOf } from './error.ts';
import { type Log, lineLog } from './log.ts';
import { type CentralOptions, type CentralService, startCentral } from './service.ts';

/** Exit codes of `fender central`: 0 stopped when told to; 1 a fault; 2 wrong options; 3 data directory in use; 4 port taken. */
const exitCodes: Partial<Record<CentralErrorCode, number>> = { options: 2, 'data-dir-in-use': 3, listen: 4 };

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
    const secure = service.mqttTlsPort === null ? {} : { mqtts_port: service.mqttTlsPort };
    log.info(`ready http=${http} mqtt=${service.mqttAddress}`, { ...secure, data_dir: options.dataDir });
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
      return 1;
    }
    log.info('stopped');
    return 0;
  } catch (error) {
    log.error(messageOf(error), error instanceof CentralError ? { code: error.code } : {});
    return error instanceof CentralError ? (exitCodes[error.code] ?? 1) : 1;
  }
}
