# SPDX-License-Identifier: Apache-2.0
"""Rollout and update of the common case with nothing around rl-games' maths; on a GPU as CUDA graphs.

Two functions are all that touches the network: `_act` samples actions, within the half of `Rollout`'s step before the
environment's, and `_update_minibatch` does what rl-games' `calc_gradients` does, by its own loss functions, with the
learning rate kept on the device and vectors of observations normalised once an update. Pictures stay bytes until a
minibatch is looked at: as floats, those of a whole rollout would take four times the memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from rl_games.algos_torch import torch_ext
from rl_games.algos_torch.models import ModelA2CContinuousLogStd
from rl_games.common.diagnostics import DefaultDiagnostics
from rl_games.common.schedulers import AdaptiveScheduler

from omni.myriad.env.capture import Graph, Tensors
from omni.myriad.learn import ranks
from omni.myriad.learn.rl_games.rollout import Rollout, flat, nested
from omni.myriad.learn.rl_games.update import Losses, Update

Change = Callable[[torch.Tensor], torch.Tensor]
"""Turns a batch of vectors into another."""

_MINIBATCH = ("old_values", "old_logp_actions", "advantages", "returns", "actions", "mu", "sigma")
_LOSSES = ("a_loss", "c_loss", "bounds_loss", "entropy", "kl")
_ENTROPY_OF_UNIT_NORMAL = 0.5 + 0.5 * math.log(2.0 * math.pi)


def is_lean(agent: Any) -> bool:
    """Tell whether this is the common case: a feed-forward network, a learned standard deviation.

    Anything else (recurrent networks, a critic of its own, other schedules) takes rl-games'
    own way, as does everything with `lean: False` in its settings.
    """
    return (
        agent.config.get("lean", True)
        and isinstance(agent.model, ModelA2CContinuousLogStd.Network)
        and not (agent.is_rnn or agent.has_central_value)
        and isinstance(agent.scheduler, AdaptiveScheduler)
        and agent.schedule_type == "legacy"
        and agent.model.get_aux_loss() is None
        and type(agent.diagnostics) is DefaultDiagnostics
    )


def _launcher(agent: Any) -> Callable[[Any], Any]:
    return Graph if torch.device(agent.ppo_device).type == "cuda" else lambda function: function


class LeanRollout(Rollout):
    """The common case's rollout: its step in two graphs, and rl-games' way of acting without what waits."""

    def __init__(self, agent: Any, env: Any, stop_if_asked: Callable[[], None]) -> None:
        super().__init__(agent, env, stop_if_asked, _launcher(agent))

    def _act(self, obs: torch.Tensor) -> dict[str, torch.Tensor]:
        agent, model = self.agent, self.agent.model
        mu, logstd, value, _ = model.a2c_network({"obs": model.norm_obs(agent._preproc_obs(obs)), "is_train": False})
        sigma = torch.exp(logstd)
        # As Normal.sample, which however waits for the device to see that sigma is positive; an exponential is.
        actions = mu + sigma * torch.randn_like(mu)
        return {
            "actions": actions,
            "neglogpacs": model.neglogp(actions, mu, sigma, logstd),
            "values": model.denorm_value(value),
            "mus": mu,
            "sigmas": sigma,
        }


class LeanUpdate(Update):
    """The common case's update.

    Args:
        agent: rl-games' agent.
        stop_if_asked: As of `Update`.
        mirrors: How observations and actions look in a mirror, to learn from each sample and its mirror image alike;
            None for samples alone. What the policy and its value were there when the sample was taken is what they
            were for the sample: whoever acts in a mirror acts so.
    """

    def __init__(
        self, agent: Any, stop_if_asked: Callable[[], None], mirrors: tuple[Change, Change] | None = None
    ) -> None:
        super().__init__(agent, stop_if_asked)
        self._mirrors = mirrors
        self._names = (*_MINIBATCH, "mirrored") if mirrors else _MINIBATCH
        self._parameters = list(agent.model.parameters())
        self._lr = torch.tensor(float(agent.last_lr), device=agent.ppo_device)
        self._losses = torch.zeros(len(_LOSSES), device=agent.ppo_device)
        # Gradients and losses of a minibatch in one tensor, so that ranks add them up at once.
        sizes = [parameter.numel() for parameter in self._parameters] + [len(_LOSSES)]
        self._of_minibatch = torch.zeros(sum(sizes), device=agent.ppo_device)
        *gradients, self._losses_of_minibatch = self._of_minibatch.split(sizes)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient.view_as(parameter)
        launch = _launcher(agent)
        self._run_update = self._update_with_others if ranks.count() > 1 else launch(self._update_minibatch)
        self._run_differentiate, self._run_step = launch(self._differentiate), launch(self._step)

    def _learn(self) -> Losses:
        agent, dataset = self.agent, self.agent.dataset
        # Statistics are fed before the update and stay as they are in it, so all its epochs see the same numbers.
        obs = dataset.values_dict["obs"]
        if self._mirrors:
            dataset.values_dict["mirrored"] = agent.model.norm_obs(self._mirrors[0](agent._preproc_obs(obs)))
        dataset.values_dict["obs"] = agent.model.norm_obs(obs if isinstance(obs, dict) else agent._preproc_obs(obs))
        self._lr.fill_(agent.last_lr)
        for group in agent.optimizer.param_groups:
            group["lr"], group["capturable"] = self._lr, self._lr.is_cuda
        self._losses.zero_()
        for _ in range(agent.mini_epochs_num):
            for index in range(len(dataset)):
                self.stop_if_asked()
                minibatch = dataset[index]
                inputs = {name: minibatch[name] for name in self._names}
                updated = self._run_update(inputs | flat("obs", minibatch["obs"]))
                dataset.update_mu_sigma(updated["mu"], updated["sigma"])
        losses = self._losses / (agent.mini_epochs_num * len(dataset))
        agent.last_lr = float(self._lr)  # waits for the device: the update is over
        for group in agent.optimizer.param_groups:
            group["lr"], group["capturable"] = agent.last_lr, False  # as checkpoints hold it
        return dict(zip(_LOSSES, losses.unbind(), strict=True))

    def _update_minibatch(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        made = self._differentiate(inputs)
        self._step({})
        return made

    def _update_with_others(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        """Update with the minibatches of all ranks, as with one that holds them all."""
        made = self._run_differentiate(inputs)
        ranks.add_up(self._of_minibatch)
        self._run_step({})
        return made

    def _differentiate(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        """Put gradients and losses of a minibatch where they are added up, and return what the policy has become."""
        agent, number = self.agent, len(inputs["mu"])
        if self._mirrors:
            inputs = self._doubled(inputs)
        with torch.autocast(self._lr.device.type, torch.bfloat16, enabled=agent.mixed_precision):
            obs = agent._preproc_obs(nested("obs", inputs))
            mu, logstd, values, _ = agent.model.a2c_network({"obs": obs, "is_train": True})
        mu, logstd, values = mu.float(), logstd.float(), values.float()
        sigma = torch.exp(logstd)
        loss, a_loss, c_loss, entropy, b_loss, _ = agent.calc_losses(
            agent.actor_loss_func,
            inputs["old_logp_actions"],
            agent.model.neglogp(inputs["actions"], mu, sigma, logstd),
            inputs["advantages"],
            agent.e_clip,
            inputs["old_values"],
            values,
            inputs["returns"],
            mu,
            (_ENTROPY_OF_UNIT_NORMAL + logstd).sum(-1),
            None,
        )
        gradients = torch.autograd.grad(loss, self._parameters)
        mu, sigma = mu.detach()[:number], sigma.detach()[:number]
        kl = torch_ext.policy_kl(mu, sigma, inputs["mu"], inputs["sigma"])
        values = (*gradients, *(value.detach() for value in (a_loss, c_loss, b_loss, entropy)), kl)
        torch.cat([value.flatten() for value in values], out=self._of_minibatch)
        return {"mu": mu, "sigma": sigma}

    def _doubled(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        """Return a minibatch with the mirror images behind the samples; of the old policy, the samples' alone."""
        assert self._mirrors is not None
        both = {name: torch.cat((value, value)) for name, value in inputs.items() if name not in ("mu", "sigma")}
        both["obs"] = torch.cat((inputs["obs"], inputs["mirrored"]))
        both["actions"] = torch.cat((inputs["actions"], self._mirrors[1](inputs["actions"])))
        return both | {"mu": inputs["mu"], "sigma": inputs["sigma"]}

    def _step(self, _: Tensors) -> dict[str, torch.Tensor]:
        agent = self.agent
        if ranks.count() > 1:
            self._of_minibatch /= ranks.count()
        if agent.truncate_grads:
            torch.nn.utils.clip_grad_norm_(self._parameters, agent.grad_norm)
        agent.optimizer.step()
        with torch.no_grad():
            self._losses += self._losses_of_minibatch
            self._adapt_learning_rate(self._losses_of_minibatch[_LOSSES.index("kl")])
        return {}

    def _adapt_learning_rate(self, kl: torch.Tensor) -> None:
        """Do what rl-games' AdaptiveScheduler does, where the numbers are."""
        schedule = self.agent.scheduler
        lower = (self._lr / 1.5).clamp(min=schedule.min_lr)
        higher = (self._lr * 1.5).clamp(max=schedule.max_lr)
        lr = torch.where(kl > 2.0 * schedule.kl_threshold, lower, self._lr)
        self._lr.copy_(torch.where(kl < 0.5 * schedule.kl_threshold, higher, lr))
