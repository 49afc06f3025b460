"""Fits small ensembles to random statistics, writes them as ONNX, and prints how far the runtime's scores of random windows of
sound are from scikit-learn's, as JSON: {kind: worst difference}."""

import json
import os
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "models/training"))
import frontend  # noqa: E402
import trees  # noqa: E402
from model_file import Scorer  # noqa: E402

LABELS = ["background", "body_impact", "glass_break"]


def sounds(random: np.random.Generator, count: int) -> np.ndarray:
    """Noises with a blow or without, of all levels [count, samples]."""
    t = np.arange(frontend.WINDOW_SAMPLES) / frontend.INPUT_RATE_HZ
    blow = lambda: random.exponential(0.3) * np.exp(-random.uniform(5, 80) * np.abs(t - random.random())) * np.sin(2 * np.pi * random.uniform(80, 9000) * t)
    made = [10 ** random.uniform(-4, -1) * random.standard_normal(len(t)) + (random.random() < 0.6) * blow() for _ in range(count)]
    return np.clip(made, -1, 1).astype(np.float32)


def main(seed: int) -> None:
    random = np.random.default_rng(seed)
    statistics = trees.session(trees.statistics_graph(False))
    table = lambda windows: statistics.run(None, {"audio": windows})[0]
    learned, tested = table(sounds(random, 60)), sounds(random, 40)
    truth = random.integers(0, len(LABELS), len(learned))
    worst = {}
    for kind in ("extra_trees", "gradient_boosting"):
        settings = {"kind": kind, "trees": 12, "max_leaf_nodes": 16, "min_samples_leaf": 1, "max_features": 0.2, "learning_rate": 0.2}
        classifier = trees.fit(learned, truth, np.ones(len(truth)), settings, seed)
        model = trees.build([trees.tables(classifier, len(LABELS))], {"labels": LABELS})
        worst[kind] = float(np.abs(Scorer(model)(tested) - classifier.predict_proba(table(tested))).max())
    print(json.dumps(worst))


main(int(sys.argv[1]))
