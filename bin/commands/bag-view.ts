/** `fender bag view`: a bag in the browser. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { basename, resolve } from 'node:path';
import { Command } from 'commander';
import { EXIT, EXIT_HELP } from '../exit-codes.ts';
import { run, UsageError, wholeNumber } from '../run.ts';

interface ViewOptions {
  readonly port: number;
  readonly open: boolean;
}

export function viewCommand(): Command {
  return new Command('view')
    .summary('look at a bag in the browser: series, sound, spectrogram, statistics')
    .description(
      'Shows a bag in the browser: its sensors as series, its sound as waveform and spectrogram with playback, impacts as marks, and\n' +
        'statistics of any span. Takes bags of Fender, of `ros2 bag` and of others, whole or torn; several files are one timeline.\n' +
        'Only this computer can see it, and nothing is sent anywhere. Ctrl-C ends it.',
    )
    .argument('<paths...>', 'MCAP files, or folders of recordings')
    .option('--port <number>', 'port to listen on; 0 takes a free one', wholeNumber('port', 0, 65_535), 0)
    .option('--no-open', 'only print where it is, and open no browser')
    .addHelpText(
      'after',
      `${EXIT_HELP}\n
Examples:
  fender bag view var/demo/agent/recordings/2026-05-03T12-00-00Z_000001
  fender bag view --no-open --port 9000 drive.mcap`,
    )
    .action((paths: string[], options: ViewOptions) => run((signal) => view(paths, options, signal)));
}

async function view(paths: readonly string[], options: ViewOptions, signal: AbortSignal): Promise<number> {
  const { someBagFiles } = await import('../../agent/bag/bag-folder.ts');
  const { openBagView } = await import('../../agent/bag-view/bag-view.ts');
  const { buildDashboard } = await import('../build-dashboard.ts');
  const files = await someBagFiles(paths);
  const dashboard = await buildDashboard(signal, (line) => process.stderr.write(`${line}\n`));
  const [first = ''] = paths;
  const name =
    paths.length === 1 ? basename(resolve(first)) : `${basename(resolve(first))} and ${paths.length - 1} more`;
  const opened = await openBagView({ name, files, dashboard, port: options.port }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') throw error;
      throw new UsageError(`port ${options.port} is in use: end what uses it, or choose another with --port`);
    },
  );
  try {
    process.stdout.write(`${name}: ${opened.url}\nCtrl-C ends.\n`);
    if (options.open) openBrowser(opened.url);
    if (!signal.aborted) await once(signal, 'abort');
  } finally {
    await opened.close();
  }
  return EXIT.ok;
}

/** By what the desktop uses; where there is none, the address was printed. */
function openBrowser(url: string): void {
  if (!process.env.DISPLAY && !process.env.WAYLAND_DISPLAY) return;
  const child = spawn('xdg-open', [url], { stdio: 'ignore', detached: true });
  child.on('error', () => undefined);
  child.unref();
}
