"""Pools of finished training windows, and batches drawn from them. A pool holds the windows of one fold only (or of generated sound), as
mel powers beside the teacher's answers, so that what a network learns from can be chosen fold by fold."""

import hashlib
import json
import multiprocessing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import augment
import data
import distill
import frontend
import generated
from augment import Sound

FRAMES, BANDS = frontend.FRAMES, frontend.MEL_BANDS
KINDS = ("real_impact", "generated_impact", "confuser", "background", "generated_drive", "unlabelled")
ONLINE = ("noisy", "mask", "mask_bands", "mask_frames")  # settings of batches, not of pools
CHUNK = 500  # windows made, and kept in a file, at once


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


@dataclass(frozen=True)
class Source:
    """The sounds of one pool: [kind][class][sound]; `quiet` may lie under anything."""

    name: str
    sounds: dict[str, dict[str, list[Sound]]]
    quiet: list[tuple[str, list[Sound]]]
    count: int  # windows to make


@dataclass(frozen=True)
class Pool:
    """Windows of one source. Class names by number; −1: unknown."""

    classes: list[str]
    kind: np.ndarray  # [n] number in KINDS
    main: np.ndarray  # [n] class
    other: np.ndarray  # [n] class of the sound mixed under it
    share: np.ndarray  # [n] what of the target is the main class's
    power: np.ndarray  # [n, frames, bands] float16, logarithm
    embedding: np.ndarray  # [n, …] float16, empty without a teacher
    logits: np.ndarray


def kind_of(clip: data.Clip) -> str:
    if not clip.labelled:
        return "unlabelled"
    return "real_impact" if clip.label != "background" else "confuser" if clip.group == "confuser" else "background"


def source_of_fold(name: str, clips: list[data.Clip], drives: list[Sound], config: dict, cache: Path) -> Source:
    """The sounds of one fold; under them lie its own backgrounds and generated drives."""
    sounds, quiet, count = {}, {}, 0
    per = config["augmentation"]["windows"]
    for clip in clips:
        samples = data.sound(clip, cache)
        power = frontend.mel_power(samples)
        impact = clip.label not in ("", "background")
        sound = Sound(np.round(samples * 32768).astype(np.int16), onset_peaks(power, 12 if impact else 20), impact)
        sounds.setdefault(kind_of(clip), {}).setdefault(clip.cls if clip.labelled else "", []).append(sound)
        if clip.group == "background":
            quiet.setdefault(clip.cls, []).append(sound)
        count += per["unlabelled" if not clip.labelled else "labelled"]
    under = list(quiet.items()) * 2 + ([("generated_drive", drives)] * max(1, len(quiet)) if drives else [])
    return Source(name, sounds, under, count)


def source_of_generated(rendered: list, config: dict) -> tuple[Source, list[Sound]]:
    """The generated impacts, each with a second around it, and the stretches without one."""
    impacts, drives, seconds = {}, [], 0.0
    rate = frontend.INPUT_RATE_HZ
    for piece in rendered:
        samples = np.round(piece.audio() * 32768).astype(np.int16)
        total, free = len(samples) / rate, 0.0
        seconds += total
        for label, onset, end in [*piece.truth, ("", total + 0.05, 0)]:
            calm = samples[int(free * rate) : int(min(onset - 0.05, total) * rate)]
            if len(calm) > rate:
                drives.append(Sound(calm, onset_peaks(frontend.mel_power(calm / np.float32(32768)), 15), False))
            if label:
                first, last = max(onset - 1.2, free), min(end + 1.2, total)
                peak = np.array([int((onset - first) * 100)])
                impacts.setdefault(f"generated_{label}", []).append(Sound(samples[int(first * rate) : int(last * rate)], peak, True))
                free = end + 0.35
    sounds = {"generated_impact": impacts, "generated_drive": {"generated_drive": drives}}
    return Source("generated", sounds, [("generated_drive", drives)], round(config["augmentation"]["windows"]["generated"] * seconds / 60)), drives


def make_windows(source: Source, settings: dict, seed: int, count: int) -> tuple[np.ndarray, list[tuple]]:
    """`count` windows [n, samples] and what is in each: (kind, main, other, share)."""
    random = np.random.default_rng([seed, int(hashlib.sha256(source.name.encode()).hexdigest()[:8], 16)])
    kinds = [k for k in KINDS if k in source.sounds]
    # Where there are unlabelled sounds they are most of it; then every sound counts the same.
    sizes = [sum(map(len, source.sounds[k].values())) for k in kinds]
    weights = np.array(sizes if "unlabelled" in kinds else [settings["shares"][k] for k in kinds], float)
    negatives = [item for k in kinds if "impact" not in k for item in source.sounds[k].items()]
    windows, truths = [], []
    for _ in range(count):
        kind = kinds[random.choice(len(kinds), p=weights / weights.sum())]
        name = list(source.sounds[kind])[random.integers(len(source.sounds[kind]))]
        sounds = source.sounds[kind][name]
        sound = sounds[random.integers(len(sounds))]
        window, other, share = augment.coloured(augment.cut(sound, settings, random), settings, random), "", 1.0
        if random.random() < settings["mix_impact" if sound.impact else "mix_other"]:
            under_quiet = (sound.impact or random.random() < 0.5 or not negatives) and source.quiet
            choices = source.quiet if under_quiet else negatives
            if choices:
                other, beneath = choices[random.integers(len(choices))]
                beneath = beneath[random.integers(len(beneath))]
                under = augment.coloured(augment.cut(beneath, settings, random), settings, random)
                snr_db = random.uniform(*settings["snr_db"])
                window = augment.mixed(window, under, snr_db, not sound.impact)
                # Two negatives share the target by loudness; an impact keeps all of it.
                share = 1.0 if sound.impact else float(1 / (1 + np.exp(-snr_db * 0.23)))
        windows.append(augment.damaged(window, settings, random))
        truths.append((KINDS.index(kind), name, other, share))
    return np.stack(windows), truths


