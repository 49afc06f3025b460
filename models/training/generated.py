"""Sound made by the project itself: rendered by its generator (drivers/uma8/generated), with the truth beside it."""

import csv
import hashlib
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import data
import frontend

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("wav.ts", "geometry.ts", "placement.ts")
SCRIPT = """
const { renderToWav } = await import(process.argv[1]);
await renderToWav(JSON.parse(process.argv[2]));
"""


@dataclass(frozen=True)
class Rendered:
    power: np.ndarray  # mel powers [frames, bands] of the mean over the microphones
    truth: list[tuple[str, float, float]]  # label, onset s, end s
    mono: Path  # the mean itself, int16

    def audio(self) -> np.ndarray:
        return np.load(self.mono).astype(np.float32) / 32768


def generator_key() -> str:
    """Changes with the generator and with what is kept of its sound, so that no stale rendering is used."""
    files = sorted((ROOT / "drivers/uma8").glob("**/*.ts"))
    files = [f for f in files if f.parent.name == "generated" or f.name in PARTS]
    return hashlib.sha256(b"".join(f.read_bytes() for f in [*files, Path(__file__)])).hexdigest()[:12]


def render(options: dict, cache: Path, node: str = str(ROOT / "node_modules/.bin/node")) -> Rendered:
    """Renders (or takes from the cache) one piece; `options` as renderToWav has them, without paths."""
    folder = cache / "generated" / f"{data.front_end_key()}-{generator_key()}"
    folder.mkdir(parents=True, exist_ok=True)
    key = "-".join(f"{k}{v}" for k, v in sorted(options.items())).replace(" ", "")
    mel, truth, wav, mono = (folder / f"{key}.{part}" for part in ("mel.npy", "csv", f"{os.getpid()}.wav", "mono.npy"))
    if not (mel.exists() and truth.exists() and mono.exists()):
        module = ROOT / "drivers/uma8/generated/render-to-wav.ts"
        job = json.dumps({**options, "path": str(wav), "csvPath": str(truth)})
        subprocess.run([node, "--input-type=module", "-e", SCRIPT, str(module), job], check=True, cwd=ROOT)
        samples = data.decode(wav)
        data.save_whole(mono, lambda f: np.save(f, np.round(samples * 32768).astype(np.int16)))
        data.save_whole(mel, lambda f: np.save(f, np.log(frontend.mel_power(samples) + 1e-12).astype(np.float16)))
        wav.unlink()
    with open(truth, newline="") as f:
        rows = [(r["label"], float(r["onset_s"]), float(r["end_s"])) for r in csv.DictReader(f)]
    return Rendered(np.exp(np.load(mel).astype(np.float32)), rows, mono)


def render_all(jobs: list[dict], cache: Path, node: str = str(ROOT / "node_modules/.bin/node")) -> list[Rendered]:
    """Every job once for each of its `seeds`, two at a time."""
    pieces = [{**{k: v for k, v in job.items() if k != "seeds"}, "seed": seed} for job in jobs for seed in job["seeds"]]
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda piece: render(piece, cache, node), pieces))
