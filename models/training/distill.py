"""A large network as a teacher (Hinton, Vinyals & Dean, Distilling the Knowledge in a Neural Network, 2015): what it says of a window
becomes what the small network learns to say. Only its answers are used: no weight of it goes into a model.

A teacher is an ONNX file: `audio` [batch, samples] at 32 kHz in, `embedding` [batch, n] and `logits` [batch, m] (of independent
tags) out. Its answers are not labels of this project's classes: a linear head fitted on the clips of the training folds alone
translates them, so that no held-out fold is met."""

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from data import DataError

TEACHER_RATE_HZ = 32_000


class Teacher:
    """Answers to windows; refuses a file whose sum is not the configured one."""

    def __init__(self, settings: dict, folder: Path):
        path = folder / settings["teacher"]
        if not path.is_file():
            raise DataError(f"distillation.teacher: expected an ONNX file, found none at {path.absolute()}; fetch it from {settings['source']}, "
                            "or leave out `distillation` to train with labels alone")
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != settings["sha256"]:
            raise DataError(f"distillation.sha256: expected {settings['sha256']}, found {found} of {path}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Embedding and logits of windows [n, samples] at 48 kHz, all brought to the same peak: the small network does not
        know a window's level either."""
        windows = windows / (np.abs(windows).max(axis=1, keepdims=True) + 1e-9) * 0.5
        n = windows.shape[1] * TEACHER_RATE_HZ // 48_000
        spectrum = np.fft.rfft(windows)[:, : n // 2 + 1]
        slower = np.fft.irfft(spectrum, n) * (n / windows.shape[1])
        embedding, logits = self.session.run(["embedding", "logits"], {"audio": slower.astype(np.float32)})
        return embedding, logits


def head_posteriors(embedding: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, seed: int,
                    passes: int = 12, batch: int = 512) -> torch.Tensor:
    """What a linear head on the teacher's answers says of every window [n, classes]. It is fitted on the windows whose `weights` [n]
    are above zero, with `targets` [n, classes]."""
    random = torch.Generator().manual_seed(seed)
    x = torch.cat([embedding, torch.sigmoid(logits) * 4], dim=1)
    x = (x - x.mean(dim=0)) / (x.std(dim=0) + 0.05)
    head = torch.nn.Linear(x.shape[1], targets.shape[1])
    torch.nn.init.zeros_(head.weight)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.3)
    steps = passes * len(x) // batch
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 - step / steps)
        rows = torch.multinomial(weights, batch, replacement=True, generator=random)
        noisy = torch.nn.functional.dropout(x[rows], 0.3)
        loss = torch.nn.functional.cross_entropy(head(noisy), targets[rows], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return torch.softmax(head(x), dim=1)
