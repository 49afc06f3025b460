"""From trained parts to the files: graphs, temperature, int8, thresholds, descriptions, figures and the card."""

import math
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

import card
import data
import features
import figures
import frontend
import generated
import judging
import model_file
from runs import HERE, Run, in_processes

# As in models/event-maker.ts.
RELEASE_RATIO, MERGE_S = 0.8, 0.7
DRIFT_WINDOWS = 2000


@dataclass
class Made:
    """One run's graph in all its forms, before calibration, and what calibrates it."""

    run: Run
    forms: dict[str, onnx.ModelProto]  # fp32, int8
    calibration: figures.Calibration | None = None
    ambience: figures.Ambience | None = None


def make(runs: list[Run], trained: dict, clips: list[data.Clip], config: dict, architecture, folders: list[Path], work: data.Work,
         out: Path, jobs: int, log) -> None:
    """Writes everything to `out`; the description goes in last, so a file with a description is a finished one."""
    made, raw = judge_ahead(runs, trained, config, architecture, work, jobs, log)
    names, wanted = list(made[0].forms), list(dict.fromkeys(condition for _, condition in raw))
    shipped = names[-1]
    crossed = [j for j in raw.get((shipped, judging.CLEAN), []) if j.run.name != "final"]
    for m in made:
        m.calibration = judging.calibration_of(crossed, config["labels"], m.run)
    calibrations = {m.run.name: m.calibration for m in made}
    own = {key: [judging.changed(j, calibrations[j.run.name]) for j in rows] for key, rows in raw.items()}
    if "ambience" in config:
        met = own.get((shipped, judging.CLEAN), [])
        if not met:
            log("ambience: no clips were held out to tell what is usual, so scores count on their own")
        for m in made if met else []:
            assumed = math.floor(config["ambience"]["assumed_s"] / config["input"]["hop_s"] + 0.5)  # as Math.round in models/ambience.ts
            m.ambience = figures.Ambience(config["ambience"]["weight"], judging.usual(met, m.run), assumed)
    ambiences = {m.run.name: m.ambience for m in made}
    judged = {key: [judging.changed(j, ambiences[j.run.name]) for j in rows] for key, rows in own.items()}

    thresholds = config["thresholds"] or budgeted(judged.get((shipped, judging.CLEAN), []), config)
    evaluation = evaluate(judged, names, wanted, thresholds, made[0].ambience is not None, config) if judged else None
    if evaluation is not None and made[0].ambience is not None:
        evaluation["without_ambience"] = without_ambience(own, shipped, wanted)
    log("writing")
    parallel([lambda m=m: write(m, thresholds, evaluation, config, architecture, out, work) for m in made], jobs)
    sizes = {form: path_of(out, config, made[0].run, form, architecture).stat().st_size for form in names}
    card.write(out, config, architecture, clips, folders, judged, evaluation, thresholds, sizes, made[0].calibration, made[0].ambience)
    for path in sorted(out.glob("**/*.onnx")):
        log(f"{path} {path.stat().st_size} bytes")
    log(card.short(evaluation, shipped))


def judge_ahead(runs: list[Run], trained: dict, config: dict, architecture, work: data.Work, jobs: int, log) -> tuple[list[Made], dict]:
    """Every run's graph, quantized, and what it says of the clips it never met, by form and condition. Calibration and thresholds come
    after this, so that changing them judges nothing anew. The final run is judged only when no fold is held out in turn."""
    log("quantizing")
    made = parallel([lambda run=run: forms(run, architecture.build(trained[run.name], config), config, architecture, work) for run in runs], jobs)
    judges = [m for m in made if m.run.name != "final"] or [m for m in made if m.run.tested]
    names, wanted = list(made[0].forms), judging.conditions([m.run for m in judges], config)
    tasks = [(m, form, condition, draw) for m in judges for form in names for condition in wanted for draw in judging.draws(condition, config)]
    if tasks:
        log(f"judging {', '.join(names)}: {', '.join(wanted)}")
    answers = parallel([lambda t=t: judging.judge(t[0].forms[t[1]], t[0].run, *t[2:], config, work.cache) for t in tasks], jobs, log)
    return made, {(form, condition): [a for a, t in zip(answers, tasks) if t[1:3] == (form, condition)]
                  for form in names for condition in wanted if tasks}


def parallel(jobs_: list, jobs: int, log=None) -> list:
    """Results in order; each job in a process."""
    results = {}
    for i, result in in_processes([lambda i=i, job=job: (i, job()) for i, job in enumerate(jobs_)], jobs):
        results[i] = result
        if log is not None and len(jobs_) > 8 and len(results) % 8 == 0:
            log(f"  {len(results)} of {len(jobs_)}")
    return [results[i] for i in range(len(jobs_))]


