# SPDX-License-Identifier: Apache-2.0
"""Rollout and update with nothing around rl-games' maths, on a GPU as CUDA graphs; `why_not_lean` says for whom not.

Few functions are all that touches the networks: `_act` samples actions, within the half of `Rollout`'s step before the
environment's, and the two `_loss` with `Descent` do what rl-games' `calc_gradients` do, by its own loss functions, with
the learning rate kept on the device and vectors of observations normalised once an update. Pictures stay bytes until a
minibatch is looked at: as floats, those of a whole rollout would take four times the memory. What networks remember
stays in the same tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from rl_games.algos_torch import torch_ext
from rl_games.algos_torch.models import ModelA2CContinuousLogStd
from rl_games.common import common_losses
from rl_games.common.diagnostics import DefaultDiagnostics
from rl_games.common.layers.recurrent import RnnWithDones
from rl_games.common.schedulers import AdaptiveScheduler
from torch import nn

from omni.myriad.env.capture import Graph, Tensors
from omni.myriad.learn import ranks
from omni.myriad.learn.rl_games.library import learners
from omni.myriad.learn.rl_games.rollout import Rollout, flat, nested
from omni.myriad.learn.rl_games.update import Losses, Update

Judged = tuple[torch.Tensor, tuple[torch.Tensor, ...], dict[str, torch.Tensor]]
"""Of a minibatch: the loss to descend, those to report, and what else is wanted of it."""

Change = Callable[[torch.Tensor], torch.Tensor]
"""Turns a batch of vectors into another."""

_MINIBATCH = ("old_values", "old_logp_actions", "advantages", "returns", "actions", "mu", "sigma")
_LOSSES = ("a_loss", "c_loss", "bounds_loss", "entropy", "kl")
_ENTROPY_OF_UNIT_NORMAL = 0.5 + 0.5 * math.log(2.0 * math.pi)


def why_not_lean(agent: Any) -> str | None:
    """Return what of an agent has no lean rollout and update, and takes rl-games' own way; None where all has."""
    wrong = {
        "lean=False": not agent.config.get("lean", True),
        "torch_compile": agent.config.get("torch_compile", False),
        "a model other than continuous_a2c_logstd": not isinstance(agent.model, ModelA2CContinuousLogStd.Network),
        "an lr_schedule other than adaptive": not isinstance(agent.scheduler, AdaptiveScheduler),
        "schedule_type=standard": agent.schedule_type != "legacy",
        "use_diagnostics": type(agent.diagnostics) is not DefaultDiagnostics,
        "epochs_between_resets with a memory": agent.is_rnn and agent.epochs_between_resets > 0,
        "symmetry with a memory": agent.is_rnn and agent.config.get("symmetry", False),
    }
    what = next((what for what, is_so in wrong.items() if is_so), None)
    return what or ("a network with a loss of its own" if agent.model.get_aux_loss() is not None else None)


class SteppedRnn(nn.Module):
    """An LSTM or GRU which forgets where an episode ended, without asking the device where that is.

    rl-games cuts sequences where any episode ended, for which it waits for the device to tell; here each step is a call
    of its own. For these cuDNN takes nine times as long as torch's own kernels: on an H200 12.2 ms against 1.4 ms in a
    graph for 16 steps of 2,048 LSTMs of 128 units and their gradients (2026-11-28).

    It has the weights of the module that it replaces, by the same names.

    Args:
        rnn: torch's module.
    """

    def __init__(self, rnn: nn.Module) -> None:
        super().__init__()
        self.rnn = rnn

    @torch.backends.cudnn.flags(enabled=False)
    def forward(self, inputs: torch.Tensor, states: Any, dones: torch.Tensor | None = None, _bptt_len: int = 0) -> Any:
        """Return outputs and the last states.

        Args:
            inputs: (seq_length, sequences, features).
            states: (layers, sequences, units), two of them for an LSTM, before the first step.
            dones: Where an episode ended before a step, (seq_length, sequences, 1); None: nowhere.
        """
        if dones is None:
            return self.rnn(inputs, states)
        going_on = 1.0 - dones.to(inputs.dtype)
        outputs = []
        for seen, keep in zip(inputs.split(1), going_on.split(1), strict=True):
            states = tuple(state * keep for state in states) if isinstance(states, (tuple, list)) else states * keep
            output, states = self.rnn(seen, states)
            outputs.append(output)
        return torch.cat(outputs), states


