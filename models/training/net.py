"""The network: a small depthwise-separable CNN over the logarithm of level-normalised mel powers. Its head names fine
classes (knock, dog, rain …), because telling many sounds apart teaches more than three labels do; the fine
probabilities add up to the model's labels."""

import torch
from torch import nn

import frontend

RELATIVE_FLOOR = 1e-4  # powers 40 dB under the window's mean are silence
ABSOLUTE_FLOOR = 1e-10  # about the noise of 16-bit rounding


def features(power: torch.Tensor) -> torch.Tensor:
    """Mel powers [batch, frames, bands] to features of the same shape, independent of the window's level."""
    mean = power.mean(dim=(1, 2), keepdim=True)
    return torch.log(power / (mean + ABSOLUTE_FLOOR) + RELATIVE_FLOOR) * 0.3


class Separable(nn.Module):
    """Depthwise 3×3, then pointwise, each with batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, int]):
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.pointwise_norm = nn.BatchNorm2d(outputs)

    def forward(self, x):
        x = torch.relu(self.depthwise_norm(self.depthwise(x)))
        return torch.relu(self.pointwise_norm(self.pointwise(x)))


class ImpactNet(nn.Module):
    """Features [batch, frames, bands] to logits of the fine classes [batch, classes]."""

    def __init__(self, classes: int, width: int = 24, dropout: float = 0.3):
        super().__init__()
        w = width
        self.first = nn.Conv2d(1, w, (5, 5), (1, 2), (2, 2), bias=False)
        self.first_norm = nn.BatchNorm2d(w)
        self.blocks = nn.Sequential(
            Separable(w, 2 * w, (2, 2)),
            Separable(2 * w, 2 * w, (1, 1)),
            Separable(2 * w, 3 * w, (2, 2)),
            Separable(3 * w, 3 * w, (1, 1)),
            Separable(3 * w, 4 * w, (1, 2)),
            Separable(4 * w, 4 * w, (1, 1)),
        )
        # All of the frequency axis at once: where in the spectrum something is tells what it is.
        rows = frontend.MEL_BANDS // 16
        self.collapse = nn.Conv2d(4 * w, 4 * w, (1, rows), groups=4 * w, bias=False)
        self.collapse_norm = nn.BatchNorm2d(4 * w)
        self.mix = nn.Conv2d(4 * w, 6 * w, 1, bias=False)
        self.mix_norm = nn.BatchNorm2d(6 * w)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(12 * w, classes)

    def forward(self, x):
        x = x.unsqueeze(1)
        x = torch.relu(self.first_norm(self.first(x)))
        x = self.blocks(x)
        x = torch.relu(self.collapse_norm(self.collapse(x)))
        x = torch.relu(self.mix_norm(self.mix(x))).squeeze(3)
        x = torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1)
        return self.head(self.dropout(x))
