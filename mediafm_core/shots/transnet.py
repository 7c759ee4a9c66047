"""TransNet V2: a 3-D convolutional network that marks the frame at the middle of each transition.

Souček and Lokoč, "TransNet V2: An effective deep network architecture for fast shot transition detection",
arXiv:2008.04838. The modules carry the names of the published checkpoint, so that it loads strictly.

Shape letters: B windows, T frames in a window, C channels, H and W pixels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_DILATIONS = (1, 2, 4, 8)  # in time, of the four branches of a block
_FILTERS = (16, 32, 64)  # of one branch, by stage
_SIMILARITY_WINDOW = 101  # a frame is compared with the 50 before it, itself, and the 50 after it
_N_BINS = 512  # eight levels each of red, green and blue


class TransNet(nn.Module):
    """uint8 RGB frames in, the probability of a transition at each frame out."""

    def __init__(self) -> None:
        super().__init__()
        widths = [4 * n for n in _FILTERS]
        inputs = [3, *widths[:-1]]
        self.SDDCNN = nn.ModuleList(_Stage(c, n) for c, n in zip(inputs, _FILTERS, strict=True))
        self.frame_sim_layer = _FrameSimilarity(sum(widths))
        self.color_hist_layer = _ColourSimilarity()
        self.fc1 = nn.Linear(widths[-1] * 3 * 6 + 128 + 128, 1024)
        self.cls_layer1 = nn.Linear(1024, 1)  # the middle frame of a transition
        self.cls_layer2 = nn.Linear(1024, 1)  # all its frames: trained beside the first, not read here

    def forward(self, frames: Tensor) -> Tensor:
        """(B, T, 27, 48, 3) uint8 to (B, T) float32 in [0, 1]."""
        x = frames.permute(0, 4, 1, 2, 3).float() / 255.0  # (B, 3, T, 27, 48)
        stages = []
        for stage in self.SDDCNN:
            x = stage(x)  # (B, C, T, H/2, W/2)
            stages.append(x)
        x = x.permute(0, 2, 3, 4, 1).flatten(2)  # (B, T, 3*6*256)
        x = torch.cat([self.color_hist_layer(frames), self.frame_sim_layer(stages), x], dim=2)
        x = F.relu(self.fc1(x))  # (B, T, 1024)
        return torch.sigmoid(self.cls_layer1(x))[..., 0]


class _Stage(nn.Module):
    """Two blocks with a shortcut around the second, then half the height and width."""

    def __init__(self, n_inputs: int, n_filters: int) -> None:
        super().__init__()
        self.DDCNN = nn.ModuleList([_Block(n_inputs, n_filters), _Block(4 * n_filters, n_filters)])

    def forward(self, x: Tensor) -> Tensor:
        shortcut = F.relu(self.DDCNN[0](x))
        x = F.relu(self.DDCNN[1](shortcut)) + shortcut
        return F.avg_pool3d(x, kernel_size=(1, 2, 2))


class _Block(nn.Module):
    """Four convolutions that see ever further in time, side by side."""

    def __init__(self, n_inputs: int, n_filters: int) -> None:
        super().__init__()
        for dilation in _DILATIONS:
            setattr(self, f"Conv3D_{dilation}", _SpaceThenTime(n_inputs, n_filters, dilation))
        self.bn = nn.BatchNorm3d(4 * n_filters, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(torch.cat([getattr(self, f"Conv3D_{dilation}")(x) for dilation in _DILATIONS], dim=1))


class _SpaceThenTime(nn.Module):
    """A 3x3 convolution within each frame, then one over three frames that stand `dilation` apart."""

    def __init__(self, n_inputs: int, n_filters: int, dilation: int) -> None:
        super().__init__()
        space = nn.Conv3d(n_inputs, 2 * n_filters, (1, 3, 3), padding=(0, 1, 1), bias=False)
        time = nn.Conv3d(
            2 * n_filters, n_filters, (3, 1, 1), dilation=(dilation, 1, 1), padding=(dilation, 0, 0), bias=False
        )
        self.layers = nn.ModuleList([space, time])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers[1](self.layers[0](x))


class _FrameSimilarity(nn.Module):
    """How much each frame's features resemble those of its neighbours in time."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.projection = nn.Linear(n_features, 128)
        self.fc = nn.Linear(_SIMILARITY_WINDOW, 128)

    def forward(self, stages: list[Tensor]) -> Tensor:
        x = torch.cat([stage.mean(dim=(3, 4)) for stage in stages], dim=1)  # (B, C, T)
        x = F.normalize(self.projection(x.transpose(1, 2)), dim=2)  # (B, T, 128)
        return F.relu(self.fc(_with_neighbours(x)))


class _ColourSimilarity(nn.Module):
    """How much each frame's colour histogram resembles those of its neighbours in time."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(_SIMILARITY_WINDOW, 128)

    def forward(self, frames: Tensor) -> Tensor:
        levels = frames.int() >> 5  # (B, T, 27, 48, 3), 0 to 7
        bins = (levels[..., 0] << 6) + (levels[..., 1] << 3) + levels[..., 2]  # (B, T, 27, 48)
        bins = bins.flatten(2).long()  # (B, T, 27*48)
        counts = torch.zeros(*bins.shape[:2], _N_BINS).scatter_add(2, bins, torch.ones(bins.shape))  # (B, T, 512)
        return F.relu(self.fc(_with_neighbours(F.normalize(counts, dim=2))))


def _with_neighbours(x: Tensor) -> Tensor:
    """(B, T, C) unit vectors to (B, T, 101): the cosine of each frame with its neighbours, 0 outside the window."""
    n_frames, reach = x.shape[1], _SIMILARITY_WINDOW // 2
    similarity = F.pad(x @ x.transpose(1, 2), (reach, reach))  # (B, T, T + 100)
    index = torch.arange(n_frames)[:, None] + torch.arange(_SIMILARITY_WINDOW)  # (T, 101)
    return similarity.gather(2, index.expand(x.shape[0], -1, -1))
