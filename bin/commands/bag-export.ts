/** `fender bag export`: recordings as files that other programs read. */
import { Command } from 'commander';
import type { ExportFormat } from '../../agent/bag/export/bag-export.ts';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { run, UsageError } from '../run.ts';
import { printJson, type SelectionOptions, withProgress, withSelection } from './bag-work.ts';

const FORMATS: readonly ExportFormat[] = ['wav', 'csv', 'parquet'];

interface ExportCommandOptions extends SelectionOptions {
  readonly format: string;
  readonly channels?: string;
  readonly gaps: string;
  readonly force?: true;
  readonly json?: true;
}

export function exportCommand(): Command {
  const command = new Command('export')
    .summary('sound as WAV, everything else as CSV and Parquet')
    .description(
      'Writes each topic of a bag into files of a new folder, in bounded memory. Sound (pcm-s16 and FLAC) becomes WAV, and RF64 where ' +
        'it is over 4 GiB, with silence where it is missing, so that the clock of the file is the clock of the recording; after more ' +
        'than an hour without sound a new file begins. Other topics become tables by the definitions in the bag: nested fields as ' +
        'columns with dotted names, arrays as lists, times as timestamps in nanoseconds. export.json tells start times and gaps.',
    )
    .argument('<path>', 'an MCAP file or the folder of a recording, whole or damaged')
    .argument('<out>', 'the folder to write');
  return withSelection(command)
    .option('--format <list>', 'kinds of files, of wav, csv and parquet', 'wav,csv,parquet')
    .option('--channels <list>', 'channels of the sound, from 0: 0,3 (all of them if not given)')
    .option('--gaps <way>', 'what stands for missing sound: silence, or split for a new file after each gap', 'silence')
    .option('--force', 'replace <out> when it is an export')
    .option('--json', 'print one JSON object instead of text')
    .addHelpText(
      'after',
      `${EXIT_HELP}\n
Examples:
  fender bag export drive/ drive_files/
  fender bag export drive/ sound/ --format wav --channels 0 --from 10m --to 12m
  fender bag export drive/ air/ --topic '/plantower/*' --format parquet
  python3 -c "import pandas; print(pandas.read_parquet('air/plantower_particulate.parquet'))"`,
    )
    .action((path: string, out: string, options: ExportCommandOptions) =>
      run(async (signal) => {
        const { bagExport, exportedAll, formatExport } = await import('../../agent/bag/export/bag-export.ts');
        const { topic, from, to, force } = options;
        const chosen = {
          formats: formatsOf(options.format),
          channels: channelsOf(options.channels),
          gaps: gapsOf(options.gaps),
        };
        const report = await withProgress('exporting', signal, (work) =>
          bagExport(path, out, { topics: topic, from, to, ...chosen }, { ...work, force }),
        );
        if (options.json) printJson(report);
        else process.stdout.write(formatExport(report));
        return exportedAll(report) ? EXIT.ok : EXIT.findings;
      }),
    );
}

function formatsOf(text: string): ExportFormat[] {
  return text.split(',').map((name) => {
    const format = FORMATS.find((each) => each === name.trim().toLowerCase());
    if (format === undefined) throw new UsageError(`--format: expected some of ${FORMATS.join(', ')}, found '${name}'`);
    return format;
  });
}

function channelsOf(text: string | undefined): number[] | undefined {
  return text?.split(',').map((name) => {
    const channel = Number(name);
    if (/^\d{1,4}$/.test(name.trim())) return channel;
    throw new UsageError(`--channels: expected numbers from 0 on with commas between them, found '${text}'`);
  });
}

function gapsOf(text: string): 'silence' | 'split' {
  if (text === 'silence' || text === 'split') return text;
  throw new UsageError(`--gaps: expected silence or split, found '${text}'`);
}
