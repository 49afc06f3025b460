"""Makes models/impact.fp32.onnx and models/impact.int8.onnx: reads the clips, renders generated sound, trains, exports,
quantizes, and writes the description into both files. One command, see README.md; the same seed gives the same run."""

import argparse
import hashlib
import json
import subprocess
from pathlib import Path

import numpy as np
import onnx
import torch
import yaml

import core
import data
import export
import frontend
import generated
import net as network
from sampler import Sampler, add_generated, build_store

HERE = Path(__file__).resolve().parent
LABELS = ["background", "body_impact", "glass_break"]
GENERATED = ["generated_drive", "generated_body_impact", "generated_glass_break"]


def fine_classes(clips: list[data.Clip]) -> tuple[list[str], list[int]]:
    """Names of the fine classes and which label each adds to."""
    label_of = {clip.cls: clip.label for clip in clips}
    label_of |= {"generated_drive": "background"} | {f"generated_{name}": name for name in LABELS[1:]}
    names = sorted(label_of)
    return names, [LABELS.index(label_of[name]) for name in names]


def class_shares(clips: list[data.Clip], names: list[str], shares: dict) -> dict[int, float]:
    """How often each fine class is drawn: each kind's share is divided evenly among its classes."""
    kinds = {
        "real_impact": {c.cls for c in clips if c.group == "impact"},
        "confuser": {c.cls for c in clips if c.group == "confuser"},
        "background": {c.cls for c in clips if c.group == "background"},
        "generated_impact": set(GENERATED[1:]),
        "generated_drive": {GENERATED[0]},
    }
    return {names.index(cls): shares[kind] / len(classes) for kind, classes in kinds.items() for cls in sorted(classes)}


def sampler_maker(clips, mels, rendered, names, label_ids, config):
    """Builds the store once; returns what makes a seeded Sampler over it."""
    fine_of = {name: i for i, name in enumerate(names)}
    store = build_store(clips, mels, fine_of)
    add_generated(store, rendered, fine_of)
    impacts = {i for i, label in enumerate(label_ids) if label > 0}
    quiet = sorted({fine_of[c.cls] for c in clips if c.group == "background"} | {fine_of[GENERATED[0]]})
    shares = class_shares(clips, names, config["shares"])
    return lambda seed: Sampler(store, shares, quiet, len(names), impacts, config["augment"], seed)


def raw_windows(clips, rendered_audio, seed: int, per_clip: int = 2) -> np.ndarray:
    """Raw windows [n, samples] of the training clips and the generated drive, for calibration and drift reference."""
    random = np.random.default_rng(seed)
    windows = []
    for samples in [*(data.decode(c.path) for c in clips), *rendered_audio]:
        last = len(samples) - frontend.WINDOW_SAMPLES
        count = per_clip if last < 300_000 else len(samples) // 240_000
        for start in random.integers(0, max(last, 0) + 1, count):
            window = samples[start : start + frontend.WINDOW_SAMPLES]
            windows.append(np.pad(window, (0, frontend.WINDOW_SAMPLES - len(window))))
    return np.stack(windows).astype(np.float32)


def drift_reference(windows: np.ndarray, scores: np.ndarray) -> dict:
    """Histograms of level and scores over the training windows."""
    rms = 20 * np.log10(np.sqrt((windows**2).mean(axis=1)) + 1e-6)
    features = {"rms_dbfs": (rms, np.arange(-120, 1, 6))}
    features |= {f"score:{name}": (scores[:, i], np.linspace(0, 1, 21)) for i, name in enumerate(LABELS)}
    return {
        "histograms": [
            {"feature": name, "edges": [round(float(e), 6) for e in edges],
             "counts": np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0].tolist()}
            for name, (values, edges) in features.items()
        ]
    }


