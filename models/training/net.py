"""The network: a depthwise-separable CNN (Howard and others, MobileNets, 2017) over the logarithm of level-normalised mel powers. Its head
names fine classes (knock, dog, rain …), because telling many sounds apart teaches more than three labels do; the fine
probabilities add up to the model's labels."""

import torch
from torch import nn

import frontend

RELATIVE_FLOOR = 1e-4  # powers 40 dB under the window's mean are silence
ABSOLUTE_FLOOR = 1e-10  # about the noise of 16-bit rounding
# The network sees a little less than a window: in training from a random frame on, on the vehicle from each of these, and the
# mean counts: the convolutions' strides meet a blow in another phase each time.
VIEWS = (0, 1, 3, 4)
VIEW_FRAMES = frontend.FRAMES - max(VIEWS)


def features(power: torch.Tensor) -> torch.Tensor:
    """Mel powers [batch, frames, bands] to features of the same shape, independent of the window's level."""
    mean = power.mean(dim=(1, 2), keepdim=True)
    return torch.log(power / (mean + ABSOLUTE_FLOOR) + RELATIVE_FLOOR) * 0.3


def channels(x: torch.Tensor) -> torch.Tensor:
    """Features [batch, frames, bands] to what the network sees [batch, 2, frames, bands]: they themselves, and how far each stands out of its band's
    mean over the window. In the second a steady noise, or a microphone's own sound, is nothing, and a blow is short enough to hardly move the mean."""
    return torch.stack([x, x - x.mean(dim=1, keepdim=True)], dim=1)


class ImpactNet(nn.Module):
    """Channels [batch, 2, VIEW_FRAMES, bands] to logits of the fine classes [batch, classes]. After a 5×5 convolution every block is a 3×3
    convolution of each channel and a 1×1 convolution over the channels, which is where the multiplications are and what
    8-bit integers speed up most; nothing bends between the two (Chollet, Xception, 2017). `blocks`: [channels, stride] each. The last map is weighed along the whole frequency axis,
    channel by channel: where in the spectrum something is tells what it is."""

    def __init__(self, classes: int, stem: int, blocks: list[list[int]], dropout: float):
        super().__init__()
        rows, channels = frontend.MEL_BANDS // 2, stem
        self.stem = nn.Conv2d(2, stem, 5, 2, 2, bias=False)
        self.stem_norm = nn.BatchNorm2d(stem)
        self.deep, self.wide = nn.ModuleList(), nn.ModuleList()
        self.norms = nn.ModuleList()
        for out, stride in blocks:
            self.deep.append(nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False))
            self.wide.append(nn.Conv2d(channels, out, 1, bias=False))
            self.norms.append(nn.BatchNorm2d(out))
            rows, channels = (rows + stride - 1) // stride, out
        self.column = nn.Conv2d(channels, channels, (1, rows), groups=channels, bias=False)
        self.column_norm = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * channels, classes)
        self.to(memory_format=torch.channels_last)

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """Channels to one vector a window [batch, 2 × channels]: mean and maximum over time."""
        x = torch.relu_(self.stem_norm(self.stem(x.contiguous(memory_format=torch.channels_last))))
        for deep, wide, norm in zip(self.deep, self.wide, self.norms):
            x = torch.relu_(norm(wide(deep(x))))
        x = torch.relu_(self.column_norm(self.column(x))).squeeze(3)
        return torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(self.pooled(x)))


def restored(weights: dict, classes: int, architecture: dict) -> ImpactNet:
    """A trained network in eval mode; `architecture`: the configuration's section."""
    model = ImpactNet(classes, architecture["stem"], architecture["blocks"], 0)
    model.load_state_dict(weights)
    return model.eval()


class Pupil(nn.Module):
    """An ImpactNet with two heads that copy the teacher's answers; they are thrown away after the training."""

    def __init__(self, net: ImpactNet, embedding: int, tags: int):
        super().__init__()
        self.net = net
        self.register_buffer("scale", torch.ones(embedding))  # of the teacher's embedding, which is copied in units of it
        self.embedding = nn.Linear(net.head.in_features, embedding)
        self.tags = nn.Linear(net.head.in_features, tags)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logits of the fine classes, the teacher's embedding, logits of the teacher's tags."""
        pooled = self.net.pooled(x)
        return self.net.head(self.net.dropout(pooled)), self.embedding(pooled), self.tags(pooled)
