"""The plots of a model card, as small PNGs."""

import io
from pathlib import Path

import matplotlib
import numpy as np

import figures
from data import save_whole

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from PIL import Image  # noqa: E402

BLUE, RED, GREY, GREEN = "#1f5fa8", "#c0392b", "#8a8f98", "#2e8b57"
GRID = np.concatenate([np.linspace(0, 0.1, 41), np.linspace(0.11, 1, 45)])


def save(figure, path: Path) -> None:
    """As a PNG of at most 48 colours, without date: the same plot gives the same bytes."""
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=100, metadata={"Software": None})
    plt.close(figure)
    image = Image.open(raw).convert("RGB").quantize(48, dither=Image.Dither.NONE)
    save_whole(path, lambda f: image.save(f, "PNG", optimize=True))


def axes(title: str, x: str, y: str, size=(6.4, 4.6)):
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    ax.set_title(title, fontsize=11)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.grid(True, color="#e3e5e8", linewidth=0.8)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return figure, ax


def band(groups, statistic, resamples: int, seed: int):
    low, high = figures.interval(figures.bootstrap(groups, statistic, resamples, seed))
    return np.mean([statistic(*g) for g in groups], axis=0), low, high


def roc(judged: list, resamples: int, seed: int, path: Path) -> None:
    groups = [j.group() for j in judged]
    figure, ax = axes("Recall against false alarms (clips)", "share of other clips taken for impacts", "share of impacts heard")
    mean, low, high = band(groups, lambda s, p: figures.roc_curve(s, p, GRID), resamples, seed)
    ax.fill_between(GRID, low, high, color=BLUE, alpha=0.18, linewidth=0, label="95 % interval of the mean")
    for j, g in zip(judged, groups):
        ax.plot(GRID, figures.roc_curve(*g, GRID), color=GREY, linewidth=0.9, label="single folds" if j is judged[0] else None)
    auc = np.mean([figures.roc_auc(*g) for g in groups])
    ax.plot(GRID, mean, color=BLUE, linewidth=2, label=f"mean of folds, area {auc:.3f}")
    ax.set_xscale("symlog", linthresh=0.05, linscale=1.2)
    ticks = [0, 0.02, 0.05, 0.1, 0.2, 0.5, 1]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.02)
    ax.legend(loc="lower right", frameon=False)
    save(figure, path)


def precision_recall(judged: list, resamples: int, seed: int, path: Path) -> None:
    groups = [j.group() for j in judged]
    recalls = np.linspace(0.01, 1, 80)

    def curve(scores, positive):
        recall, precision = figures.precision_recall(scores, positive)
        best = np.maximum.accumulate(precision[::-1])[::-1]
        return best[np.minimum(np.searchsorted(recall, recalls - 1e-9), len(best) - 1)]

    figure, ax = axes("Precision against recall (clips)", "recall: share of impacts heard", "precision: share of alarms that are impacts")
    mean, low, high = band(groups, curve, resamples, seed)
    ax.fill_between(recalls, low, high, color=BLUE, alpha=0.18, linewidth=0, label="95 % interval of the mean")
    for j, g in zip(judged, groups):
        ax.plot(recalls, curve(*g), color=GREY, linewidth=0.9, label="single folds" if j is judged[0] else None)
    ax.plot(recalls, mean, color=BLUE, linewidth=2, label="mean of folds")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.02)
    ax.legend(loc="lower left", frameon=False)
    save(figure, path)


def score_histograms(judged: list, threshold: float, path: Path) -> None:
    """Clips of each group by score, on an axis of log-odds, because nearly all scores are near 0 or 1."""
    sure = np.concatenate([j.sure for j in judged])
    groups = np.array(["impact" if c.label != "background" else c.group for j in judged for c in j.run.tested])
    odds = lambda p: np.log10(np.clip(p, 1e-4, 1 - 1e-4) / (1 - np.clip(p, 1e-4, 1 - 1e-4)))
    names = [*sorted(set(groups) - {"impact"}), "impact"]
    figure, rows = plt.subplots(len(names), 1, sharex=True, figsize=(6.4, 1.2 + 1.3 * len(names)), layout="constrained")
    for ax, name, colour in zip(np.atleast_1d(rows), names, [GREY, GREEN, BLUE, GREY][: len(names) - 1] + [RED]):
        ax.hist(odds(sure[groups == name]), np.linspace(-4, 4, 41), color=colour)
        ax.axvline(odds(np.array(threshold)), color="black", linewidth=1, linestyle="--")
        ax.set_ylabel(f"{name}\n(clips)", fontsize=9)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
    ticks = [0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999]
    ax.set_xticks(odds(np.array(ticks)), [f"{t:g}" for t in ticks], fontsize=8)
    ax.set_xlabel(f"how sure of an impact; dashed: threshold {threshold:g}")
    figure.suptitle("Scores of clips that the model never met", fontsize=11)
    save(figure, path)


