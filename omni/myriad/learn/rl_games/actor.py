# SPDX-License-Identifier: Apache-2.0
"""rl-games' player as an `Actor`, and its network as a robot runs it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import torch
from gymnasium import spaces
from torch import nn

from omni.myriad.errors import MyriadError
from omni.myriad.learn.base import ExportModule, Observations
from omni.myriad.learn.rl_games.normalizer import CLIP

_STATE_NAMES = {1: ("h",), 2: ("h", "c")}  # GRU, LSTM


class RlGamesActor:
    """rl-games' own player, without exploration.

    Args:
        player: The player, with weights.
    """

    def __init__(self, player: Any) -> None:
        self.library = f"rl-games {metadata.version('rl-games')}"
        self._player = player
        # The discrete player squeezes a batch of one away.
        self._shape = () if isinstance(player.action_space, spaces.Discrete) else (-1,)

    def reset(self, num_envs: int) -> None:
        """Begin with empty memory for so many environments."""
        self._player.has_batch_dimension, self._player.batch_size = True, num_envs
        self._player.reset()

    @torch.no_grad()
    def act(self, observations: Observations, done: torch.Tensor | None = None) -> torch.Tensor:
        """Return actions as `VecEnv.step` takes them."""
        player = self._player
        if player.is_rnn and done is not None:
            for memory in player.states:  # (layers, num_envs, units)
                memory.masked_fill_(done.view(1, -1, 1), 0.0)
        actions = player.get_action(player.obs_to_torch(observations), is_deterministic=True)
        return actions.reshape(player.batch_size, *self._shape)

    def export_module(self) -> ExportModule:
        """Return the network with all around it that rl-games computes."""
        return PolicyModule(self._player)


class Normalize(nn.Module):
    """Observation statistics frozen, in the single precision in which rl-games applies them."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, statistics: Any) -> None:
        super().__init__()
        self.register_buffer("mean", statistics.running_mean.detach().float().cpu().clone())
        self.register_buffer("std", torch.sqrt(statistics.running_var.detach().float().cpu() + statistics.epsilon))

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return observations in standard deviations, clipped."""
        return ((observations - self.mean) / self.std).clamp(-CLIP, CLIP)


class PolicyModule(ExportModule):
    """An rl-games actor: normalises observations, runs the network, takes the deterministic action, rescales it.

    Args:
        player: rl-games' player, with weights.

    Raises:
        MyriadError: If the network has a memory that ONNX files of ours cannot hold.
    """

    def __init__(self, player: Any) -> None:
        super().__init__()
        model = copy.deepcopy(player.model).cpu().eval()
        self.network = model.a2c_network
        self.is_dict = isinstance(player.observation_space, spaces.Dict)
        self.normalizers = nn.ModuleDict()
        if model.normalize_input:
            statistics = model.running_mean_std
            by_name = statistics.running_mean_std if self.is_dict else {"obs": statistics}
            self.normalizers.update({name: Normalize(part) for name, part in by_name.items()})
        self.normalizes = model.normalize_input
        self._read_states(model)
        self.action_space = player.action_space
        self.tanh = "Tanh" in type(model).__qualname__
        self.is_bounded = isinstance(player.action_space, spaces.Box) and bool(player.clip_actions)
        self.rescale: tuple[torch.Tensor, torch.Tensor] | None = None
        if self.is_bounded:
            low, high = player.actions_low.cpu(), player.actions_high.cpu()
            half, middle = (high - low) / 2.0, (high + low) / 2.0
            if not (bool((half == 1.0).all()) and bool((middle == 0.0).all())):
                self.rescale = (half, middle)

    def _read_states(self, model: Any) -> None:
        states = model.get_default_rnn_state() if model.is_rnn() else ()
        count = len(states)
        if count and getattr(self.network, "separate", False):
            count //= 2  # the other half is the critic's
        if count and count not in _STATE_NAMES:
            raise MyriadError(f"A policy with {count} recurrent states cannot be exported: LSTM and GRU have 2 and 1.")
        self.num_critic_states = len(states) - count
        shapes = [(int(state.shape[0]), int(state.shape[2])) for state in states[:count]]
        self.states = dict(zip(_STATE_NAMES.get(count, ()), shapes, strict=True))

    def forward(
        self, observations: Mapping[str, torch.Tensor], states: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Return the action and the next recurrent states."""
        seen = {name: self._observe(name, value) for name, value in observations.items()}
        critic_states = tuple(torch.zeros_like(state) for state in states[: self.num_critic_states])
        result = self.network(
            {
                "obs": seen if self.is_dict else seen["obs"],
                "is_train": False,
                "prev_actions": None,
                "rnn_states": states + critic_states if states else None,
            }
        )
        return self._act(result[0]), tuple(result[-1][: len(states)]) if states else ()

    def _observe(self, name: str, value: torch.Tensor) -> torch.Tensor:
        if value.dtype == torch.uint8:
            value = value.float() / 255.0  # as rl-games does with pictures
        return self.normalizers[name](value) if name in self.normalizers else value

    def _act(self, head: Any) -> torch.Tensor:
        if isinstance(self.action_space, spaces.Discrete):
            return head.argmax(-1)
        if isinstance(self.action_space, spaces.Tuple):
            return torch.stack([logits.argmax(-1) for logits in head], dim=-1)
        action = head.tanh() if self.tanh else head
        if self.is_bounded:
            action = action.clamp(-1.0, 1.0)
        return action if self.rescale is None else action * self.rescale[0] + self.rescale[1]
