# SPDX-License-Identifier: Apache-2.0
"""Learn from a rollout: rl-games' losses and gradients for any network, its schedules told what they need to know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from rl_games.common.schedulers import LinearScheduler

from omni.myriad.learn import ranks

Losses = dict[str, torch.Tensor]
"""Means over the update by name, on the device."""


class FrameScheduler(LinearScheduler):
    """A critic's linear schedule over the agent's frames; rl-games' critic always says that there were none."""

    def __init__(self, agent: Any) -> None:
        start = agent.central_value_net.scheduler.start_lr
        super().__init__(start, max_steps=agent.max_frames, use_epochs=False)
        self._agent = agent

    def update(self, lr: float, entropy_coef: float, epoch: int, _frames: int, kl: float) -> tuple[float, float]:
        """Return the next learning rate and entropy coefficient."""
        return super().update(lr, entropy_coef, epoch, self._agent.frame, kl)


class Update:
    """Any network's update.

    Args:
        agent: rl-games' agent.
        stop_if_asked: Raises KeyboardInterrupt if a stop was asked for; called between minibatches.
    """

    def __init__(self, agent: Any, stop_if_asked: Callable[[], None]) -> None:
        self.agent, self.stop_if_asked = agent, stop_if_asked
        self._normalizes_advantages = agent.normalize_advantage
        if ranks.count() > 1:
            agent.normalize_advantage = False  # over its own rank's, as it would
        if agent.has_central_value and agent.central_value_net.linear_lr and agent.max_epochs == -1:
            agent.central_value_net.scheduler = FrameScheduler(agent)

    def __call__(self, batch: dict[str, Any]) -> Losses:
        """Learn from a batch, and return the means of the losses."""
        self.feed(batch)
        losses = self._learn()
        self.agent.dataset.update_values_dict(None)
        return losses

    def feed(self, batch: dict[str, Any]) -> None:
        """Feed the normalisers once, and hand the batch to the agent's dataset."""
        agent = self.agent
        agent.set_train()
        if agent.normalize_input:
            seen = batch["obses"]
            agent.model.running_mean_std.update(seen if isinstance(seen, dict) else agent._preproc_obs(seen))
        if agent.has_central_value and agent.central_value_net.normalize_input:
            agent.central_value_net.model.running_mean_std.update(batch["states"])
        if agent.normalize_value and not agent.config.get("freeze_critic", False):
            # Both, as rl-games does: what the critic predicts and what it is told.
            agent.value_mean_std.update(batch["values"])
            agent.value_mean_std.update(batch["returns"])
        agent.prepare_dataset(batch)
        if self._normalizes_advantages and ranks.count() > 1:
            values = agent.dataset.values_dict
            mean, var, number = ranks.moments(values["advantages"])
            std = (var * (number / (number - 1))).sqrt()
            values["advantages"] = ((values["advantages"] - mean) / (std + 1e-8)).float()

    def _learn(self) -> Losses:
        agent = self.agent
        if agent.has_central_value:
            agent.train_central_value()
        of_minibatches: list[dict[str, torch.Tensor]] = []
        of_mini_epochs: list[torch.Tensor] = []
        legacy = not agent.is_discrete and agent.schedule_type == "legacy"
        for mini_epoch in range(agent.mini_epochs_num):
            divergences = []
            for index in range(len(agent.dataset)):
                self.stop_if_asked()
                a_loss, c_loss, entropy, kl, _, _, *continuous = agent.train_actor_critic(agent.dataset[index])
                losses = {"a_loss": a_loss, "c_loss": c_loss}
                if continuous:
                    mu, sigma, losses["bounds_loss"] = continuous
                    agent.dataset.update_mu_sigma(mu, sigma)
                if legacy:
                    kl = self._over_ranks(kl)
                    self._schedule(kl)
                divergences.append(kl)
                of_minibatches.append(losses | {"entropy": entropy})
            of_mini_epochs.append(self._over_ranks(torch.stack(divergences).mean()))
            if agent.is_discrete or agent.schedule_type == "standard":
                self._schedule(of_mini_epochs[-1])
            agent.diagnostics.mini_epoch(agent, mini_epoch)
        means = {name: torch.stack([of[name] for of in of_minibatches]).mean() for name in of_minibatches[0]}
        means["kl"] = torch.stack(of_mini_epochs).mean()
        return means | {name: torch.stack(values).mean() for name, values in agent.aux_loss_dict.items()}

    def _schedule(self, kl: torch.Tensor) -> None:
        """Set the learning rate, which is the same on every rank, and remember it: the next minibatch sets it again."""
        agent = self.agent
        lr, agent.entropy_coef = agent.scheduler.update(
            agent.last_lr, agent.entropy_coef, agent.epoch_num, agent.frame, kl.item()
        )
        agent.last_lr = lr
        for group in agent.optimizer.param_groups:
            group["lr"] = lr

    def _over_ranks(self, kl: torch.Tensor) -> torch.Tensor:
        ranks.add_up(kl)
        return kl / ranks.count()
