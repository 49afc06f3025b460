"""Draws training windows: places impacts and other sounds in windows, mixes them, and varies them in the domain of mel
powers, where mixing is adding, colouring is a gain per band and an echo is a smear along time."""

from dataclasses import dataclass, field

import numpy as np
import torch

import data
import frontend
import generated

FRAMES, BANDS = frontend.FRAMES, frontend.MEL_BANDS


@dataclass
class Source:
    """One sound as it can be cut: rows [start, start + length) of the store, and frames worth looking at."""

    start: int
    length: int
    peaks: np.ndarray
    fine: int


@dataclass
class Store:
    """All mel powers end to end, and per fine class the sounds: [class][sound][variant]."""

    power: torch.Tensor
    sounds: dict[int, list[list[Source]]] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)  # fine classes
    labels_of_classes: list[int] = field(default_factory=list)
    shares: dict[int, float] = field(default_factory=dict)
    quiet: list[int] = field(default_factory=list)  # fine classes that may lie under an impact


def open_store(clips: list[data.Clip], config: dict, work: data.Work) -> Store:
    """Everything that a run's windows are drawn from: its labelled clips at all speeds, and generated sound."""
    clips = [clip for clip in clips if clip.labelled]
    labels, rendered = config["labels"], generated.render_all(config["generated"], work.cache, work.node)
    label_of = {clip.cls: clip.label for clip in clips}
    if rendered:
        label_of |= {"generated_drive": "background"} | {f"generated_{name}": name for name in labels[1:]}
    names = sorted(label_of)
    fine_of = {name: i for i, name in enumerate(names)}
    store = build_store(clips, data.load(clips, work.cache), fine_of)
    if rendered:
        add_generated(store, rendered, fine_of)
    store.classes, store.labels_of_classes = names, [labels.index(label_of[name]) for name in names]
    store.shares = class_shares(clips, names, config)
    background = {c.cls for c in clips if c.group == "background"} | {"generated_drive"}
    store.quiet = sorted(fine_of[name] for name in background if name in fine_of)
    return store


def class_shares(clips: list[data.Clip], names: list[str], config: dict) -> dict[int, float]:
    """How often each fine class is drawn: each kind's share is divided evenly among its classes."""
    kinds = {
        "real_impact": {c.cls for c in clips if c.label != "background"},
        "confuser": {c.cls for c in clips if c.group == "confuser"},
        "background": {c.cls for c in clips if c.group == "background"},
        "generated_impact": {f"generated_{label}" for label in config["labels"][1:]} & set(names),
        "generated_drive": {"generated_drive"} & set(names),
    }
    shares = config["augmentation"]["shares"]
    return {names.index(cls): shares[kind] / len(classes) for kind, classes in kinds.items() for cls in sorted(classes)}


def onset_peaks(power: np.ndarray, range_db: float) -> np.ndarray:
    """Frames where the energy rises steeply to within `range_db` of the loudest such rise; at least one."""
    weight = np.linspace(1, 4, BANDS)  # brings out the high bands, where blows stand out of rumble
    energy = (power * weight).sum(axis=1) + 1e-11
    view = np.lib.stride_tricks.sliding_window_view
    before = view(np.pad(energy, (5, 0), constant_values=1e-11), 5)[:-1].mean(axis=1)
    rise = np.maximum(energy - before, 0)
    local = rise >= view(np.pad(rise, 4), 9).max(axis=1)
    wanted = local & (rise > rise.max() * 10 ** (-range_db / 10)) & (energy > 1.6 * before)
    return np.flatnonzero(wanted) if wanted.any() else np.array([int(rise.argmax())])


def build_store(clips: list[data.Clip], mels: list[list[np.ndarray]], fine_of: dict[str, int]) -> Store:
    """A store of real clips at all speeds."""
    parts, sounds, at = [], {}, 0
    for clip, variants in zip(clips, mels):
        row = []
        for power in variants:
            if len(power) < FRAMES:
                power = np.pad(power, ((0, FRAMES - len(power)), (0, 0)))
            impact = clip.label != "background"
            row.append(Source(at, len(power), onset_peaks(power, 12 if impact else 20), fine_of[clip.cls]))
            parts.append(power)
            at += len(power)
        sounds.setdefault(fine_of[clip.cls], []).append(row)
    return Store(torch.from_numpy(np.concatenate(parts)), sounds)


