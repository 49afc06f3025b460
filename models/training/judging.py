"""Judges networks on clips that they never met: scores of every window, clean and mixed into real noise, kept in the cache; and
the figures that come of them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

import data
import figures
import frontend
from model_file import Scorer
from runs import Run

CLEAN = "clean"
KEY = "1"  # another one when what `judge` does changes


@dataclass(frozen=True)
class Judged:
    """What one run's model said of the clips that it never met: per clip the scores [windows, labels]. Of clips in noise there are several draws."""

    run: Run
    windows: list[np.ndarray]

    @property
    def positive(self) -> np.ndarray:
        return np.array([clip.label != "background" for clip in self.run.tested])

    @property
    def sure(self) -> np.ndarray:
        """Per clip how sure the model is of any impact: the mean of its two most impact-like windows."""
        return np.array([1 - best_two(w)[:, 0].mean() for w in self.windows])

    def group(self) -> tuple[np.ndarray, np.ndarray]:
        return self.sure, self.positive


def best_two(windows: np.ndarray) -> np.ndarray:
    """The two windows [≤ 2, labels] that speak most against background."""
    return windows[np.argsort(windows[:, 0], kind="stable")[:2]]


def cut(samples: np.ndarray, hop_s: float) -> np.ndarray:
    """Windows [n, samples] each `hop_s`; a short sound is padded with silence."""
    length, hop = frontend.WINDOW_SAMPLES, round(hop_s * frontend.INPUT_RATE_HZ)
    samples = np.pad(samples, (0, max(0, length - len(samples))))
    return np.lib.stride_tricks.sliding_window_view(samples, length)[::hop]


def active_power(samples: np.ndarray) -> float:
    """Mean power of the blocks of 50 ms within 20 dB of the loudest one's, as models/mixing.ts has it; 0 for silence."""
    block = frontend.INPUT_RATE_HZ // 20
    powers = np.array([(samples[at : at + block] ** 2).mean() for at in range(0, len(samples), block)])
    active = powers[(powers > 0) & (powers >= 0.01 * powers.max(initial=0))]
    return float(active.mean()) if len(active) else 0.0


def mixed(samples: np.ndarray, noise: np.ndarray, snr_db: float, start: float) -> np.ndarray:
    """`samples` with noise under them, repeated from `start` (0 to 1) on: the active part is `snr_db` over the noise's mean power.
    Made quieter where it would exceed full scale (models/mixing.ts)."""
    sounding = np.flatnonzero(noise)
    under = noise[sounding[0] : sounding[-1] + 1] if len(sounding) else noise
    power = float((under**2).mean())
    gain = (active_power(samples) / power / 10 ** (snr_db / 10)) ** 0.5 if power > 0 else 0.0
    both = samples + np.float32(gain) * np.resize(np.roll(under, -int(start * len(under))), len(samples))
    return (both / max(1.0, float(np.abs(both).max()))).astype(np.float32)


def noise_for(number: int, clip: data.Clip, noises: list[data.Clip], seed: int) -> tuple[data.Clip, float]:
    """Another clip to lie under clip `number`, and where in it to begin (0 to 1); the same in every run. Each draw has a seed of its own."""
    random = np.random.default_rng([seed, number])
    others = [noise for noise in noises if noise.path != clip.path]
    return others[random.integers(len(others))], float(random.random())


def sound_of(number: int, run: Run, condition: str, draw: int, config: dict, cache: Path) -> np.ndarray:
    clip = run.tested[number]
    samples = data.sound(clip, cache)
    noises = [c for c in run.tested if c.cls in config["evaluation"]["noise_classes"]]
    if condition == CLEAN:
        return samples
    noise, start = noise_for(number, clip, noises, config["seed"] + draw)
    return mixed(samples, data.sound(noise, cache), float(condition), start)


def judge(model: onnx.ModelProto, run: Run, condition: str, draw: int, config: dict, cache: Path) -> Judged:
    """Scores of every clip that the run never met, by `model`; `condition` is `clean` or decibels over noise of its own fold, of which each `draw`
    lays one under a clip that is drawn anew."""
    scorer = Scorer(model)
    names = [data.name_in_cache(clip) for clip in run.tested]
    text = repr((hashlib.sha256(model.graph.SerializeToString()).hexdigest(), names, condition, config["input"]["hop_s"],
                 config["seed"] + draw if condition != CLEAN else 0, config["evaluation"]["noise_classes"], KEY))
    target = cache / "scores" / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.npz"
    if not target.exists():
        windows = [scorer(cut(sound_of(i, run, condition, draw, config, cache), config["input"]["hop_s"])) for i in range(len(run.tested))]
        data.save_whole(target, lambda f: np.savez(f, *windows))
    with np.load(target) as kept:
        return Judged(run, [kept[f"arr_{i}"] for i in range(len(run.tested))])


