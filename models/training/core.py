"""Training and judging of one network, shared by the final run and the cross-validation."""

import math
import multiprocessing
import os
import time

import numpy as np
import torch

import frontend
import net as network
from sampler import Sampler

HOP_FRAMES = 25


def train_one(make_sampler, classes: int, config: dict, seed: int, log=print) -> network.ImpactNet:
    """Trains with AdamW on a cosine schedule; returns the moving average of the weights (Polyak), in eval mode."""
    torch.manual_seed(seed)
    sampler: Sampler = make_sampler(seed)
    model = network.ImpactNet(classes, config["width"], config["dropout"])
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995), use_buffers=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config["learning_rate"], weight_decay=config["weight_decay"])
    steps, began, losses = config["steps"], time.time(), []
    for step in range(steps):
        warm = min(1, (step + 1) / 100)
        for group in optimizer.param_groups:
            group["lr"] = config["learning_rate"] * warm * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        power, target = sampler.batch(config["batch"])
        loss = torch.nn.functional.cross_entropy(
            model.train()(network.features(power)), target, label_smoothing=config["label_smoothing"])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2)
        optimizer.step()
        average.update_parameters(model)
        losses.append(loss.item())
        if step % 500 == 499:
            log(f"  step {step + 1}/{steps} loss {np.mean(losses[-500:]):.3f} {time.time() - began:.0f} s")
    return average.module.eval()


def in_processes(job, count: int) -> list:
    """job(0) … job(count − 1), each in a process of its own with one thread, as many at once as there are cores: small
    networks gain nothing from threads, and one thread adds up the same every time."""
    torch.set_num_threads(1)
    global _job
    _job = job
    context = multiprocessing.get_context("fork")
    with context.Pool(min(count, os.cpu_count() or 1), maxtasksperchild=1) as pool:
        return pool.map(_run, range(count), chunksize=1)


def _run(i: int):
    torch.set_num_threads(1)
    return _job(i)


@torch.no_grad()
def window_probabilities(models, power: np.ndarray, impacts: set[int]) -> np.ndarray:
    """Probability of any impact in each window of a clip, mean over the networks [windows]."""
    starts = range(0, max(len(power) - frontend.FRAMES, 0) + 1, HOP_FRAMES)
    x = network.features(torch.from_numpy(np.stack([power[s : s + frontend.FRAMES] for s in starts])))
    return torch.stack([torch.softmax(m(x), 1)[:, sorted(impacts)].sum(1) for m in models]).mean(0).numpy()


def clip_score(windows: np.ndarray, best: int = 2) -> float:
    return float(np.sort(windows)[-best:].mean())


def roc_auc(scores: np.ndarray, positive: np.ndarray) -> float:
    p, n = scores[positive], scores[~positive]
    return float(((p[:, None] > n) + 0.5 * (p[:, None] == n)).mean())


def recall_at(scores: np.ndarray, positive: np.ndarray, fpr: float) -> float:
    n = np.sort(scores[~positive])[::-1]
    return float((scores[positive] > n[int(fpr * len(n) + 1e-9)]).mean())
