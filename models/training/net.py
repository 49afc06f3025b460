"""The network: a small CNN over the logarithm of level-normalised mel powers. Its head names fine
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


class ImpactNet(nn.Module):
    """Features [batch, frames, bands] to logits of the fine classes [batch, classes]. Full convolutions, because at this
    size they cost a CPU no more than separable ones and quantize better."""

    def __init__(self, classes: int, width: int, dropout: float):
        super().__init__()
        rows = frontend.MEL_BANDS // 16
        # inputs, outputs, kernel, stride, padding; frames first, bands second. The last layer takes the whole frequency
        # axis at once: where in the spectrum something is tells what it is.
        shapes = [
            (1, width, (5, 5), (2, 2), (2, 2)),
            (width, 2 * width, (3, 3), (2, 2), (1, 1)),
            (2 * width, 3 * width, (3, 3), (1, 2), (1, 1)),
            (3 * width, 4 * width, (3, 3), (2, 2), (1, 1)),
            (4 * width, 6 * width, (1, rows), (1, 1), (0, 0)),
        ]
        self.convolutions = nn.ModuleList(nn.Conv2d(i, o, k, s, p, bias=False) for i, o, k, s, p in shapes)
        self.norms = nn.ModuleList(nn.BatchNorm2d(shape[1]) for shape in shapes)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(12 * width, classes)
        self.to(memory_format=torch.channels_last)

    def forward(self, x):
        x = x.unsqueeze(1)
        for convolution, norm in zip(self.convolutions, self.norms):
            x = torch.relu_(norm(convolution(x)))
        x = x.squeeze(3)
        x = torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1)
        return self.head(self.dropout(x))
