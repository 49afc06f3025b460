"""Trains a model that hears impacts: reads one YAML file, trains (and cross-validates) its networks, writes them as ONNX with
the front end inside, quantizes, judges both on clips they never met, and writes the model card.

  python train.py impact.yaml --data ../../../shared/data/esc50 --out /tmp/my-model

makes in /tmp/my-model: impact.fp32.onnx and impact.int8.onnx (the two forms of the model), impact.md (the model card), card/
(its plots and, as JSON, its figures), and with --cross-validate or `folds:` in the file also folds/impact.fold-N.*.onnx, each
trained without the clips of fold N. A folder of clips holds clips.csv with the columns file, fold, class and group; fold 0 is never
held out, and clips of the group `unlabelled` have no class. Stopped with Ctrl-C, it goes on from its cache when called
again. The same file, clips and seed give the same figures and the same bytes. README.md beside this file tells more."""

import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path

# One thread each: the processes share the cores, waiting threads would only spin, and one thread adds up the same every time.
os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")})

import config as configuration
import data

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="the YAML file; own.yaml is one to begin with, config.py lists every setting")
    parser.add_argument("--data", type=Path, action="append", required=True, metavar="DIR", help="folder with clips.csv; may be given again")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the model and its card go")
    parser.add_argument("--cross-validate", action="store_true", help="also one network without each of data.folds (`folds:` in the file does the same)")
    parser.add_argument("--only", action="append", metavar="RUN", help="train and judge only this run (final, fold-1, …) into the cache and write nothing; may be given again")
    parser.add_argument("--jobs", type=int, help="processes at once (default: cores)")
    parser.add_argument("--cache", type=Path, default=HERE / ".venv" / "cache", metavar="DIR", help="decoded sound, finished networks and scores (default: %(default)s)")
    parser.add_argument("--node", default=str(ROOT / "node_modules/.bin/node"), help="the Node that renders generated sound")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    try:
        config = configuration.load(options.config)
        run(options, config)
    except (configuration.ConfigError, data.DataError) as error:
        print(error, file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        print(f"{error.cmd[0]} ended with {error.returncode}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; call again with the same cache to go on", file=sys.stderr)
        return 130
    return 0


def expect_teacher(config: dict, cache: Path) -> None:
    """Raises DataError when the configured teacher is not there or another: it is asked only after minutes of work."""
    if "distillation" not in config:
        return
    settings = config["distillation"]
    path = cache / settings["teacher"]
    if not path.is_file():
        raise data.DataError(f"distillation.teacher: expected an ONNX file, found none at {path}; fetch it from {settings['source']}, "
                             "or leave out `distillation` to train with labels alone, as own.yaml does")
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != settings["sha256"]:
        raise data.DataError(f"distillation.sha256: expected {settings['sha256']}, found {found} of {path}")


def run(options: argparse.Namespace, config: dict) -> None:
    clips = data.read_clips(options.data, config)
    expect_teacher(config, options.cache.resolve())
    # Imported here, so that --help, a wrong file and a wrong list answer at once.
    import architectures
    import making
    import runs

    log = lambda text: print(text, flush=True)
    architecture = architectures.named(config["architecture"]["name"])
    work = data.Work(options.cache.resolve(), options.node)
    jobs = options.jobs or runs.cores()
    planned = runs.plan(clips, config, options.cross_validate or config["folds"] != [])
    if unknown := set(options.only or []) - {r.name for r in planned}:
        raise data.DataError(f"--only: expected one of {', '.join(r.name for r in planned)}, found {', '.join(sorted(unknown))}")
    log(f"{len(clips)} clips, {sum(not c.labelled for c in clips)} of them unlabelled; runs: {', '.join(r.name for r in planned)}")
    log("preparing sound")
    data.decode_all(clips, work.cache)
    architecture.prepare(clips, config, work, jobs)
    if options.only:
        chosen = [r for r in planned if r.name in options.only]
        making.judge_ahead(chosen, runs.train_all(chosen, config, architecture, work, jobs, log), config, architecture, work, jobs, log)
        return
    trained = runs.train_all(planned, config, architecture, work, jobs, log)
    making.make(planned, trained, clips, config, architecture, options.data, work, options.out, jobs, log)


if __name__ == "__main__":
    sys.exit(main())