def open_pools(clips: list[data.Clip], config: dict, work: data.Work, jobs: int) -> dict[str, Pool]:
    """The pool of every fold of `clips` and of the generated sound, by name; what is missing in the cache is made, by `jobs`
    processes."""
    by_fold = {f"fold-{fold}": [c for c in clips if c.fold == fold] for fold in sorted({c.fold for c in clips})}
    listed = ({"generated": []} if config["generated"] else {}) | by_fold
    folders = {name: work.cache / "pools" / pool_key(name, of_pool, config) for name, of_pool in listed.items()}
    missing = [name for name, folder in folders.items() if not (folder / "complete").exists()]
    if missing:
        rendered, drives = source_of_generated(generated.render_all(config["generated"], work.cache, work.node), config)
        for name in missing:
            source = rendered if name == "generated" else source_of_fold(name, listed[name], drives, config, work.cache)
            make_pool(source, config, work, folders[name], jobs)
    return {name: load_pool(sorted(folder.glob("*.npz"))) for name, folder in folders.items()}


def pool_key(name: str, clips: list[data.Clip], config: dict) -> str:
    """Changes with all that the windows of a pool depend on."""
    listed = [(c.file, c.cls, c.group, c.label, c.path.stat().st_size) for c in clips]
    code = b"".join(Path(module.__file__).read_bytes() for module in (augment, frontend))
    settings = {k: v for k, v in config["augmentation"].items() if k not in ONLINE}
    text = json.dumps([name, listed, settings, config.get("distillation", {}).get("sha256"), config["generated"], config["seed"],
                       generated.generator_key() if config["generated"] else ""], sort_keys=True)
    return f"{name}-{hashlib.sha256(text.encode() + code).hexdigest()[:16]}"


