# SPDX-License-Identifier: Apache-2.0
"""rl-games' network for dictionaries of observations: images through convolutions, then all of them side by side."""

from __future__ import annotations

import math
from typing import Any

import torch
from rl_games.algos_torch.network_builder import A2CBuilder, NetworkBuilder
from torch import nn

from omni.myriad.errors import MyriadError

_FAINT = 0.05
"""Contrast, of the range of colours, below which a picture is not made stronger."""


class Standardize(nn.Module):
    """Give each channel of each picture mean 0 and deviation 1.

    A scene that is mostly background is one large constant, which hides what moves in it from convolutions that begin
    to learn; and light that is brighter changes nothing any more.
    """

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return pictures, (batch, channels, height, width), so changed."""
        mean = pictures.mean((2, 3), keepdim=True)
        centred = pictures - mean
        deviation = (centred * centred).mean((2, 3), keepdim=True).sqrt()
        return centred / (deviation + _FAINT)


class Points(nn.Module):
    """Say where in its picture each channel is strong: the mean place under a softmax, -1 to 1 from edge to edge.

    Where something small is, a layer that sees every pixel apart has to learn for each place by itself; this learns
    what to look for once (the feature points of Levine et al., 2016, arXiv:1504.00702). rl-games has such a layer, but
    one that takes rows for columns where pictures are not square.
    """

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return places (batch, 2 * channels), all columns before all rows, of (batch, channels, height, width)."""
        height, width = features.shape[-2:]
        weights = features.flatten(2).softmax(-1).unflatten(-1, (height, width))
        across = torch.linspace(-1.0, 1.0, width, device=features.device)
        down = torch.linspace(-1.0, 1.0, height, device=features.device)
        return torch.cat(((weights.sum(2) * across).sum(-1), (weights.sum(3) * down).sum(-1)), dim=1)


class DictNetwork(A2CBuilder.Network):
    """rl-games' actor_critic behind an encoder for each image, built from the block `cnn` of the network's settings.

    With `standardize: True` there, pictures go through `Standardize` first; with `points: True`, through `Points` last.

    Args:
        params: rl-games' `network` block.
        input_shape: Shape of each observation by name; images are (height, width, channels).
        settings: What rl-games gives every network.
    """

    def __init__(self, params: dict[str, Any], input_shape: dict[str, tuple[int, ...]], **settings: Any) -> None:
        cnn = params.get("cnn")
        layers = NetworkBuilder.BaseNetwork()  # knows how to build convolutions
        encoders: dict[str, nn.Module] = {}
        size = 0
        for name, shape in input_shape.items():
            if len(shape) != 3:
                size += math.prod(shape)
                continue
            if cnn is None:
                raise MyriadError(f"observation {name} is an image: train.params.network.cnn must say how it is seen")
            height, width, channels = shape
            args = {"convs": cnn["convs"], "activation": cnn["activation"], "norm_func_name": None}
            encoder = layers._build_conv(cnn["type"], input_shape=(channels, height, width), **args)
            if encoder is None:
                raise MyriadError(f"train.params.network.cnn.type={cnn['type']} is unknown to rl-games, use conv2d")
            initialize = layers.init_factory.create(**cnn["initializer"])
            for module in encoder.modules():
                if isinstance(module, nn.Conv2d) and module.bias is not None:
                    initialize(module.weight)
                    nn.init.zeros_(module.bias)
            if cnn.get("points"):  # from what the last convolution says, which nothing has cut off at 0
                encoder = nn.Sequential(*list(encoder.children())[:-1], Points())
            if cnn.get("standardize"):
                encoder = nn.Sequential(Standardize(), encoder)
            size += encoder(torch.zeros(1, channels, height, width)).numel()
            encoders[name] = encoder
        super().__init__({key: value for key, value in params.items() if key != "cnn"}, input_shape=(size,), **settings)
        self.encoders = nn.ModuleDict(encoders)
        self.names = tuple(input_shape)

    def forward(self, inputs: dict[str, Any]) -> Any:
        """Return what rl-games' network returns."""
        parts = inputs["obs"]
        features = [
            self.encoders[name](parts[name].permute(0, 3, 1, 2)) if name in self.encoders else parts[name]
            for name in self.names
        ]
        return super().forward({**inputs, "obs": torch.cat([part.flatten(1) for part in features], dim=1)})


class DictBuilder(A2CBuilder):
    """Builds a `DictNetwork` from rl-games' settings."""

    def build(self, name: str, **settings: Any) -> DictNetwork:
        """Return the network."""
        return DictNetwork(self.params, **settings)
