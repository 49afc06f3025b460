"""Judges settings inside the training folds: trains on all folds but one, without half of the classes that are not
impacts, and ranks every clip of the fold left out. Fold 4 is never read here."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import yaml

import core
import data
import generated
import train


def judge_fold(clips, mels, rendered, fold: int, networks: int, config: dict) -> dict:
    """Scores of the clips of `fold`, by networks that never met the fold nor half of the other classes."""
    others = sorted({c.cls for c in clips if c.label == "background"})
    dropped = set(np.random.default_rng(fold).permutation(others)[::2])
    kept = [i for i, c in enumerate(clips) if c.fold != fold and c.cls not in dropped]
    known = [clips[i] for i in kept]
    names, label_ids = train.fine_classes(known)
    maker = train.sampler_maker(known, [mels[i] for i in kept], rendered, names, label_ids, config)
    models = [core.train_one(maker, len(names), config, config["seed"] + i) for i in range(networks)]
    impacts = {i for i, label in enumerate(label_ids) if label > 0}
    tested = [i for i, c in enumerate(clips) if c.fold == fold]
    normal = data.SPEEDS.index(1.0)
    windows = [core.window_probabilities(models, mels[i][normal], impacts) for i in tested]
    rows = [{"file": clips[i].file, "group": clips[i].group, "unknown": clips[i].cls in dropped, "windows": w.tolist()}
            for i, w in zip(tested, windows)]
    return {"fold": fold, "rows": rows}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--config", type=Path, default=train.HERE / "config.yaml")
    arguments.add_argument("--cache", type=Path, default=train.HERE / ".venv" / "cache")
    arguments.add_argument("--set", nargs="*", default=[], help="key=value over the configuration, dots go deeper")
    arguments.add_argument("--networks", type=int, default=1)
    arguments.add_argument("--json", type=Path, help="where the clips' scores go")
    options = arguments.parse_args()
    config = yaml.safe_load(options.config.read_text())
    for item in options.set:
        key, value = item.split("=", 1)
        *parents, last = key.split(".")
        inner = config
        for parent in parents:
            inner = inner[parent]
        inner[last] = yaml.safe_load(value)
    torch.set_num_threads(1)
    clips = data.read_clips(options.data, set(config["train_folds"]))
    mels = data.load(clips, options.cache)
    rendered = generated.render_all(config["generated"], options.cache)
    folds = config["train_folds"]
    results = core.in_processes(lambda i: judge_fold(clips, mels, rendered, folds[i], options.networks, config), len(folds))
    for best in (1, 2, 3):
        report = []
        for result in results:
            scores = np.array([core.clip_score(np.array(r["windows"]), best) for r in result["rows"]])
            positive = np.array([r["group"] == "impact" for r in result["rows"]])
            report.append([core.roc_auc(scores, positive), *(core.recall_at(scores, positive, f) for f in (0.02, 0.05, 0.1))])
        table = np.array(report)
        print(f"mean of best {best}: auc by fold {np.round(table[:, 0], 4)} mean {table[:, 0].mean():.4f} "
              f"recall at 0.02/0.05/0.1 {np.round(table[:, 1:].mean(axis=0), 3)}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