def raw_windows(clips: list[data.Clip], config: dict, work: data.Work, count: int) -> np.ndarray:
    """About `count` windows [n, samples] of the labelled training clips and the generated sound, evenly from all of them."""
    random = np.random.default_rng(config["seed"])
    sounds = [data.sound(c, work.cache) for c in clips if c.labelled]
    sounds += [piece.audio() for piece in generated.render_all(config["generated"], work.cache, work.node)]
    seconds = [len(s) / frontend.INPUT_RATE_HZ for s in sounds]
    windows = []
    for samples, length in zip(sounds, seconds):
        for start in random.integers(0, max(len(samples) - frontend.WINDOW_SAMPLES, 0) + 1, max(1, round(count * length / sum(seconds)))):
            window = samples[start : start + frontend.WINDOW_SAMPLES]
            windows.append(np.pad(window, (0, frontend.WINDOW_SAMPLES - len(window))))
    return np.stack(windows).astype(np.float32)


def forms(run: Run, raw: onnx.ModelProto, config: dict, architecture, work: data.Work) -> Made:
    """The graph in every precision."""
    made = {"fp32": raw}
    if "int8" in architecture.PRECISIONS and config["quantization"]["precision"] == "int8":
        windows = raw_windows(run.learned, config, work, config["quantization"]["windows"])
        with tempfile.TemporaryDirectory() as folder:
            fp32, int8 = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
            onnx.save(raw, fp32)
            model_file.quantize(fp32, int8, windows, architecture.exact_nodes(raw), config["quantization"]["method"])
            made["int8"] = onnx.load(int8)
    return Made(run, made)


def budgeted(judged: list[judging.Judged], config: dict) -> dict[str, float]:
    """One threshold for every label, so that backgrounds raise no more false alarms an hour than the budget allows."""
    quiet = [(c, 1 - w[:, 0]) for j in judged for c, w in zip(j.run.tested, j.windows) if c.group == "background"]
    if not quiet:
        return {label: 0.5 for label in config["labels"][1:]}
    hop_s, hours = config["input"]["hop_s"], hours_of([w for _, w in quiet], config)
    ratio, merge = event_settings(config)
    threshold = figures.threshold_for_budget([w for _, w in quiet], hours, config["false_alarm_budget_per_hour"], ratio, round(merge / hop_s))
    return {label: threshold for label in config["labels"][1:]}


def event_settings(config: dict) -> tuple[float, float]:
    return config["events"].get("release_ratio", RELEASE_RATIO), config["events"].get("merge_s", MERGE_S)


def hours_of(sure: list[np.ndarray], config: dict) -> float:
    window_s = frontend.WINDOW_SAMPLES / frontend.INPUT_RATE_HZ
    return sum((len(w) - 1) * config["input"]["hop_s"] + window_s for w in sure) / 3600


