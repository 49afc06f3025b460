"""Training of the networks."""

import math
import time

import numpy as np
import torch

import net as network
from data import Clip, Work
from sampler import Sampler, open_store

# Modules whose text decides what a trained network is.
CODE = ("frontend", "net", "sampler", "generated", "core")


def stages(config: dict) -> list[list[str]]:
    """Names of the networks to train; those of one stage may be trained at once, a later stage may use the earlier."""
    return [[f"net-{i}" for i in range(config["architecture"]["networks"])]]


def prepare(clips: list[Clip], config: dict, work: Work) -> None:
    """Fills the cache with what the parts share."""
    open_store(clips, config, work)


def train_part(part: str, clips: list[Clip], config: dict, seed: int, work: Work, log, earlier: dict) -> dict:
    """Trains the network `part`; what is returned is kept by torch.save."""
    store = open_store(clips, config, work)
    model = train_one(Sampler(store, config, seed), len(store.classes), config, seed, log)
    return {"weights": model.state_dict(), "classes": store.classes, "labels_of_classes": store.labels_of_classes}


def train_one(sampler: Sampler, classes: int, config: dict, seed: int, log) -> network.ImpactNet:
    """Trains with AdamW on a cosine schedule; returns the moving average of the weights (Polyak), in eval mode."""
    torch.manual_seed(seed)
    model = network.ImpactNet(classes, config["architecture"]["width"], config["architecture"]["dropout"])
    config = config["optimiser"]
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
            log(f"step {step + 1}/{steps} loss {np.mean(losses[-500:]):.3f} {time.time() - began:.0f} s")
    return average.module.eval()
