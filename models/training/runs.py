"""What there is to train: the final networks, and one set for each fold that is held out. Trains the parts of all runs in parallel
processes, keeps each finished part in the cache, and takes from there what an earlier call has finished."""

import hashlib
import json
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import data
import generated

HERE = Path(__file__).resolve().parent
# Settings that decide what is trained; the others only decide what is made of it.
SETTINGS = ("seed", "labels", "classes", "augmentation", "generated", "architecture", "optimiser", "distillation", "committee")


@dataclass(frozen=True)
class Run:
    name: str  # final, or fold-N
    learned: list[data.Clip]
    tested: list[data.Clip]

    @property
    def folds(self) -> list[int]:
        return sorted({clip.fold for clip in self.learned} - {0})


def plan(clips: list[data.Clip], config: dict, cross_validate: bool) -> list[Run]:
    """The final run, then one for each fold to hold out."""
    chosen = config["data"]
    of = lambda folds: [clip for clip in clips if clip.fold in folds]
    runs = [Run("final", of({0, *chosen["folds"]}), [c for c in of(chosen["held_out"]) if c.labelled])]
    for fold in (config["folds"] or chosen["folds"]) if cross_validate else []:
        runs.append(Run(f"fold-{fold}", of({0, *chosen["folds"]} - {fold}), [c for c in of({fold}) if c.labelled]))
    return runs


def key(run: Run, config: dict, architecture) -> str:
    """Changes with everything that a trained part depends on: settings, clips and code."""
    clips = [(c.file, c.fold, c.cls, c.group, c.label, c.path.stat().st_size) for c in run.learned]
    settings = {name: config.get(name) for name in SETTINGS}
    text = json.dumps([settings, clips, generated.generator_key() if config["generated"] else ""], sort_keys=True)
    code = [(HERE / f"{name}.py").read_bytes() for name in architecture.CODE]
    return hashlib.sha256(text.encode() + b"".join(code)).hexdigest()[:16]


def train_all(runs: list[Run], config: dict, architecture, work: data.Work, jobs: int, log) -> dict[str, list[dict]]:
    """Every run's parts of the last stage, in order. Stage by stage, the parts of all runs at once, as many as `jobs`."""
    folders = {run.name: work.cache / "networks" / key(run, config, architecture) for run in runs}
    stages, began = architecture.stages(config), time.time()
    for number, stage in enumerate(stages):
        earlier = [part for before in stages[:number] for part in before]
        todo = [(run, part) for run in runs for part in stage if not (folders[run.name] / f"{part}.pt").exists()]
        log(f"training: stage {number + 1} of {len(stages)}, {len(stage) * len(runs)} parts, {len(todo)} of them new")
        tasks = [_Task(architecture, run, part, len(earlier) + stage.index(part), config, work, folders[run.name], earlier) for run, part in todo]
        for done, name in enumerate(in_processes(tasks, jobs), 1):
            log(f"trained {name} ({done} of {len(todo)}, {time.time() - began:.0f} s)")
    return {run.name: [torch.load(folders[run.name] / f"{part}.pt", weights_only=False) for part in stages[-1]] for run in runs}


@dataclass(frozen=True)
class _Task:
    architecture: object
    run: Run
    part: str
    number: int
    config: dict
    work: data.Work
    folder: Path
    earlier: list[str]

    def __call__(self) -> str:
        """Trains one part and keeps it; a part's seed depends on its place alone, so that every run varies alike."""
        name = f"{self.run.name} {self.part}"
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
        torch.manual_seed(self.config["seed"] + self.number)
        np.random.seed(self.config["seed"] + self.number)
        earlier = {part: torch.load(self.folder / f"{part}.pt", weights_only=False) for part in self.earlier}
        log = lambda text: print(f"  {name}: {text}", flush=True)
        saved = self.architecture.train_part(
            self.part, self.run.learned, self.config, self.config["seed"] + self.number, self.work, log, earlier)
        data.save_whole(self.folder / f"{self.part}.pt", lambda f: torch.save(saved, f))
        return name


def in_processes(tasks: list, jobs: int):
    """Results of the tasks as they finish, each in a process of its own with one thread: small networks gain nothing from
    threads, and one thread adds up the same every time. Stopped with the parent."""
    if jobs == 1:
        yield from (task() for task in tasks)
        return
    torch.set_num_threads(1)  # a fork does not survive the parent's threads
    global _tasks
    _tasks = tasks
    ignore = lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)
    with multiprocessing.get_context("fork").Pool(min(jobs, max(1, len(tasks))), ignore, maxtasksperchild=1) as pool:
        yield from pool.imap_unordered(_call, range(len(tasks)))


def _call(i: int):
    return _tasks[i]()


def cores() -> int:
    return len(os.sched_getaffinity(0))
