"""Blows cut alone out of a row of knocks: prints, for each, where it sounds and how loud the other knocks still are. Argument: a seed."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "models/training"))

import numpy as np

import augment
import frontend
import sampler

random = np.random.default_rng(int(sys.argv[1]))
at_s = [0.5, 0.9, 1.2, 1.62]
t = np.arange(2 * augment.RATE_HZ) / augment.RATE_HZ
sound = sum(np.where(t >= at, np.exp(-40 * (t - at)) * np.sin(2 * np.pi * 300 * (t - at)), 0) for at in at_s) * 0.5
samples = np.round(sound * 32767).astype(np.int16)
peaks = sampler.onset_peaks(frontend.mel_power(samples / np.float32(32768)), 12)
near = lambda kept, at: int(np.abs(kept[int((at - 0.01) * augment.RATE_HZ) : int((at + 0.06) * augment.RATE_HZ)].astype(int)).max())
rows = []
for _ in range(200):
    peak = int(random.choice(peaks))
    kept = augment.alone(samples, peaks, peak, random)
    own = min(at_s, key=lambda at: abs(at - peak / 100))
    rows.append({"own": near(kept, own), "whole": near(samples, own), "before": max([near(kept, at) for at in at_s if at < own], default=0),
                 "others": sum(near(kept, at) > 1000 for at in at_s if at != own)})
print(json.dumps({"peaks": len(peaks), "rows": rows}))
