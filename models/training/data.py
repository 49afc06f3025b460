"""Reads the lists of clips, decodes their sound once into a cache, and knows which clip is in which fold, class and group."""

import csv
import hashlib
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import frontend

SPEEDS = (0.84, 0.92, 1.0, 1.09, 1.19)
COLUMNS = ("file", "fold", "class", "group")
UNLABELLED = "unlabelled"


class DataError(Exception):
    """A list or a clip that cannot be used; the message names file, line, what was expected and what was found."""


@dataclass(frozen=True)
class Clip:
    file: str  # as in its list
    path: Path
    fold: int  # 0: never held out
    cls: str
    group: str  # impact, confuser, background; unlabelled
    label: str  # empty when unlabelled

    @property
    def labelled(self) -> bool:
        return self.group != UNLABELLED


@dataclass(frozen=True)
class Work:
    """Where a run works: the folder for everything that can be made again, and the Node that renders generated sound."""

    cache: Path
    node: str


def read_rows(folders: list[Path]) -> list[dict]:
    """The rows of every folder's clips.csv with `folder` added. Raises DataError."""
    rows = []
    for folder in folders:
        path = folder / "clips.csv"
        try:
            with open(path, newline="", encoding="utf-8-sig") as f:
                reader = csv.DictReader(f)
                found = list(reader)
                columns = reader.fieldnames or []
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        missing = [column for column in COLUMNS if column not in columns]
        if missing:
            raise DataError(f"{path}: expected the columns {', '.join(COLUMNS)}, found {', '.join(columns) or 'an empty file'}")
        for line, row in enumerate(found, 2):
            if not (row["fold"] or "").isdigit():
                raise DataError(f"{path}: line {line}, column fold: expected a whole number, found {row['fold']!r}")
            if not (folder / row["file"]).is_file():
                raise DataError(f"{path}: line {line}, column file: expected a sound file, found no {row['file']!r}")
            rows.append({**row, "folder": folder})
    return rows


def read_clips(folders: list[Path], config: dict) -> list[Clip]:
    """Clips of all lists whose fold the configuration names (and fold 0), in the lists' order."""
    wanted = {0, *config["data"]["folds"], *config["data"]["held_out"]}
    clips = [
        Clip(r["file"], r["folder"] / r["file"], int(r["fold"]), r["class"], r["group"],
             "" if r["group"] == UNLABELLED else config["classes"].get(r["class"], "background"))
        for r in read_rows(folders)
    ]
    clips = [c for c in clips if c.fold in wanted and (c.labelled or config["data"]["unlabelled"])]
    found = {c.fold for c in clips}
    for fold in sorted(wanted - {0}):
        if fold not in found:
            raise DataError(f"data.folds: expected clips of fold {fold}, found folds {sorted(found)} in {', '.join(map(str, folders))}")
    classes = {c.cls for c in clips}
    for cls in config["classes"]:
        if cls not in classes:
            raise DataError(f"classes.{cls}: expected clips of this class, found only {', '.join(sorted(classes))}")
    return clips


def sox(path: Path, speed: float = 1.0) -> np.ndarray:
    """Mono int16 at 48 kHz through sox, without dither so that every run reads the same samples."""
    command = ["sox", "-D", str(path.resolve()), "-t", "raw", "-r", "48000", "-e", "signed", "-b", "16", "-c", "1", "-"]
    if speed != 1.0:
        command += ["speed", str(speed), "rate", "48000"]
    try:
        done = subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError as error:
        raise DataError("decoding clips needs the program sox, which is not installed; apt-get install sox libsox-fmt-all") from error
    except subprocess.CalledProcessError as error:
        raise DataError(f"{path}: sox cannot decode it: {error.stderr.decode(errors='replace').strip()[:300]}") from error
    if len(done.stdout) < 2:
        raise DataError(f"{path}: expected sound, found none")
    return np.frombuffer(done.stdout, "<i2")


def decode(path: Path, speed: float = 1.0) -> np.ndarray:
    """Mono float32 at 48 kHz."""
    return sox(path, speed).astype(np.float32) / 32768


def save_whole(target: Path, write) -> None:
    """Makes a file whole or not at all: `write(file)` fills a neighbour that then takes its place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with open(partial, "wb") as f:
            write(f)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def name_in_cache(clip: Clip) -> str:
    """Differs for clips of the same name in two lists, and when a clip's sound changes."""
    status = clip.path.stat()
    text = f"{clip.path.resolve()} {status.st_size} {status.st_mtime_ns}"
    return f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.npy"


def sound(clip: Clip, cache: Path) -> np.ndarray:
    """A clip's samples, mono float32 at 48 kHz, decoded once."""
    target = cache / "sound" / name_in_cache(clip)
    if not target.exists():
        samples = sox(clip.path)
        save_whole(target, lambda f: np.save(f, samples))
    return np.load(target).astype(np.float32) / 32768


def decode_all(clips: list[Clip], cache: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda clip: sound(clip, cache) is None, clips))


def front_end_key() -> str:
    return hashlib.sha256(Path(frontend.__file__).read_bytes()).hexdigest()[:12]


def mel_of(clip: Clip, speed: float, cache: Path) -> np.ndarray:
    """Mel powers [frames, bands] float32 of one clip; kept on disk as the logarithm in half precision."""
    target = cache / "mel" / front_end_key() / f"{speed}" / name_in_cache(clip)
    if not target.exists():
        power = frontend.mel_power(sound(clip, cache) if speed == 1.0 else decode(clip.path, speed))
        logarithm = np.log(power + 1e-12).astype(np.float16)
        save_whole(target, lambda f: np.save(f, logarithm))
    return np.exp(np.load(target).astype(np.float32))


def load(clips: list[Clip], cache: Path) -> list[list[np.ndarray]]:
    """Mel powers of every clip at every speed: [clip][speed] → [frames, bands]."""
    with ThreadPoolExecutor(2) as pool:
        jobs = [[pool.submit(mel_of, clip, speed, cache) for speed in SPEEDS] for clip in clips]
        return [[job.result() for job in row] for row in jobs]