def description(config: dict, clips, variant: str, reference: dict) -> dict:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=HERE, capture_output=True, text=True).stdout.strip()
    folds = ", ".join(map(str, config["train_folds"]))
    return {
        "format": "fender-model/1",
        "name": config["name"],
        "version": config["version"],
        "task": "sound-events",
        "author": config["author"],
        "dataset_tag": config["dataset_tag"],
        "input": {
            "topic": config["topic"], "channels": config["channels"], "sample_rate_hz": frontend.INPUT_RATE_HZ,
            "window_s": frontend.WINDOW_SAMPLES / frontend.INPUT_RATE_HZ, "hop_s": config["hop_s"], "downmix": "mean",
        },
        "labels": LABELS,
        "thresholds": config["thresholds"],
        "metrics": ["roc_auc", "recall_at_fpr"],
        "drift_reference": reference,
        "training_run": {
            "seed": config["seed"], "commit": commit or "unknown", "precision": variant,
            "data": f"{len(clips)} clips of ESC-50 folds {folds} under CC0 and CC-BY; "
                    f"{sum(g['seconds'] * len(g['seeds']) for g in config['generated'])} s of generated sound",
            "networks": config["networks"], "steps": config["steps"],
        },
    }


def run_key(config: dict) -> str:
    """Changes with everything that a trained network depends on, except how many of them there are."""
    settings = {k: v for k, v in config.items() if k not in ("networks", "version", "thresholds", "author", "name")}
    code = [(HERE / f"{name}.py").read_bytes() for name in ("core", "net", "sampler", "frontend", "data")]
    text = json.dumps(settings, sort_keys=True) + generated.generator_key()
    return hashlib.sha256(text.encode() + b"".join(code)).hexdigest()[:12]


def scores_of(path: Path, windows: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"audio": windows[i : i + 16]})[0] for i in range(0, len(windows), 16)])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="folder with clips.csv")
    arguments.add_argument("--config", type=Path, default=HERE / "config.yaml")
    arguments.add_argument("--out", type=Path, default=HERE.parent)
    arguments.add_argument("--cache", type=Path, default=HERE / ".venv" / "cache")
    arguments.add_argument("--node", default=str(HERE.parents[1] / "node_modules/.bin/node"), help="the Node that renders generated sound")
    options = arguments.parse_args()
    config = yaml.safe_load(options.config.read_text())
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    clips = data.read_clips(options.data, set(config["train_folds"]))
    names, label_ids = fine_classes(clips)
    rendered = generated.render_all(config["generated"], options.cache, options.node)
    maker = sampler_maker(clips, data.load(clips, options.cache), rendered, names, label_ids, config)

    folder = options.cache / "networks" / run_key(config)
    folder.mkdir(parents=True, exist_ok=True)

    def one(i: int) -> str:
        """Trains network i unless an earlier run of the same settings has; through a file, because a process that ends
        takes its tensors with it."""
        target = folder / f"{i}.pt"
        if not target.exists():
            log = lambda text: print(f"network {i}{text}", flush=True)
            torch.save(core.train_one(maker, len(names), config, config["seed"] + i, log).state_dict(), target)
        return str(target)

    models = []
    for saved in core.in_processes(one, config["networks"]):
        model = network.ImpactNet(len(names), config["width"], config["dropout"])
        model.load_state_dict(torch.load(saved))
        models.append(model)

    fp32, int8 = options.out / "impact.fp32.onnx", options.out / "impact.int8.onnx"
    model = export.build(models, label_ids, LABELS)
    onnx.save(model, fp32)
    windows = raw_windows(clips, [r.audio() for r in rendered], config["seed"])
    export.quantize(fp32, int8, windows[:: max(1, len(windows) // 512)])
    for path, variant in ((fp32, "fp32"), (int8, "int8")):
        reference = drift_reference(windows, scores_of(path, windows))
        onnx.save(export.describe(onnx.load(path), description(config, clips, variant, reference)), path)
        print(path, path.stat().st_size, "bytes")
    difference = np.abs(scores_of(fp32, windows) - scores_of(int8, windows))
    print(f"int8 against fp32 on training windows: mean {difference.mean():.4f}, worst {difference.max():.4f}")


if __name__ == "__main__":
    main()
