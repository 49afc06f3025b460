"""Prints scores of clips' windows beside their ambience, as the training judges them: [weight, usual, assumed, clips] as JSON in and scores out."""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "models/training"))
import figures  # noqa: E402

weight, usual, assumed, clips = json.loads(sys.argv[1])
ambience = figures.Ambience(weight, usual, assumed)
print(json.dumps([ambience(np.array(scores)).tolist() for scores in clips]))
