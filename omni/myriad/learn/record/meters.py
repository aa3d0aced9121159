# SPDX-License-Identifier: Apache-2.0
"""Episode statistics, summed on the device and fetched once per epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


class EpisodeMeter:
    """Sum rewards and lengths of episodes, and average those of the last `window` that finished.

    Nothing leaves the device until the caller fetches `finished`, once per epoch, which also moves the average.
    """

    def __init__(self, num_envs: int, window: int, device: torch.device | str) -> None:
        """Start with every environment at the beginning of an episode.

        Args:
            num_envs: Number of environments.
            window: Number of finished episodes averaged over, at most.
            device: Where rewards live.
        """
        self.window = window
        self.running = torch.zeros(num_envs, 3, device=device)  # reward, shaped reward, length so far
        self.finished = torch.zeros(4, device=device)  # their sums over the finished episodes, and how many
        self.mean: list[float] = [0.0, 0.0, 0.0]
        self.size = 0

    def restart(self) -> None:
        """Begin every episode again, for when all environments have been reset."""
        self.running.zero_()

    def step(self, rewards: torch.Tensor, shaped_rewards: torch.Tensor, dones: torch.Tensor) -> None:
        """Take in one step of every environment.

        Args:
            rewards: (num_envs,), as the task gives them.
            shaped_rewards: (num_envs,), as the learner sees them.
            dones: (num_envs,), non-zero where the episode ended.
        """
        done = dones.bool()
        self.running[:, 0] += rewards
        self.running[:, 1] += shaped_rewards
        self.running[:, 2] += 1.0
        self.finished[:3] += (self.running * done.unsqueeze(1)).sum(0)
        self.finished[3] += done.sum()
        self.running.masked_fill_(done.unsqueeze(1), 0.0)

    def forget(self, envs: torch.Tensor) -> None:
        """Begin the episodes again where `envs`, (num_envs,) bool, says so, as if they had never begun."""
        self.running.masked_fill_(envs.unsqueeze(1), 0.0)

    def so_far(self) -> torch.Tensor:
        """Return the mean reward that the running episodes have brought so far, (1,), on the device."""
        return self.running[:, :1].mean(0)

    def close_epoch(self, finished: list[float]) -> int:
        """Move the averages by the episodes finished in the epoch, and return how many those were.

        Args:
            finished: `self.finished`, fetched by the caller together with all else it needs.
        """
        *sums, count = finished
        self.finished.zero_()
        if count:
            new = min(int(count), self.window)
            old = min(self.window - new, self.size)
            self.size = old + new
            self.mean = [
                (mean * old + total / count * new) / self.size for mean, total in zip(self.mean, sums, strict=True)
            ]
        return int(count)

    def means(self) -> dict[str, float | None]:
        """Return the means over recently finished episodes by their names in an `Epoch`, None before the first."""
        names = ("reward_mean", "shaped_reward_mean", "episode_length_mean")
        return {name: mean if self.size else None for name, mean in zip(names, self.mean, strict=True)}

    def state(self) -> dict[str, Any]:
        """Return all that a resumed run needs to continue counting."""
        return {name: getattr(self, name) for name in ("running", "finished", "mean", "size")}

    def load(self, state: dict[str, Any]) -> None:
        """Put back what `state` returned."""
        self.running.copy_(state["running"])
        self.finished.copy_(state["finished"])
        self.mean, self.size = list(state["mean"]), state["size"]


class ExtrasMeter:
    """Average what a task reports over an epoch, on the device: scalars of `extras["episode"]`, terms of the reward."""

    def __init__(self) -> None:
        """Start empty."""
        self.sums: dict[str, torch.Tensor] = {}
        self.counts: dict[str, int] = {}
        self.terms: Any = None

    def step(self, extras: Mapping[str, Any], device: torch.device | str) -> None:
        """Take in one step's extras; a task may reuse their buffers."""
        self.terms = extras.get("reward_terms")
        for name, value in extras.get("episode", {}).items():
            if name not in self.sums:
                self.sums[name], self.counts[name] = torch.zeros((), device=device), 0
            self.sums[name] += value
            self.counts[name] += 1

    def take(self) -> dict[str, torch.Tensor]:
        """Return the means, still on the device, and start again; those of the reward's terms are reward/<name>."""
        means = {name: total / self.counts[name] for name, total in self.sums.items()}
        if self.terms is not None:
            means |= {f"reward/{name}": mean for name, mean in self.terms.take().items()}
        self.sums, self.counts = {}, {}
        return means
