"""Training of the networks: first, once for all runs, a common start that learns the teacher's answers to sounds that are never
held out; from there each network on its own folds. With a committee, networks that are shipped learn from others of the same folds too."""

import hashlib
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

import data
import distill
import net as network
from data import Clip, Work
from sampler import KINDS, Sampler, open_pools, pool_key

# Modules whose text decides what a trained network is.
CODE = ("frontend", "net", "augment", "sampler", "distill", "generated", "core")


def stages(config: dict) -> list[list[str]]:
    """Names of the networks to train: the committee's members, if there is one, then those of the model, which learn from the members."""
    members = [f"member-{i}" for i in range(config["committee"]["members"])] if "committee" in config else []
    nets = [f"net-{i}" for i in range(config["architecture"]["networks"])]
    return [members, nets] if members else [nets]


def prepare(clips: list[Clip], config: dict, work: Work, jobs: int) -> None:
    """Fills the cache with what the parts share: finished windows, the teacher's answers to them, and the common start."""
    open_pools(clips, config, work, jobs)
    if config["architecture"]["name"] == "ds_cnn":
        common_start(clips, config, work, lambda text: print(f"  common start: {text}", flush=True))


def train_part(part: str, clips: list[Clip], config: dict, seed: int, work: Work, log, earlier: dict) -> dict:
    """Trains the network `part`; what is returned is kept by torch.save. `earlier`: the members of the committee, if `part` learns from one."""
    sampler = Sampler(list(open_pools(clips, config, work, 1).values()), config, seed)
    log(f"{len(sampler.kind)} windows: " + ", ".join(f"{(sampler.kind == i).sum()} {k}" for i, k in enumerate(KINDS)))
    wanted = targets(sampler, config, seed, log)
    steps = config["committee"]["steps"] if part.startswith("member") else config["optimiser"]["steps"]
    members = [network.restored(saved["weights"], len(sampler.classes), config["architecture"]) for saved in earlier.values()]
    pupil = train_one(sampler, wanted, config, steps, seed, log, common_start(clips, config, work, log), members)
    return {"weights": pupil.net.state_dict(), "classes": sampler.classes, "labels_of_classes": sampler.labels_of_classes}


def common_start(clips: list[Clip], config: dict, work: Work, log) -> dict | None:
    """Weights of a network and its copying heads that know the teacher's answers to the clips of fold 0 and to generated sound, from the
    cache if they are there. None without a teacher, such clips, or `optimiser.common_steps`."""
    steps, free = config["optimiser"]["common_steps"], [clip for clip in clips if clip.fold == 0]
    if "distillation" not in config or not free or steps == 0:
        return None
    settings = {name: config[name] for name in ("seed", "architecture", "optimiser", "distillation")}
    code = b"".join((Path(__file__).parent / f"{name}.py").read_bytes() for name in CODE)
    text = json.dumps([settings, pool_key("fold-0", free, config), pool_key("generated", [], config)], sort_keys=True)
    target = work.cache / "networks" / f"common-{hashlib.sha256(text.encode() + code).hexdigest()[:16]}.pt"
    if not target.exists():
        sampler = Sampler(list(open_pools(free, config, work, 1).values()), config, config["seed"])
        sampler.every_window_alike()
        pupil = train_one(sampler, None, config, steps, config["seed"], log, None)
        data.save_whole(target, lambda f: torch.save(pupil.state_dict(), f))
    return torch.load(target)


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


def losses(pupil: network.Pupil, sampler: Sampler, wanted: torch.Tensor | None, config: dict, members: list) -> list[torch.Tensor]:
    """Of one batch: naming the fine classes (if `wanted`), copying the teacher's embedding, copying its tags (if there is one)."""
    power, at = sampler.batch(config["optimiser"]["batch"])
    first = int(torch.randint(max(network.VIEWS) + 1, ()))
    x = network.channels(network.features(power))[:, :, first : first + network.VIEW_FRAMES]
    fine, embedding, tags = pupil(x)
    parts = []
    if wanted is not None:
        smoothing = config["optimiser"]["label_smoothing"]
        goal = (1 - smoothing) * wanted[at] + smoothing / wanted.shape[1]
        if members:
            part = config["committee"]["weight"]
            goal = (1 - part) * goal + part * agreed(members, x)
        parts.append(functional.cross_entropy(fine, goal))
    if teacher := config.get("distillation"):
        parts.append(teacher["embedding"] * functional.smooth_l1_loss(embedding, sampler.embedding[at] / pupil.scale))
        parts.append(teacher["tags"] * functional.binary_cross_entropy_with_logits(tags, torch.sigmoid(sampler.logits[at])))
    return parts


@torch.no_grad()
def agreed(members: list, x: torch.Tensor) -> torch.Tensor:
    """What the committee says of the same damaged windows `x` [n, classes]: the normalised geometric mean of its members' probabilities. It knows
    how well a sound can be heard in its noise, which its label does not, and errs less than any member (ensemble distillation: Hinton and
    others, 2015)."""
    return torch.softmax(torch.stack([functional.log_softmax(member(x), dim=1) for member in members]).mean(dim=0), dim=1)


def train_one(sampler: Sampler, wanted: torch.Tensor | None, config: dict, steps: int, seed: int, log, start: dict | None,
              members: tuple | list = ()) -> network.Pupil:
    """Trains with AdamW on a cosine schedule, from the weights `start` if given; returns the moving average of the weights (Polyak),
    in eval mode."""
    torch.manual_seed(seed)
    settings, architecture = config["optimiser"], config["architecture"]
    model = network.ImpactNet(len(sampler.classes), architecture["stem"], architecture["blocks"], architecture["dropout"])
    pupil = network.Pupil(model, sampler.embedding.shape[1], sampler.logits.shape[1]).train()
    if start is None:
        pupil.scale.copy_(sampler.embedding.std(dim=0).clamp(min=0.05))
    else:
        pupil.load_state_dict({name: value for name, value in start.items() if not name.startswith("net.head.")}, strict=False)
    average = torch.optim.swa_utils.AveragedModel(
        pupil, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99), use_buffers=True)
    optimizer = torch.optim.AdamW(pupil.parameters(), lr=settings["learning_rate"], weight_decay=settings["weight_decay"])
    began, told = time.time(), []
    for step in range(steps):
        warm = min(1, (step + 1) / 60)
        for group in optimizer.param_groups:
            group["lr"] = settings["learning_rate"] * warm * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        parts = losses(pupil, sampler, wanted, config, members)
        optimizer.zero_grad()
        sum(parts).backward()
        torch.nn.utils.clip_grad_norm_(pupil.parameters(), 2)
        optimizer.step()
        average.update_parameters(pupil)
        told.append([part.item() for part in parts])
        if step % 100 == 99:
            log(f"step {step + 1}/{steps} loss {np.round(np.mean(told[-100:], axis=0), 4)} {time.time() - began:.0f} s")
    return average.module.eval()
