"""Training of the networks."""

import math
import time

import numpy as np
import torch
from torch.nn import functional

import distill
import net as network
from data import Clip, Work
from sampler import KINDS, Sampler, open_pools

# Modules whose text decides what a trained network is.
CODE = ("frontend", "net", "augment", "sampler", "distill", "generated", "core")


def stages(config: dict) -> list[list[str]]:
    """Names of the networks to train; those of one stage may be trained at once, a later stage may use the earlier."""
    return [[f"net-{i}" for i in range(config["architecture"]["networks"])]]


def prepare(clips: list[Clip], config: dict, work: Work, jobs: int) -> None:
    """Fills the cache with what the parts share: finished windows and the teacher's answers to them."""
    open_pools(clips, config, work, jobs)


def train_part(part: str, clips: list[Clip], config: dict, seed: int, work: Work, log, earlier: dict) -> dict:
    """Trains the network `part`; what is returned is kept by torch.save."""
    sampler = Sampler(list(open_pools(clips, config, work, 1).values()), config, seed)
    log(f"{len(sampler.kind)} windows: " + ", ".join(f"{(sampler.kind == i).sum()} {k}" for i, k in enumerate(KINDS)))
    model = train_one(sampler, config, seed, log)
    return {"weights": model.state_dict(), "classes": sampler.classes, "labels_of_classes": sampler.labels_of_classes}


def targets(sampler: Sampler, config: dict, seed: int, log) -> torch.Tensor:
    """What the fine classes' outputs should say of every window [n, classes]: its label, mixed with what the teacher's head says;
    of windows without a label, what the head says alone."""
    if "distillation" not in config:
        return sampler.target
    weights = torch.zeros(len(sampler.kind))
    for share, rows in zip(sampler.shares, sampler.rows):
        weights[rows] = float(share) / max(1, len(rows))
    weights[~sampler.labelled] = 0
    said = distill.head_posteriors(sampler.embedding, sampler.logits, sampler.target, weights, seed)
    right = (said.argmax(dim=1) == sampler.target.argmax(dim=1))[sampler.labelled].float().mean()
    log(f"the teacher's head names {right:.3f} of the labelled windows")
    part = config["distillation"]["posterior"]
    return torch.where(sampler.labelled[:, None], (1 - part) * sampler.target + part * said, said)


def train_one(sampler: Sampler, config: dict, seed: int, log) -> network.ImpactNet:
    """Trains with AdamW on a cosine schedule; returns the moving average of the weights (Polyak), in eval mode."""
    torch.manual_seed(seed)
    wanted, teacher, settings = targets(sampler, config, seed, log), config.get("distillation"), config["optimiser"]
    architecture = config["architecture"]
    model = network.ImpactNet(len(sampler.classes), architecture["stem"], architecture["blocks"], architecture["dropout"])
    pupil = network.Pupil(model, sampler.embedding.shape[1], sampler.logits.shape[1])
    scale = sampler.embedding.std(dim=0).clamp(min=0.05) if teacher else None
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995), use_buffers=True)
    optimizer = torch.optim.AdamW(pupil.parameters(), lr=settings["learning_rate"], weight_decay=settings["weight_decay"])
    steps, began, losses = settings["steps"], time.time(), []
    for step in range(steps):
        warm = min(1, (step + 1) / 100)
        for group in optimizer.param_groups:
            group["lr"] = settings["learning_rate"] * warm * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        power, at = sampler.batch(settings["batch"])
        first = int(torch.randint(max(network.VIEWS) + 1, ()))
        fine, embedding, tags = pupil.train()(network.features(power)[:, first : first + network.VIEW_FRAMES])
        parts = [functional.cross_entropy(fine, wanted[at], label_smoothing=settings["label_smoothing"])]
        if teacher:
            parts.append(teacher["embedding"] * functional.smooth_l1_loss(embedding, sampler.embedding[at] / scale))
            parts.append(teacher["tags"] * functional.binary_cross_entropy_with_logits(tags, torch.sigmoid(sampler.logits[at])))
        optimizer.zero_grad()
        sum(parts).backward()
        torch.nn.utils.clip_grad_norm_(pupil.parameters(), 2)
        optimizer.step()
        average.update_parameters(model)
        losses.append([part.item() for part in parts])
        if step % 200 == 199:
            log(f"step {step + 1}/{steps} loss {np.round(np.mean(losses[-200:], axis=0), 4)} {time.time() - began:.0f} s")
    return average.module.eval()
