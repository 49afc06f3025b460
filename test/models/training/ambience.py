"""Prints scores of a clip's windows beside its ambience, as the training judges them: [weight, usual, scores] as JSON in and scores out."""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "models/training"))
import figures  # noqa: E402

weight, usual, scores = json.loads(sys.argv[1])
print(json.dumps(figures.Ambience(weight, usual)(np.array(scores)).tolist()))