def use_stepped_rnns(agent: Any) -> None:
    """Replace the recurrent layers of an agent's networks."""
    for learning in learners(agent):
        for name, layer in list(learning.model.a2c_network.named_children()):
            if isinstance(layer, RnnWithDones):
                setattr(learning.model.a2c_network, name, SteppedRnn(layer.rnn))


def _launcher(agent: Any) -> Callable[[Any], Any]:
    return Graph if torch.device(agent.ppo_device).type == "cuda" else lambda function: function


class LeanRollout(Rollout):
    """A step in two graphs, and rl-games' way of acting without what waits."""

    def __init__(self, agent: Any, env: Any, stop_if_asked: Callable[[], None]) -> None:
        super().__init__(agent, env, stop_if_asked, _launcher(agent))

    def _act(self, obs: Any, inputs: Tensors) -> dict[str, torch.Tensor]:
        agent, model = self.agent, self.agent.model
        mu, logstd, value = self._run(agent, model.norm_obs(agent._preproc_obs(obs)))
        sigma = torch.exp(logstd)
        # As Normal.sample, which however waits for the device to see that sigma is positive; an exponential is.
        actions = mu + sigma * torch.randn_like(mu)
        values = model.denorm_value(value)
        if agent.has_central_value:
            critic = agent.central_value_net
            (value,) = self._run(critic, critic.model.norm_obs(critic._preproc_obs(inputs["states"])))
            values = critic.model.denorm_value(value)
        return {
            "actions": actions,
            "neglogpacs": model.neglogp(actions, mu, sigma, logstd),
            "values": values,
            "mus": mu,
            "sigmas": sigma,
        }

    def _run(self, learner: Any, obs: Any) -> list[torch.Tensor]:
        """Return what a network makes of observations; what it remembers is changed in place."""
        inputs = {"obs": obs, "is_train": False, "rnn_states": learner.rnn_states}
        *made, states = learner.model.a2c_network(inputs)
        for memory, new in zip(learner.rnn_states, states, strict=True) if learner.is_rnn else ():
            memory.copy_(new)
        return made


