/** `fender model`: what a model file is, whether it may run, what it costs here, and its description put into a file from elsewhere. */
import { Command } from 'commander';
import { EXIT_HELP } from '../exit-codes.ts';
import { benchCommand } from './model-bench.ts';
import { inspectCommand } from './model-inspect.ts';
import { packCommand } from './model-pack.ts';
import { verifyCommand } from './model-verify.ts';

export function modelCommand(): Command {
  return new Command('model')
    .summary('show, check, measure and describe model files')
    .description(
      'Tools for model files: one ONNX file each, raw sound in, class scores out, with a description inside that says all that the ' +
        'agent and a benchmark need to know. Only `pack` writes, and nothing but the description.',
    )
    .addHelpText('after', EXIT_HELP)
    .addCommand(inspectCommand())
    .addCommand(verifyCommand())
    .addCommand(benchCommand())
    .addCommand(packCommand());
}
