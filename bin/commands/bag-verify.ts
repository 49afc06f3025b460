/** `fender bag verify`: whether a recording is what it says it is. */
import { Command } from 'commander';
import type { BagCheck } from '../../agent/bag/bag-check.ts';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { run } from '../run.ts';
import { EACH_PATH_HELP, eachPath, printJson, withProgress } from './bag-work.ts';

export function verifyCommand(): Command {
  return new Command('verify')
    .summary('check every CRC, index and count of a bag')
    .description(
      'Reads every byte of MCAP files, or of recordings’ folders, and checks it: the CRCs of chunks, attachments, data and summary; ' +
        'message and chunk indexes; statistics; the order and times of chunks; sequence numbers for missing messages; metadata.yaml ' +
        'against the files. An `error` breaks the format or tells of lost data; a `note` is allowed, and worth knowing.',
    )
    .argument('<paths...>', 'MCAP files or folders of recordings')
    .option('--json', 'print one JSON array with an object for each path instead of text')
    .addHelpText(
      'after',
      `${EXIT_HELP}\n${EACH_PATH_HELP}\n
Examples:
  fender bag verify drive/
  fender bag verify --json drive/ | jq '.[].findings[] | select(.severity == "error")'`,
    )
    .action((paths: string[], options: { json?: true }) =>
      run(async (signal) => {
        const { bagVerify, formatCheck } = await import('../../agent/bag/bag-check.ts');
        const checks: BagCheck[] = [];
        const status = await eachPath(paths, signal, async (path) => {
          const check = await withProgress(path, signal, (work) => bagVerify(path, work));
          checks.push(check);
          // At once, as a path behind it may be none.
          if (!options.json) process.stdout.write(formatCheck(check));
          return check.errors === 0 ? EXIT.ok : EXIT.findings;
        });
        if (options.json) printJson(checks);
        return status;
      }),
    );
}