class Descent:
    """Gradients of a loss and the steps of an optimiser, all in tensors that stay: what a graph can hold.

    Args:
        learner: rl-games' agent, or its critic: the model, the optimiser, and how gradients are cut.
        names: Of the losses that are reported.
        loss: What judges a minibatch.
        then: Called after each step, with the losses of its minibatch.
    """

    def __init__(
        self,
        learner: Any,
        names: tuple[str, ...],
        loss: Callable[[Tensors], Judged],
        then: Callable[[torch.Tensor], None] | None = None,
    ) -> None:
        self.learner, self.names, self._loss, self._then = learner, names, loss, then
        device = learner.ppo_device
        self.parameters = list(learner.model.parameters())
        self.lr = torch.zeros((), device=device)
        self.losses = torch.zeros(len(names), device=device)
        # Gradients and losses of a minibatch in one tensor, so that ranks add them up at once.
        sizes = [parameter.numel() for parameter in self.parameters] + [len(names)]
        self._of_minibatch = torch.zeros(sum(sizes), device=device)
        *gradients, self._losses_of_minibatch = self._of_minibatch.split(sizes)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient.view_as(parameter)
        launch = _launcher(learner)
        self.run = self._run_with_others if ranks.count() > 1 else launch(self._run)
        self._run_differentiate, self._run_step = launch(self.differentiate), launch(self._step)

    @contextmanager
    def at(self, lr: float) -> Iterator[None]:
        """Begin an update with a learning rate, and when it is over put what has become of it where rl-games looks."""
        self._set_lr(self.lr.fill_(lr), self.lr.is_cuda)
        self.losses.zero_()
        try:
            yield
        finally:  # as checkpoints hold it; waits for the device: the update is over
            self._set_lr(float(self.lr), False)

    def _set_lr(self, lr: torch.Tensor | float, capturable: bool) -> None:
        for group in self.learner.optimizer.param_groups:
            group["lr"], group["capturable"] = lr, capturable

    def means(self, minibatches: int) -> Losses:
        """Return what the losses were on average since the update began."""
        return dict(zip(self.names, (self.losses / minibatches).unbind(), strict=True))

    def _run(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        made = self.differentiate(inputs)
        self._step({})
        return made

    def _run_with_others(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        """Learn from the minibatches of all ranks, as from one that holds them all."""
        made = self._run_differentiate(inputs)
        ranks.add_up(self._of_minibatch)
        self._run_step({})
        return made

    def differentiate(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        """Put gradients and losses of a minibatch where they are added up."""
        loss, losses, made = self._loss(inputs)
        # Of layers that nothing uses, such as the values of a policy beside a critic of its own, they are 0.
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True, materialize_grads=True)
        values = (*gradients, *(value.detach() for value in losses))
        torch.cat([value.flatten() for value in values], out=self._of_minibatch)
        return made

    @torch.no_grad()
    def _step(self, _: Tensors) -> dict[str, torch.Tensor]:
        if ranks.count() > 1:
            self._of_minibatch /= ranks.count()
        if self.learner.truncate_grads:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.learner.grad_norm)
        self.learner.optimizer.step()
        self.losses += self._losses_of_minibatch
        if self._then is not None:
            self._then(self._losses_of_minibatch)
        return {}


class LeanCritic:
    """The update of a critic of its own, which rl-games calls the central value.

    Where `zero_rnn_on_done` is False nothing is forgotten here either; rl-games' critic remembers in the rollout and
    forgets in the update.

    Args:
        agent: rl-games' agent.
        stop_if_asked: As of `Update`.
    """

    def __init__(self, agent: Any, stop_if_asked: Callable[[], None]) -> None:
        self.critic, self.stop_if_asked = agent.central_value_net, stop_if_asked
        self._forgets = agent.zero_rnn_on_done
        self._descent = Descent(self.critic, ("cval_loss",), self._loss)

    def __call__(self) -> Losses:
        """Learn from the critic's dataset, and return the mean loss."""
        critic, dataset, descent = self.critic, self.critic.dataset, self._descent
        if critic.config.get("freeze_critic", False):
            return {}
        critic.train()
        dataset.values_dict["obs"] = critic.model.norm_obs(critic._preproc_obs(dataset.values_dict["obs"]))
        with descent.at(critic.lr):
            for _ in range(critic.mini_epoch):
                for index in range(len(dataset)):
                    self.stop_if_asked()
                    minibatch = dataset[index]
                    inputs = {name: minibatch[name] for name in ("obs", "old_values", "returns")}
                    descent.run(inputs | remembered(critic, minibatch, self._forgets))
        critic.epoch_num += 1
        critic.frame += critic.batch_size
        critic.lr, _ = critic.scheduler.update(critic.lr, 0, critic.epoch_num, 0, 0)
        for group in critic.optimizer.param_groups:
            group["lr"] = critic.lr
        if critic.writter is not None:  # rl-games' spelling
            critic.writter.add_scalar("info/cval_lr", critic.lr, critic.frame)
        return descent.means(critic.mini_epoch * len(dataset))

    def _loss(self, inputs: Tensors) -> Judged:
        critic = self.critic
        with torch.autocast(inputs["obs"].device.type, torch.bfloat16, enabled=critic.mixed_precision):
            values, _ = critic.model.a2c_network({"obs": inputs["obs"], "is_train": True} | sequences(critic, inputs))
        loss = common_losses.critic_loss(
            critic.model, inputs["old_values"], values.float(), critic.e_clip, inputs["returns"], critic.clip_value
        ).mean()
        return loss, (loss,), {}


def remembered(learner: Any, minibatch: Mapping[str, Any], forgets: bool) -> dict[str, torch.Tensor]:
    """Return what a recurrent network needs of a minibatch beside observations, as graphs take it."""
    if not learner.is_rnn:
        return {}
    memories = {f"memory/{index}": memory for index, memory in enumerate(minibatch["rnn_states"])}
    return memories | ({"dones": minibatch["dones"]} if forgets else {})


def sequences(learner: Any, inputs: Tensors) -> dict[str, Any]:
    """Return what `remembered` gave as networks take it."""
    if not learner.is_rnn:
        return {}
    return {
        "rnn_states": list(nested("memory", inputs).values()),
        "seq_length": learner.seq_length,
        "dones": inputs.get("dones"),
    }


class LeanUpdate(Update):
    """A minibatch in one graph, or where there are several ranks in two, with their sums between.

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
        self._critic = LeanCritic(agent, stop_if_asked) if agent.has_central_value else None
        self._descent = Descent(agent, _LOSSES, self._loss, self._adapt_learning_rate)

    def _learn(self) -> Losses:
        agent, dataset, descent = self.agent, self.agent.dataset, self._descent
        of_critic = self._critic() if self._critic else {}
        # Statistics are fed before the update and stay as they are in it, so all its epochs see the same numbers.
        obs = dataset.values_dict["obs"]
        if self._mirrors:
            dataset.values_dict["mirrored"] = agent.model.norm_obs(self._mirrors[0](agent._preproc_obs(obs)))
        dataset.values_dict["obs"] = agent.model.norm_obs(obs if isinstance(obs, dict) else agent._preproc_obs(obs))
        with descent.at(agent.last_lr):
            for _ in range(agent.mini_epochs_num):
                for index in range(len(dataset)):
                    self.stop_if_asked()
                    minibatch = dataset[index]
                    inputs = {name: minibatch[name] for name in self._names} | flat("obs", minibatch["obs"])
                    updated = descent.run(inputs | remembered(agent, minibatch, agent.zero_rnn_on_done))
                    dataset.update_mu_sigma(updated["mu"], updated["sigma"])
        agent.last_lr = agent.optimizer.param_groups[0]["lr"]
        return descent.means(agent.mini_epochs_num * len(dataset)) | of_critic

    def _loss(self, inputs: Tensors) -> Judged:
        """Return a minibatch's loss, its parts as `_LOSSES` names them, and what the policy has become."""
        agent, number = self.agent, len(inputs["mu"])
        if self._mirrors:
            inputs = self._doubled(inputs)
        with torch.autocast(inputs["mu"].device.type, torch.bfloat16, enabled=agent.mixed_precision):
            obs = agent._preproc_obs(nested("obs", inputs))
            seen = {"obs": obs, "is_train": True} | sequences(agent, inputs)
            mu, logstd, values, _ = agent.model.a2c_network(seen)
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
        mu, sigma = mu.detach()[:number], sigma.detach()[:number]
        kl = torch_ext.policy_kl(mu, sigma, inputs["mu"], inputs["sigma"])
        return loss, (a_loss, c_loss, b_loss, entropy, kl), {"mu": mu, "sigma": sigma}

    def _doubled(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        """Return a minibatch with the mirror images behind the samples; of the old policy, the samples' alone."""
        assert self._mirrors is not None
        both = {name: torch.cat((value, value)) for name, value in inputs.items() if name not in ("mu", "sigma")}
        both["obs"] = torch.cat((inputs["obs"], inputs["mirrored"]))
        both["actions"] = torch.cat((inputs["actions"], self._mirrors[1](inputs["actions"])))
        return both | {"mu": inputs["mu"], "sigma": inputs["sigma"]}

    def _adapt_learning_rate(self, losses: torch.Tensor) -> None:
        """Do what rl-games' AdaptiveScheduler does, where the numbers are."""
        schedule, now, kl = self.agent.scheduler, self._descent.lr, losses[_LOSSES.index("kl")]
        lower = (now / 1.5).clamp(min=schedule.min_lr)
        higher = (now * 1.5).clamp(max=schedule.max_lr)
        lr = torch.where(kl > 2.0 * schedule.kl_threshold, lower, now)
        now.copy_(torch.where(kl < 0.5 * schedule.kl_threshold, higher, lr))
