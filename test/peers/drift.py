"""The distances of histograms by SciPy: takes JSON lines {p, q, edges, smoothing}, gives JSON lines {hellinger, kullback_leibler, average_pairwise}."""

import json
import sys

import numpy
from scipy.spatial.distance import euclidean
from scipy.stats import energy_distance, entropy

for line in sys.stdin:
    case = json.loads(line)
    p, q, edges = (numpy.array(case[key], dtype=float) for key in ("p", "q", "edges"))
    centres = (edges[:-1] + edges[1:]) / 2
    answer = {
        "hellinger": euclidean(numpy.sqrt(p / p.sum()), numpy.sqrt(q / q.sum())) / numpy.sqrt(2),
        "kullback_leibler": entropy(p + case["smoothing"], q + case["smoothing"]),
        "average_pairwise": energy_distance(centres, centres, p, q) ** 2,
    }
    print(json.dumps({key: float(value) for key, value in answer.items()}))