def make_pool(source: Source, config: dict, work: data.Work, folder: Path, jobs: int) -> None:
    """Fills `folder`, CHUNK windows a file; the files of an earlier call that was stopped are kept."""
    global _tasks
    chunks = [(folder / f"{n:04}.npz", n, min(CHUNK, source.count - n * CHUNK)) for n in range(-(-source.count // CHUNK))]
    _tasks = [(source, config, work, *chunk) for chunk in chunks if not chunk[0].exists()]
    if jobs == 1:
        for i in range(len(_tasks)):
            _make_chunk(i)
    else:
        with multiprocessing.get_context("fork").Pool(jobs) as pool:
            for _ in pool.imap_unordered(_make_chunk, range(len(_tasks))):
                pass
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "complete").touch()


_tasks: list = []
_teacher = None


def _make_chunk(number: int) -> None:
    global _teacher
    source, config, work, target, n, count = _tasks[number]
    if "distillation" in config and _teacher is None:
        _teacher = distill.Teacher(config["distillation"], work.cache)
    windows, truths = make_windows(source, config["augmentation"], config["seed"] * 10_000 + n, count)
    power = np.stack([np.log(frontend.mel_power(w) + 1e-12) for w in windows]).astype(np.float16)
    answers = [np.zeros((count, 0)), np.zeros((count, 0))]
    if _teacher is not None:
        answers = [np.concatenate(part) for part in zip(*(_teacher(windows[i : i + 25]) for i in range(0, count, 25)))]
    kind, main, other, share = zip(*truths)
    data.save_whole(target, lambda f: np.savez(
        f, power=power, embedding=answers[0].astype(np.float16), logits=answers[1].astype(np.float16),
        kind=np.array(kind), main=np.array(main), other=np.array(other), share=np.array(share, np.float32)))


def load_pool(files: list[Path]) -> Pool:
    parts = [np.load(f) for f in files]
    joined = {name: np.concatenate([p[name] for p in parts]) for name in parts[0].files}
    classes = sorted({*joined["main"], *joined["other"]} - {""})
    number = {name: i for i, name in enumerate(classes)} | {"": -1}
    numbers = lambda names: np.array([number[name] for name in names])
    return Pool(classes, joined["kind"], numbers(joined["main"]), numbers(joined["other"]), joined["share"],
                joined["power"], joined["embedding"], joined["logits"])


class Sampler:
    """Batches out of pools; deterministic by its seed."""

    def __init__(self, pools: list[Pool], config: dict, seed: int):
        labels = config["labels"]
        self.classes = sorted({name for pool in pools for name in pool.classes})
        label_of = lambda name: config["classes"].get(name) or (name[10:] if name[10:] in labels[1:] else "background")
        self.labels_of_classes = [labels.index(label_of(name)) for name in self.classes]
        self.settings, self.random = config["augmentation"], np.random.default_rng(seed)
        self.power = np.concatenate([p.power for p in pools])
        self.kind = np.concatenate([p.kind for p in pools])
        self.embedding = torch.from_numpy(np.concatenate([p.embedding for p in pools])).float()
        self.logits = torch.from_numpy(np.concatenate([p.logits for p in pools])).float()
        self.target = torch.from_numpy(np.concatenate([self._targets(p) for p in pools]))
        self.labelled = self.target.sum(dim=1) > 0
        self.rows = [np.flatnonzero(self.kind == k) for k in range(len(KINDS))]
        shares = np.array([self.settings["shares"][k] if len(rows) else 0 for k, rows in zip(KINDS, self.rows)])
        self.shares = shares / shares.sum()

    def every_window_alike(self) -> None:
        """Draws from all windows alike instead of by the shares of their kinds."""
        self.shares = np.array([len(rows) for rows in self.rows]) / len(self.kind)

    def _targets(self, pool: Pool) -> np.ndarray:
        """[n, classes]; all zero when unknown."""
        own = np.array([self.classes.index(name) for name in pool.classes] + [-1])
        target, at = np.zeros((len(pool.main), len(self.classes)), np.float32), np.arange(len(pool.main))
        known, mixed = pool.main >= 0, (pool.other >= 0) & (pool.share < 1)
        target[at[known], own[pool.main[known]]] = pool.share[known]
        both = known & mixed
        np.add.at(target, (at[both], own[pool.other[both]]), 1 - pool.share[both])
        target[known & ~mixed] /= np.maximum(target[known & ~mixed].sum(axis=1, keepdims=True), 1e-6)
        return target / np.maximum(target.sum(axis=1, keepdims=True), 1e-6)

    def batch(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Powers [n, frames, bands], and the numbers of the windows."""
        r = self.random
        counts = r.multinomial(n, self.shares)
        at = np.concatenate([r.choice(rows, k) for rows, k in zip(self.rows, counts) if k])
        return self._damaged(self._in_noise(self._powers(at))), torch.from_numpy(at)

    def _powers(self, at: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.exp(self.power[at].astype(np.float32)))

    def _in_noise(self, power: torch.Tensor) -> torch.Tensor:
        """Some of the windows over another background: what is wanted of them stays what the window alone is."""
        r, background = self.random, np.concatenate([self.rows[KINDS.index(k)] for k in ("background", "generated_drive")])
        some = np.flatnonzero(r.random(len(power)) < self.settings["noisy"])
        if len(background) and len(some):
            under = self._powers(r.choice(background, len(some)))
            loudest = torch.nn.functional.avg_pool1d(power[some].mean(dim=2)[:, None], 10, 1)[:, 0].amax(dim=1)
            snr_db = torch.from_numpy(r.uniform(*self.settings["snr_db"], len(some))).float()
            gain = loudest / (under.mean(dim=(1, 2)) + 1e-12) * 10 ** (-snr_db / 10)
            power[some] += gain.clamp(max=1e6)[:, None, None] * under
        return power

    def _damaged(self, power: torch.Tensor) -> torch.Tensor:
        """Tilted spectra, noise floors, masked bands and frames (Park and others, SpecAugment, 2019)."""
        n, r, c = len(power), self.random, self.settings
        band = np.linspace(-0.5, 0.5, BANDS)
        tilt = r.normal(0, c["tilt_db"] / 2, (n, 1)) * band + r.normal(0, c["ripple_db"], (n, 1)) * np.cos(2 * np.pi * band + r.uniform(0, 6.3, (n, 1)))
        power = power * torch.from_numpy(10 ** (tilt / 10)).float()[:, None, :]
        some = np.flatnonzero(r.random(n) < c["noise"] / 2)
        level = 10 ** (r.uniform(-55, -12, (len(some), 1)) / 10)
        shape = 10 ** (np.linspace(0, 1, BANDS)[None] * r.uniform(-25, 10, (len(some), 1)) / 10)
        floor = torch.from_numpy(level * shape / shape.mean(1, keepdims=True)).float()
        speckle = torch.from_numpy(r.standard_exponential((len(some), FRAMES, BANDS), np.float32)) * 0.5 + 0.5
        power[some] += floor[:, None, :] * power[some].mean(dim=(1, 2), keepdim=True) * speckle
        mask = torch.ones(n, FRAMES, BANDS)
        for i in np.flatnonzero(r.random(n) < c["mask"]):
            width, at = r.integers(1, c["mask_bands"]), r.integers(0, BANDS)
            mask[i, :, at : at + width] = 1e-4
            width, at = r.integers(1, c["mask_frames"]), r.integers(0, FRAMES)
            mask[i, at : at + width] = 1e-4
        return power * mask
