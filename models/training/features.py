"""The input features of a window that drift is judged by, and the histograms of them over the training windows that go into a
model's description. The vehicle computes the same (models/features.ts)."""

import numpy as np

FLOOR = 1e-6
POWER_FLOOR = 1e-12
EDGES = {
    "rms_dbfs": np.linspace(-120, 0, 21),
    "crest_db": np.linspace(0, 60, 21),
    "zero_crossings_per_s": np.linspace(0, 24_000, 25),
    "treble_db": np.linspace(-60, 6, 23),
}
SCORE_EDGES = np.linspace(0, 1, 21)


def input_features(window: np.ndarray, sample_rate_hz: int) -> dict[str, float]:
    """Level (dB of full scale), crest (dB), changes of sign a second, and treble (power of the differences over power, dB) of
    mono samples −1…1 [n]."""
    x = np.asarray(window, np.float64)
    positive = x >= 0
    power = float((x**2).mean()) if len(x) else 0.0
    difference = float((np.diff(x) ** 2).mean()) if len(x) > 1 else 0.0
    rms = max(power**0.5, FLOOR)
    peak = max(float(np.abs(x).max()) if len(x) else 0.0, FLOOR)
    return {
        "rms_dbfs": 20 * np.log10(rms),
        "crest_db": 20 * np.log10(peak / rms),
        "zero_crossings_per_s": float((positive[1:] != positive[:-1]).sum()) * sample_rate_hz / max(1, len(x)),
        "treble_db": float(10 * np.log10((difference + POWER_FLOOR) / (power + POWER_FLOOR))),
    }


def histogram(feature: str, values, edges: np.ndarray) -> dict:
    """Counts per bin; values beyond the ends are counted in the first and last."""
    counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    return {"feature": feature, "edges": [round(float(e), 6) for e in edges], "counts": counts.tolist()}


def drift_reference(windows: np.ndarray, scores: np.ndarray, labels: list[str], sample_rate_hz: int) -> dict:
    """Histograms of every input feature of `windows` [n, samples] and of every label's score [n, labels]."""
    rows = [input_features(window, sample_rate_hz) for window in windows]
    return {"histograms": [
        *(histogram(name, [row[name] for row in rows], edges) for name, edges in EDGES.items()),
        *(histogram(f"score:{label}", scores[:, i], SCORE_EDGES) for i, label in enumerate(labels)),
    ]}