def conditions(runs: list[Run], config: dict) -> list[str]:
    """Clean, and each signal-to-noise ratio when every run has two held-out clips of noise at least."""
    noises = config["evaluation"]["noise_classes"]
    enough = all(sum(clip.cls in noises for clip in run.tested) > 1 for run in runs)
    return [CLEAN, *(f"{snr:g}" for snr in config["evaluation"]["snr_db"] if enough)]


def draws(condition: str, config: dict) -> range:
    """How often a condition is judged: which recording lies under which clip decides much where it is loud."""
    return range(1 if condition == CLEAN else config["evaluation"]["draws"])


def changed(judged: Judged, change) -> Judged:
    """The same with `change` applied to the scores of each clip: a calibration, an ambience, or None for no change."""
    return judged if change is None else Judged(judged.run, [change(w) for w in judged.windows])


def usual(judged: list[Judged], but: Run | None) -> float:
    """The ambience of most clips, in log-odds of an impact, by runs other than `but` where there are any."""
    others = [j for j in judged if but is None or j.run.name != but.name] or judged
    return round(float(np.median([np.median(figures.log_odds(w)) for j in others for w in j.windows])), 2)


def calibration_of(judged: list[Judged], labels: list[str], but: Run | None) -> figures.Calibration | None:
    """Fitted on the two most impact-like windows of every clip, by runs other than `but`, so that no run is calibrated on the
    clips that judge it. None when there is nothing to fit on."""
    used = [j for j in judged if but is None or j.run.name != but.name]
    if not used or not any(j.positive.any() for j in used):
        return None
    best = [(best_two(w), labels.index(clip.label)) for j in used for clip, w in zip(j.run.tested, j.windows)]
    return figures.fit_calibration(np.concatenate([w for w, _ in best]), np.concatenate([[label] * len(w) for w, label in best]))


def kinds(judged: list[Judged], labels: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """True and heard label of every clip with an impact (numbers of labels; the heard one is the likeliest but background)."""
    true = [labels.index(c.label) for j in judged for c in j.run.tested if c.label != "background"]
    heard = [1 + int(best_two(w)[:, 1:].mean(axis=0).argmax()) for j in judged for c, w in zip(j.run.tested, j.windows) if c.label != "background"]
    return np.array(true), np.array(heard)


def summary(judged: list[Judged], labels: list[str], resamples: int, seed: int) -> dict:
    """Figures per fold, over all draws, and their mean with 95 % intervals [value, low, high]; and the mean of each draw."""
    groups = by_run(judged)
    measures = {"roc_auc": figures.roc_auc, "average_precision": figures.average_precision,
                **{f"recall_at_fpr_{fpr:g}": (lambda s, p, fpr=fpr: figures.recall_at(s, p, fpr)) for fpr in figures.FPRS}}
    together = lambda s, p: np.mean([[measure(draw, p) for measure in measures.values()] for draw in s], axis=0)
    by_fold = {name: dict(zip(measures, map(rounded, together(*group)))) for name, group in groups.items()}
    values = figures.mean_of_known([together(*g) for g in groups.values()])
    each = figures.mean_of_known([[figures.roc_auc(draw, p) for draw in s] for s, p in groups.values()])
    low, high = figures.interval(figures.bootstrap(list(groups.values()), together, resamples, seed))
    mean = {name: [rounded(v), rounded(a), rounded(b)] for name, v, a, b in zip(measures, values, low, high)}
    return {"by_fold": by_fold, "mean": mean, "roc_auc_of_draws": [rounded(value) for value in each]}


def by_run(judged: list[Judged]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of each run, sureness [draws, clips] and which clips hold an impact."""
    runs = {j.run.name: [other for other in judged if other.run.name == j.run.name] for j in judged}
    return {name: (np.stack([j.sure for j in each]), each[0].positive) for name, each in runs.items()}


def mean_auc(judged: list[Judged]) -> float:
    """ROC AUC, mean over the draws and the runs that have one."""
    return float(figures.mean_of_known([[figures.roc_auc(*j.group())] for j in judged])[0])


def per_label(judged: list[Judged], labels: list[str]) -> dict:
    """For each label but background: its clips against the clips without impact, mean over the draws and the folds that have both."""
    result = {}
    for label in labels[1:]:
        rows = []
        for j in judged:
            kept = np.array([c.label in (label, "background") for c in j.run.tested])
            truth = np.array([c.label == label for c in j.run.tested])[kept]
            if truth.any() and not truth.all():
                rows.append([figures.roc_auc(j.sure[kept], truth), *(figures.recall_at(j.sure[kept], truth, f) for f in figures.FPRS)])
        values = np.mean(rows, axis=0) if rows else np.full(1 + len(figures.FPRS), np.nan)
        result[label] = {"roc_auc": rounded(values[0])} | {f"recall_at_fpr_{f:g}": rounded(v) for f, v in zip(figures.FPRS, values[1:])}
    return result


def rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