def evaluate(judged: dict, names: list[str], wanted: list[str], thresholds: dict, ambience: bool, config: dict) -> dict:
    """Everything that the card shows, as figures."""
    labels, resamples, seed = config["labels"], config["evaluation"]["resamples"], config["seed"]
    shipped = judged[names[-1], judging.CLEAN]
    true, heard = judging.kinds(shipped, labels)
    sure = np.concatenate([j.sure for j in shipped])
    positive = np.concatenate([j.positive for j in shipped])
    least = min(thresholds.values())
    detected = sure[positive] >= least
    result = {
        "method": f"clips of {', '.join(j.run.name for j in shipped)} by networks that never met them; a clip's score is the mean of its two most "
                  f"impact-like windows{', beside its ambience' if ambience else ''}; intervals: 95 %, percentile bootstrap over clips, {resamples} resamples stratified by fold and kind",
        "impacts": int(positive.sum()), "others": int((~positive).sum()), "folds": [j.run.name for j in shipped],
        "kind_right_among_detected": judging.rounded((true == heard)[detected].mean() if detected.any() else np.nan),
        "expected_calibration_error": judging.rounded(figures.calibration_error(sure, positive)),
        "brier": judging.rounded(figures.brier(sure, positive)),
        "at_thresholds": alarms(shipped, thresholds, config),
        "precisions": {},
    }
    for form in names:
        result["precisions"][form] = {}
        for condition in wanted:
            figures_of = judging.summary(judged[form, condition], labels, resamples if condition == judging.CLEAN else max(200, resamples // 5), seed)
            result["precisions"][form][condition] = figures_of | {"labels": judging.per_label(judged[form, condition], labels)}
    if len(names) > 1:
        result["int8_against_fp32"] = {condition: difference(judged["fp32", condition], judged["int8", condition]) for condition in wanted}
    return result


def without_ambience(own: dict, shipped: str, wanted: list[str]) -> dict:
    """ROC AUC by scores on their own, and how well those are calibrated: the graph's own scores."""
    clean = own[shipped, judging.CLEAN]
    sure, positive = np.concatenate([j.sure for j in clean]), np.concatenate([j.positive for j in clean])
    return {
        "roc_auc": {condition: judging.rounded(judging.mean_auc(own[shipped, condition])) for condition in wanted},
        "expected_calibration_error": judging.rounded(figures.calibration_error(sure, positive)),
        "brier": judging.rounded(figures.brier(sure, positive)),
    }


def difference(fp32: list[judging.Judged], int8: list[judging.Judged]) -> dict:
    """How far the windows' scores are apart, and the mean loss of ROC AUC (above zero: int8 is worse)."""
    apart = np.concatenate([np.abs(a - b).ravel() for x, y in zip(fp32, int8) for a, b in zip(x.windows, y.windows)])
    return {"mean_score_difference": judging.rounded(apart.mean()), "worst_score_difference": judging.rounded(apart.max()),
            "loss_of_roc_auc": judging.rounded(judging.mean_auc(fp32) - judging.mean_auc(int8))}


def alarms(judged: list[judging.Judged], thresholds: dict, config: dict) -> dict:
    """At the thresholds: share of clips with an impact that are heard, and false alarms an hour by group of clips."""
    least, (ratio, merge) = min(thresholds.values()), event_settings(config)
    result = {}
    for group in sorted({c.group for j in judged for c in j.run.tested}):
        sure = [1 - w[:, 0] for j in judged for c, w in zip(j.run.tested, j.windows) if c.group == group and c.label == "background"]
        if sure:
            count, hours = figures.false_alarms(sure, least, ratio, round(merge / config["input"]["hop_s"])), hours_of(sure, config)
            result[group] = {"false_alarms": int(count), "hours": round(hours, 3), "per_hour": round(count / hours, 2)}
    heard = [(w[:, 1:].sum(axis=1) >= least).any() for j in judged for c, w in zip(j.run.tested, j.windows) if c.label != "background"]
    return {"threshold": least, "recall": judging.rounded(np.mean(heard)) if heard else None, **result}


def path_of(out: Path, config: dict, run: Run, form: str, architecture) -> Path:
    """NAME.fp32.onnx and NAME.int8.onnx; NAME.onnx for what has one form only; folds in a folder of their own."""
    ending = f".{form}.onnx" if len(architecture.PRECISIONS) > 1 else ".onnx"
    return out / f"{config['name']}{ending}" if run.name == "final" else out / "folds" / f"{config['name']}.{run.name}{ending}"


def write(made: Made, thresholds: dict, evaluation: dict | None, config: dict, architecture, out: Path, work: data.Work) -> None:
    """One run's files: calibrated, with the histograms of their training windows and the description."""
    windows = raw_windows(made.run.learned, config, work, DRIFT_WINDOWS)
    for form, raw in made.forms.items():
        model = raw if made.calibration is None else model_file.with_calibration(raw, made.calibration)
        reference = features.drift_reference(windows, model_file.Scorer(model)(windows), config["labels"], frontend.INPUT_RATE_HZ)
        described = model_file.described(model, description(made, form, thresholds, reference, evaluation, config))
        data.save_whole(path_of(out, config, made.run, form, architecture), lambda f: f.write(described.SerializeToString(deterministic=True)))


def description(made: Made, form: str, thresholds: dict, reference: dict, evaluation: dict | None, config: dict) -> dict:
    """The model's description (models/description.ts)."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=HERE, capture_output=True, text=True).stdout.strip()
    learned = [c for c in made.run.learned if c.labelled]
    rendered = sum(g["seconds"] * len(g["seeds"]) for g in config["generated"])
    settings = config["architecture"]
    result = {
        "format": "fender-model/1", "name": config["name"], "version": config["version"], "task": "sound-events",
        "author": config["author"], "dataset_tag": config["dataset_tag"],
        "input": {
            "topic": config["input"]["topic"], "channels": config["input"]["channels"], "sample_rate_hz": frontend.INPUT_RATE_HZ,
            "window_s": frontend.WINDOW_SAMPLES / frontend.INPUT_RATE_HZ, "hop_s": config["input"]["hop_s"], "downmix": "mean",
        },
        "labels": config["labels"], "thresholds": thresholds, "metrics": ["roc_auc", "recall_at_fpr"],
        "drift_reference": reference,
        "training_run": {
            "seed": config["seed"], "commit": commit or "unknown", "folds": made.run.folds, "architecture": settings["name"],
            "data": f"{len(learned)} labelled and {len(made.run.learned) - len(learned)} unlabelled clips, {rendered} s of generated sound",
        },
        "precision": form, "false_alarm_budget_per_hour": config["false_alarm_budget_per_hour"],
    }
    if "distillation" in config:
        result["training_run"]["teacher"] = config["distillation"]["source"]
    if "committee" in config:
        result["training_run"]["committee"] = config["committee"]
    ambience = {"ambience": config["ambience"] | {"usual": made.ambience.usual}} if made.ambience else {}
    if config["events"] or ambience:
        result["events"] = config["events"] | ambience
    if made.calibration is not None:
        calibration = {"method": "temperature", "temperature": made.calibration.temperature,
                       "background_shift": made.calibration.background_shift,
                       "data": "the two most impact-like windows of every clip that the networks of the cross-validation never met"}
        if made.run.name == "final" and evaluation is not None:
            own = evaluation.get("without_ambience", evaluation)
            calibration |= {k: own[k] for k in ("expected_calibration_error", "brier")}
        result["calibration"] = calibration
    if made.run.name == "final" and evaluation is not None:
        clean = evaluation["precisions"].get(form, {}).get(judging.CLEAN)
        result["evaluation"] = {k: evaluation[k] for k in ("method", "impacts", "others", "kind_right_among_detected", "at_thresholds")} | clean
    return result
