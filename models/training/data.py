"""Reads the clips (any format that sox reads), turns them into cached mel powers at several speeds, and knows which
clip is in which fold, class and group."""

import csv
import hashlib
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import frontend

SPEEDS = (0.84, 0.92, 1.0, 1.09, 1.19)
LABEL_OF_CLASS = {"door_knock": "body_impact", "glass_breaking": "glass_break"}


@dataclass(frozen=True)
class Clip:
    file: str
    path: Path
    fold: int
    cls: str
    group: str

    @property
    def label(self) -> str:
        return LABEL_OF_CLASS.get(self.cls, "background")


def read_clips(root: Path, folds: set[int]) -> list[Clip]:
    """Clips of `clips.csv` whose fold is wanted, in the file's order."""
    with open(root / "clips.csv", newline="") as f:
        rows = list(csv.DictReader(f))
    return [
        Clip(r["file"], root / r["file"], int(r["fold"]), r["class"], r["group"]) for r in rows if int(r["fold"]) in folds
    ]


def decode(path: Path, speed: float = 1.0) -> np.ndarray:
    """Mono float32 at 48 kHz through sox, without dither so that every run reads the same samples."""
    command = ["sox", "-D", str(path), "-t", "raw", "-r", "48000", "-e", "signed", "-b", "16", "-c", "1", "-"]
    if speed != 1.0:
        command += ["speed", str(speed), "rate", "48000"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, "<i2").astype(np.float32) / 32768


def front_end_key() -> str:
    return hashlib.sha256(Path(frontend.__file__).read_bytes() + Path(__file__).read_bytes()).hexdigest()[:12]


def mel_of(clip: Clip, speed: float, cache: Path) -> np.ndarray:
    """Mel powers [frames, bands] float32 of one clip; kept on disk as the logarithm in half precision."""
    target = cache / front_end_key() / f"{speed}" / (clip.file.replace("/", "_") + ".npy")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        power = frontend.mel_power(decode(clip.path, speed))
        np.save(target, np.log(power + 1e-12).astype(np.float16))
    return np.exp(np.load(target).astype(np.float32))


def load(clips: list[Clip], cache: Path) -> list[list[np.ndarray]]:
    """Mel powers of every clip at every speed: [clip][speed] → [frames, bands]."""
    with ThreadPoolExecutor(2) as pool:
        jobs = [[pool.submit(mel_of, clip, speed, cache) for speed in SPEEDS] for clip in clips]
        return [[job.result() for job in row] for row in jobs]
