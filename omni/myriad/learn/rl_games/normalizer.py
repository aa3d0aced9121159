# SPDX-License-Identifier: Apache-2.0
"""Running mean and variance of observations and returns, fed when told to and at no other time."""

from __future__ import annotations

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from omni.myriad.learn import ranks

CLIP = 5.0  # normalised values stay within this many standard deviations, as in rl-games
FARTHEST = 100.0  # times as far from the mean as samples commonly are: beyond it they count as being there

_ENOUGH = 4096  # samples, to see how far they commonly are


class RunningMeanStd(nn.Module):
    """Normalise by statistics that only `update` changes.

    It has the buffers, and so the checkpoint keys, of rl-games' class of the same name. That one feeds itself
    in `forward` while training, which counts each batch once per mini-epoch; this one counts it once. And there one
    absurd sample, such as 1e20 from a sensor that fails for a step, makes the variance infinite and all that is
    normalised 0 for good; here it counts as one that is `FARTHEST` away.
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor
    count: torch.Tensor

    def __init__(self, shape: tuple[int, ...], epsilon: float = 1e-5) -> None:
        """Start from mean 0, variance 1 and one sample.

        Args:
            shape: Shape of one sample.
            epsilon: Added to the variance, against division by zero.
        """
        super().__init__()
        self.epsilon = epsilon
        self.register_buffer("running_mean", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("running_var", torch.ones(shape, dtype=torch.float64))
        self.register_buffer("count", torch.ones((), dtype=torch.float64))

    @torch.no_grad()
    def update(self, samples: torch.Tensor) -> None:
        """Merge a batch into the statistics, or the batches of all ranks, as `ranks.moments` merges those.

        Args:
            samples: (batch, *shape).
        """
        mean, var, batch = ranks.moments(self._within_reach(samples))
        delta = mean - self.running_mean
        total = self.count + batch
        scatter = self.running_var * self.count + var * batch + delta**2 * self.count * batch / total
        self.running_mean.add_(delta * batch / total)
        self.running_var.copy_(scatter / total)
        self.count.copy_(total)

    def _within_reach(self, samples: torch.Tensor) -> torch.Tensor:
        """Return samples, those that are farther from the mean than any of use moved nearer.

        How far samples commonly are, in standard deviations, is what the mean logarithm says: a few that are absurd do
        not move it, while a change that all of them share does, so that the statistics follow it.
        """
        mean, std = self.running_mean.float(), torch.sqrt(self.running_var.float() + self.epsilon)
        some = samples[:: (len(samples) // _ENOUGH) | 1]  # odd, so that it is not the same step of every rollout
        logarithm = torch.log1p(((some - mean) / std).abs()).mean(dim=0)
        ranks.add_up(logarithm)
        common = torch.expm1(logarithm / ranks.count())
        reach = FARTHEST * (1.0 + common) * std
        return samples.clamp(mean - reach, mean + reach)

    def forward(self, samples: torch.Tensor, denorm: bool = False) -> torch.Tensor:
        """Return `samples` normalised and clipped, or with `denorm` the way back.

        Args:
            samples: (batch, *shape), float32.
            denorm: Turn normalised values into real ones instead.
        """
        mean = self.running_mean.float()
        std = torch.sqrt(self.running_var.float() + self.epsilon)
        if denorm:
            return std * samples.clamp(-CLIP, CLIP) + mean
        return ((samples - mean) / std).clamp(-CLIP, CLIP)


class DictNormalizer(nn.Module):
    """Normalise each vector of a dictionary of observations; images, which are bytes, stay between 0 and 1.

    Args:
        space: The observations' space.
    """

    def __init__(self, space: spaces.Dict) -> None:
        super().__init__()
        shapes = {name: tuple(part.shape or ()) for name, part in space.spaces.items() if part.dtype != np.uint8}
        self._statistics = {name: RunningMeanStd(shape) for name, shape in shapes.items()}
        self.running_mean_std = nn.ModuleDict(self._statistics)

    def update(self, samples: dict[str, torch.Tensor]) -> None:
        """Merge a batch of observations into the statistics."""
        for name, statistics in self._statistics.items():
            statistics.update(samples[name])

    def forward(self, samples: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return observations, their vectors normalised and clipped."""
        return samples | {name: statistics(samples[name]) for name, statistics in self._statistics.items()}
