"""How good scores are: ranking, bootstrap intervals, calibration and thresholds. Pure functions of numbers."""

from dataclasses import dataclass

import numpy as np

FPRS = (0.02, 0.05, 0.1)


def roc_auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Probability that a positive scores above a negative, ties counting one half; NaN when a kind is missing."""
    p, n = scores[positive], np.sort(scores[~positive])
    if len(p) == 0 or len(n) == 0:
        return float("nan")
    wins = (np.searchsorted(n, p, "left") + np.searchsorted(n, p, "right")) / 2
    return float(wins.mean() / len(n))


def recall_at(scores: np.ndarray, positive: np.ndarray, fpr: float) -> float:
    """Share of positives above the first negative that cannot be afforded at this false-positive rate."""
    n = np.sort(scores[~positive])[::-1]
    affordable = int(fpr * len(n) + 1e-9)
    if not positive.any() or len(n) == 0:
        return float("nan")
    return float((scores[positive] > n[affordable]).mean()) if affordable < len(n) else 1.0


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the steps of the precision-recall curve."""
    recall, precision = precision_recall(scores, positive)
    return float((np.diff(recall, prepend=0) * precision).sum())


def roc_curve(scores: np.ndarray, positive: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Recall at each false-positive rate of `grid`."""
    return np.array([recall_at(scores, positive, f) for f in grid])


def precision_recall(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision at each score, from the highest score down; equal scores are one step."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    last = np.append(np.diff(scores[order]) != 0, True)
    return hits[last] / max(1, positive.sum()), (hits / np.arange(1, len(hits) + 1))[last]


def bootstrap(groups: list[tuple[np.ndarray, np.ndarray]], statistic, resamples: int, seed: int) -> np.ndarray:
    """Statistics [resamples, …] of clips drawn anew with replacement. `groups`: (scores [clips] or [draws, clips], positive [clips]) of each
    fold; folds and kinds keep their sizes (stratified), and `statistic` of each fold is averaged over the folds."""
    random = np.random.default_rng(seed)
    drawn = []
    for scores, positive in groups:
        kinds = [np.flatnonzero(positive), np.flatnonzero(~positive)]
        picks = [np.concatenate([k[random.integers(0, len(k), len(k))] for k in kinds if len(k)]) for _ in range(resamples)]
        drawn.append([statistic(scores[..., i], positive[i]) for i in picks])
    return mean_of_known(drawn)


def mean_of_known(rows: list) -> np.ndarray:
    """Mean over the first axis of what is a number: a fold without impacts has no ROC AUC. NaN where nothing is."""
    values = np.array(rows, float)
    known = ~np.isnan(values)
    return np.where(known, values, 0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)


def interval(values: np.ndarray, share: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """The percentile interval of bootstrap statistics."""
    return np.quantile(values, (1 - share) / 2, axis=0), np.quantile(values, (1 + share) / 2, axis=0)


@dataclass(frozen=True)
class Calibration:
    """Scores become softmax((log(score) + shift of background) / temperature): temperature scaling (Guo and others, On Calibration of Modern
    Neural Networks, ICML 2017), and with the shift another share of impacts than the training's windows have."""

    temperature: float
    background_shift: float

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Label probabilities [n, labels], background first, as the graph gives them."""
        z = np.log(np.maximum(scores, 1e-7)).astype(np.float64)
        z[:, 0] += self.background_shift
        z /= self.temperature
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)


def fit_calibration(scores: np.ndarray, truth: np.ndarray) -> Calibration:
    """Temperature from 0.2 to 5 and shift from −3 to 6 with the least mean negative log likelihood of the true labels [n]."""
    rows = np.arange(len(truth))

    def loss(candidate: Calibration) -> float:
        return float(-np.log(candidate(scores)[rows, truth] + 1e-12).mean())

    temperatures = [round(float(t), 4) for t in np.exp(np.linspace(np.log(0.2), np.log(5), 66))]
    return min((Calibration(t, round(float(s), 2)) for t in temperatures for s in np.arange(-3, 6.05, 0.1)), key=loss)


@dataclass(frozen=True)
class Ambience:
    """Scores of a clip's windows beside what is usual in that clip, as models/ambience.ts has it (`relativeToAll`): `weight` of the distance of their
    median log-odds of an impact, with `assumed` windows of `usual` among them, from `usual` is taken off."""

    weight: float
    usual: float
    assumed: int

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Scores [windows, labels], which add up to one as before."""
        before = log_odds(scores)
        after = before - self.weight * (np.median([self.usual] * self.assumed + list(before)) - self.usual)
        sigmoid = lambda odds: 1 / (1 + np.exp(-odds))
        factors = np.stack([sigmoid(-after) / sigmoid(-before)] + [sigmoid(after) / sigmoid(before)] * (scores.shape[1] - 1), axis=1)
        return scores * factors


def log_odds(scores: np.ndarray) -> np.ndarray:
    """Of an impact of any label, per window of [windows, labels]."""
    return np.log(np.maximum(scores[:, 1:].sum(axis=1), 1e-9) / np.maximum(scores[:, 0], 1e-9))


def reliability(sure: np.ndarray, positive: np.ndarray, bins: int = 10) -> list[tuple[float, float, int]]:
    """Per bin of equal width with clips in it: mean sureness, share of positives, clips."""
    of = np.minimum((sure * bins).astype(int), bins - 1)
    return [(float(sure[of == b].mean()), float(positive[of == b].mean()), int((of == b).sum())) for b in range(bins) if (of == b).any()]


def calibration_error(sure: np.ndarray, positive: np.ndarray) -> float:
    """Expected calibration error: mean distance of sureness and share of positives, weighted by clips."""
    return sum(abs(mean - share) * n for mean, share, n in reliability(sure, positive)) / len(sure)


def brier(sure: np.ndarray, positive: np.ndarray) -> float:
    return float(((sure - positive) ** 2).mean())


def false_alarms(sure: list[np.ndarray], threshold: float, release_ratio: float, merge_windows: int) -> int:
    """Events in recordings without impact: windows from `threshold` up that follow each other without a pause (a window under
    release_ratio × threshold), pauses of up to `merge_windows` bridged. About what models/event-maker.ts raises, which judges."""
    count = 0
    for windows in sure:
        quiet = merge_windows + 1
        inside = False
        for value in windows:
            if value >= threshold:
                count += not inside and quiet > merge_windows
                inside, quiet = True, 0
            elif value < threshold * release_ratio:
                inside = False
            quiet = 0 if inside else quiet + 1
    return count


def threshold_for_budget(sure: list[np.ndarray], hours: float, budget_per_hour: float, release_ratio: float, merge_windows: int) -> float:
    """The lowest threshold, of some evenly apart in log-odds, from which up no more false alarms are raised than the budget allows."""
    best = 0.9999
    for odds in np.arange(9, -4.05, -0.1):
        threshold = round(float(1 / (1 + np.exp(-odds))), 4)
        if false_alarms(sure, threshold, release_ratio, merge_windows) > budget_per_hour * hours:
            break
        best = threshold
    return best