def reliability(judged: list, path: Path) -> None:
    sure = np.concatenate([j.sure for j in judged])
    positive = np.concatenate([j.positive for j in judged])
    rows = figures.reliability(sure, positive)
    figure, ax = axes("Calibration (clips)", "how sure the model was (mean of each tenth)", "share that were impacts", (6.4, 4.6))
    ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfect")
    ax.plot([r[0] for r in rows], [r[1] for r in rows], color=BLUE, marker="o", label=f"model, mean error {figures.calibration_error(sure, positive):.3f}")
    for x, y, n in rows:
        ax.annotate(f"{n}", (x, y), textcoords="offset points", xytext=(7, -9), fontsize=8)
    ax.set_xlim(0, 1.03)
    ax.set_ylim(-0.03, 1.05)
    ax.legend(loc="upper left", frameon=False, title="numbers: clips")
    save(figure, path)


def confusion(judged: list, labels: list[str], threshold: float, heard_as, path: Path) -> None:
    """Per class of clips, what they were heard as: share of its clips by label, impacts first, then the most mistaken."""
    counts: dict[tuple[str, str], np.ndarray] = {}
    for j in judged:
        for clip, windows in zip(j.run.tested, j.windows):
            row = counts.setdefault((clip.label, clip.cls), np.zeros(len(labels)))
            row[heard_as(windows, threshold)] += 1
    rows = sorted(counts.items(), key=lambda item: (item[0][0] == "background", -item[1][1:].sum() / item[1].sum(), item[0][1]))
    shares = np.array([r / r.sum() for _, r in rows])
    figure, ax = plt.subplots(figsize=(6.0, 1.2 + 0.24 * len(rows)), layout="constrained")
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.set_title(f"What clips of each class were heard as\n(mean of a clip's two most impact-like windows from {threshold:g} on)", fontsize=10)
    ax.set_xticks(range(len(labels)), labels)
    ax.set_yticks(range(len(rows)), [f"{cls} ({label})" if label != "background" else cls for (label, cls), _ in rows], fontsize=8)
    for y, (_, row) in enumerate(rows):
        for x, n in enumerate(row):
            if n:
                ax.text(x, y, f"{int(n)} of {int(row.sum())}", ha="center", va="center", fontsize=7, color="white" if shares[y, x] > 0.55 else "black")
    ax.tick_params(length=0)
    save(figure, path)


def noise(evaluation: dict, path: Path) -> None:
    """ROC AUC and recall by signal-to-noise ratio, of every precision."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.8), layout="constrained")
    names = list(evaluation["precisions"])
    for form, colour, style in zip(names, (GREY, BLUE)[-len(names):], ("--", "-")[-len(names):]):
        conditions = evaluation["precisions"][form]
        x = np.arange(len(conditions))
        mean = lambda name: np.array([np.array(c["mean"][name], float) for c in conditions.values()])
        auc = mean("roc_auc")
        left.plot(x, auc[:, 0], color=colour, linestyle=style, marker="o", markersize=4, label=form)
        if style == "-":
            left.fill_between(x, auc[:, 1], auc[:, 2], color=colour, alpha=0.15, linewidth=0, label="95 % interval")
        right.plot(x, mean("recall_at_fpr_0.05")[:, 0], color=colour, linestyle=style, marker="o", markersize=4, label=f"{form}, at 5 %")
        right.plot(x, mean("recall_at_fpr_0.02")[:, 0], color=colour, linestyle=style, marker="^", markersize=4, label=f"{form}, at 2 %")
    for ax, title in ((left, "ROC AUC"), (right, "Recall at false alarms")):
        ax.set_title(title, fontsize=11)
        ax.set_xticks(x, [c if c == "clean" else f"{c} dB" for c in conditions], fontsize=8)
        ax.grid(True, color="#e3e5e8", linewidth=0.8)
        ax.legend(loc="best", frameon=False, fontsize=8)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
    right.set_ylim(0, 1.02)
    save(figure, path)
