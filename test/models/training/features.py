"""Prints the training's input features of the windows in a fixture, and its bins, as JSON."""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "models/training"))
import features  # noqa: E402

windows = json.loads(Path(sys.argv[1]).read_text())
edges = {name: values.tolist() for name, values in features.EDGES.items()} | {"score": features.SCORE_EDGES.tolist()}
rows = [features.input_features(np.array(w["samples"], np.float32), w["sample_rate_hz"]) for w in windows]
print(json.dumps({"edges": edges, "features": rows}))