def add_generated(store: Store, rendered: list, fine_of: dict[str, int]) -> None:
    """Adds the generated impacts, each with a second around it, and the stretches without one."""
    at = len(store.power)
    for piece in rendered:
        store.power = torch.cat([store.power, torch.from_numpy(piece.power)])
        rate, total = frontend.FRAME_RATE_HZ, len(piece.power)
        free = 0
        for label, onset_s, end_s in [*piece.truth, ("", total / rate + 1.2, 0)]:
            onset = int(onset_s * rate)
            calm = piece.power[free : min(onset - 5, total)]
            if len(calm) > FRAMES:
                source = Source(at + free, len(calm), onset_peaks(calm, 15), fine_of["generated_drive"])
                store.sounds.setdefault(source.fine, []).append([source])
            if label:
                first, last = max(onset - 80, free), min(int(end_s * rate) + 80, total)
                if last - first > FRAMES and onset - first > 2:
                    peak = np.array([onset - first])
                    store.sounds.setdefault(fine_of[f"generated_{label}"], []).append([Source(at + first, last - first, peak, fine_of[f"generated_{label}"])])
                free = int((end_s + 0.35) * rate)
        at += total


class Sampler:
    """Batches of (powers [n, frames, bands], fine-class targets [n, classes]); deterministic by its seed."""

    def __init__(self, store: Store, config: dict, seed: int):
        self.store, self.classes, self.config = store, len(store.classes), config["augmentation"]
        self.impacts = {i for i, label in enumerate(store.labels_of_classes) if label > 0}
        self.random = np.random.default_rng(seed)
        self.fine = np.array([f for f in store.shares if f in store.sounds])
        weights = np.array([store.shares[f] for f in self.fine], float)
        self.weights = weights / weights.sum()
        self.quiet = [f for f in store.quiet if f in store.sounds]
        self.offsets = torch.arange(FRAMES)

    def _start(self, fine: int) -> int:
        r = self.random
        sound = self.store.sounds[fine]
        source = sound[r.integers(len(sound))]
        source = source[r.integers(len(source))]
        last = source.length - FRAMES
        if fine in self.impacts or r.random() < self.config["peak_share"]:
            peak = int(source.peaks[r.integers(len(source.peaks))])
            # The blow is anywhere but in the last quarter second: a later window shows it better.
            offset = int(r.integers(3, FRAMES - 22)) if fine in self.impacts else int(r.integers(0, FRAMES))
            return source.start + min(max(peak - offset, 0), last)
        return source.start + int(r.integers(0, last + 1))

    def _gather(self, fines) -> torch.Tensor:
        starts = torch.tensor([self._start(int(f)) for f in fines])
        return self.store.power[starts[:, None] + self.offsets]

    def batch(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        r, c = self.random, self.config
        fine = r.choice(self.fine, n, p=self.weights)
        main = self.colour(self._gather(fine))
        target = torch.zeros(n, self.classes)
        target[torch.arange(n), torch.from_numpy(fine)] = 1
        is_impact = np.isin(fine, list(self.impacts))
        # Mix a second sound under it: any background under an impact, any negative beside a negative.
        other = r.choice(self.quiet, n)
        negatives = np.array([f for f in self.fine if f not in self.impacts])
        other = np.where(is_impact | (r.random(n) < 0.5), other, r.choice(negatives, n))
        under = self.colour(self._gather(other))
        level_main = loudest(main)
        level_under = torch.where(torch.from_numpy(is_impact), under.mean(dim=(1, 2)), loudest(under))
        snr = torch.from_numpy(r.uniform(c["snr_db"][0], c["snr_db"][1], n)).float()
        gain = level_main / (level_under + 1e-12) * 10 ** (-snr / 10)
        mixed = torch.from_numpy(r.random(n) < np.where(is_impact, c["mix_impact"], c["mix_other"]))
        gain = torch.where(mixed, gain.clamp(max=1e8), torch.zeros(n))
        power = main + gain[:, None, None] * under
        # Two negatives share the target by loudness; an impact keeps all of it.
        share = torch.where(torch.from_numpy(is_impact) | ~mixed, torch.ones(n), torch.sigmoid(snr * 0.23))
        target = target * share[:, None]
        target[torch.arange(n), torch.from_numpy(other)] += 1 - share
        return self.damage(power), target

    def colour(self, power: torch.Tensor) -> torch.Tensor:
        """A smooth random gain per band: microphone, housing, distance, window pane; sometimes an echo."""
        n, r, c = len(power), self.random, self.config
        band = np.linspace(0, 1, BANDS)
        curve = r.normal(0, c["tilt_db"], (n, 1)) * (band - 0.5)
        for k in (1, 2, 3, 5):
            curve = curve + r.normal(0, c["ripple_db"] / k**0.5, (n, 1)) * np.cos(np.pi * k * band + r.uniform(0, 2 * np.pi, (n, 1)))
        low = np.where(r.random((n, 1)) < c["low_pass"], r.uniform(0.35, 1.0, (n, 1)), 2)
        curve -= np.maximum(band - low, 0) * r.uniform(60, 300, (n, 1))
        high = np.where(r.random((n, 1)) < c["high_pass"], r.uniform(0, 0.4, (n, 1)), -1)
        curve -= np.maximum(high - band, 0) * r.uniform(40, 200, (n, 1))
        power = power * torch.from_numpy(10 ** (curve / 10)).float()[:, None, :]
        echo = np.flatnonzero(r.random(n) < c["echo"])
        decay = torch.from_numpy(r.uniform(5, 45, (len(echo), 1, 1))).float()
        strength = torch.from_numpy(r.uniform(0.2, 1.5, (len(echo), 1, 1))).float()
        age = self.offsets[:, None] - self.offsets[None]  # [to, from] frames
        kernel = strength * 2.3 / decay * torch.exp(-2.3 * age.clamp(min=0) / decay) * (age >= 0)
        power[echo] += kernel @ power[echo]
        return power

    def damage(self, power: torch.Tensor) -> torch.Tensor:
        """Noise floors, masked bands and frames, loss of the quiet parts."""
        n, r, c = len(power), self.random, self.config
        noisy = r.random(n) < c["noise"]
        level = np.where(noisy, 10 ** (r.uniform(-55, -8, n) / 10), 0)[:, None]
        shape = 10 ** (np.linspace(0, 1, BANDS)[None] * r.uniform(-25, 10, (n, 1)) / 10)
        floor = torch.from_numpy(level * shape / shape.mean(1, keepdims=True)).float()
        speckle = torch.from_numpy(r.standard_exponential((n, FRAMES, BANDS), np.float32)) * 0.5 + 0.5
        power = power + floor[:, None, :] * power.mean(dim=(1, 2), keepdim=True) * speckle
        mask = torch.ones(n, FRAMES, BANDS)
        for i in np.flatnonzero(r.random(n) < c["mask"]):
            for _ in range(2):
                width, at = r.integers(1, c["mask_bands"]), r.integers(0, BANDS)
                mask[i, :, at : at + width] = 1e-4
            width, at = r.integers(1, c["mask_frames"]), r.integers(0, FRAMES)
            mask[i, at : at + width] = 1e-4
        gain = torch.from_numpy(10 ** r.uniform(-4, 1.5, n)).float()
        return power * mask * gain[:, None, None]


def loudest(power: torch.Tensor) -> torch.Tensor:
    """Mean power of the loudest 100 ms of each window [n]."""
    return torch.nn.functional.avg_pool1d(power.mean(dim=2)[:, None], 10, 1)[:, 0].amax(dim=1)
