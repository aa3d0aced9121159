# SPDX-License-Identifier: Apache-2.0
"""PPO by skrl: its own agent, trainer and normalisers on our environments."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from skrl import logger as skrl_logger
from skrl.agents.torch import ppo as skrl_ppo
from skrl.envs.wrappers.torch import Wrapper
from skrl.memories.torch import RandomMemory
from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
from skrl.resources.preprocessors.torch import RunningStandardScaler
from skrl.resources.schedulers.torch import KLAdaptiveLR
from skrl.trainers.torch import StepTrainer
from torch import nn

from omni.myriad.errors import MyriadError
from omni.myriad.learn.library import LibraryActor, Stage, explained, learner_maker
from omni.myriad.learn.ppo import CONSTANT, PPO, ActionRange, activation_class, merged, read_ppo

_LACKS = {"normalize_advantage": (True,), "lr_schedule": ("adaptive", *CONSTANT)}
_ACTS = ("policy", "observation_preprocessor")
_FOREVER = 10**9  # timesteps, for a trainer that is stepped from outside

skrl_logger.setLevel(logging.WARNING)


def make_actor(
    config: Mapping[str, Any], env: Any, state: Mapping[str, Any], path: str | os.PathLike[str] = "checkpoint"
) -> LibraryActor:
    """Return the policy of a checkpoint, without exploration; see `omni.myriad.learn.run.make_actor`."""
    ppo = read_ppo(config, env)
    with explained(config):
        policy, scaler = Policy(ppo, env, "cpu"), _scaler(ppo.normalize_input, env.observation_space, "cpu")
    try:
        policy.load_state_dict(_part(state["model"], "policy"))
        if scaler is not None:
            scaler.load_state_dict(_part(state["model"], "observation_preprocessor"))
    except (KeyError, RuntimeError) as error:
        raise MyriadError(f"checkpoint {path} holds another network than the configuration asks for") from error
    network = policy.network if scaler is None else nn.Sequential(Normalizer(scaler), policy.network)
    actions = ActionRange(env.action_space, config["train"]["params"]["config"].get("clip_actions", True))
    return LibraryActor("skrl", network, actions, scaler is not None, env.device)


def skrl_settings(ppo: PPO) -> dict[str, Any]:
    """Return the agent's configuration as skrl calls its parts, without its classes and where it writes."""
    settings = {
        "rollouts": ppo.horizon_length,
        "learning_epochs": ppo.mini_epochs,
        "mini_batches": ppo.minibatches,
        "discount_factor": ppo.gamma,
        "gae_lambda": ppo.tau,
        "learning_rate": ppo.learning_rate,
        "grad_norm_clip": ppo.max_grad_norm or 0.0,
        "ratio_clip": ppo.e_clip,
        "value_clip": ppo.e_clip if ppo.clip_value else 0.0,
        "entropy_loss_scale": ppo.entropy_coef,
        "value_loss_scale": 0.5 * ppo.critic_coef,  # rl-games halves the error of the value
        "kl_threshold": 0.0,  # to skrl, a reason to stop an epoch's update, which rl-games has not
        "time_limit_bootstrap": True,  # the stage names no time-outs where none is wanted
        "mixed_precision": ppo.mixed_precision,
        "learning_rate_scheduler_kwargs": {"kl_threshold": ppo.kl_threshold} if ppo.lr_schedule == "adaptive" else {},
    }
    return merged(settings, ppo.library)


def _mlp(inputs: int, units: list[int], outputs: int, activation: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size in units:
        layers += [nn.Linear(inputs, size), activation_class(activation)()]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


class Policy(GaussianMixin, Model):
    """A Gaussian policy whose spread does not depend on what is observed."""

    def __init__(self, ppo: PPO, env: Any, device: torch.device | str) -> None:
        Model.__init__(
            self, observation_space=env.observation_space, action_space=env.action_space, device=torch.device(device)
        )
        GaussianMixin.__init__(self)
        self.network = _mlp(env.observation_space.shape[0], ppo.units, env.num_actions, ppo.activation)
        self.log_std = nn.Parameter(torch.full((env.num_actions,), ppo.log_std))

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[torch.Tensor, dict[str, Any]]:
        """Return means and the logarithm of the spread."""
        return self.network(inputs["observations"]), {"log_std": self.log_std}


class Value(DeterministicMixin, Model):
    """A critic, of the task's states where it shall see them."""

    def __init__(self, ppo: PPO, env: Any, device: torch.device | str) -> None:
        Model.__init__(
            self,
            observation_space=env.observation_space,
            state_space=env.state_space,
            action_space=env.action_space,
            device=torch.device(device),
        )
        DeterministicMixin.__init__(self)
        self._sees = "states" if ppo.sees_states else "observations"
        seen = env.state_space if ppo.sees_states else env.observation_space
        self.network = _mlp(seen.shape[0], ppo.critic_units, 1, ppo.activation)

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[torch.Tensor, dict[str, Any]]:
        """Return values, (batch, 1)."""
        return self.network(inputs[self._sees]), {}


class Normalizer(nn.Module):
    """skrl's scaler as it stands, in the single precision in which it is applied."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, scaler: RunningStandardScaler) -> None:
        super().__init__()
        self.register_buffer("mean", scaler.running_mean.float())
        self.register_buffer("std", scaler.running_variance.float().sqrt() + scaler.epsilon)
        self.clip = scaler.clip_threshold

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return observations in standard deviations, clipped."""
        return ((observations - self.mean) / self.std).clamp(-self.clip, self.clip)


def _scaler(wanted: bool, size: Any, device: torch.device | str) -> RunningStandardScaler | None:
    return RunningStandardScaler(size, device=torch.device(device)) if wanted else None


class Env(Wrapper):
    """The stage with the methods that skrl asks for."""

    def __init__(self, stage: Stage, sees_states: bool) -> None:
        super().__init__(stage)
        self.stage, self._sees_states = stage, sees_states

    @property
    def observation_space(self) -> Any:
        """The task's."""
        return self.stage.env.observation_space

    @property
    def state_space(self) -> Any:
        """The task's, where the critic sees them."""
        return self.stage.env.state_space if self._sees_states else None

    @property
    def action_space(self) -> Any:
        """The task's."""
        return self.stage.env.action_space

    def reset(self) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the observations to continue from: who starts a run has reset the environments, or restored them."""
        return self.stage.observations["obs"], {}

    def state(self) -> torch.Tensor | None:
        """Return the critic's observations."""
        return self.stage.observations["states"] if self._sees_states else None

    def step(self, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, Any]:
        """Step every environment; to rewards at truncations skrl adds gamma V(s') of the state after the step."""
        observed, rewards, dones, time_outs = self.stage.step(actions)
        rewards, failed, cut = (value.view(-1, 1) for value in (rewards, dones & ~time_outs, time_outs))
        return observed["obs"], rewards, failed, cut, {}

    def render(self, *_: Any, **__: Any) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: who made the environments closes them."""


class Skrl:
    """skrl's agent and its trainer, an epoch at a time."""

    def __init__(self, ppo: PPO, stage: Stage) -> None:
        self.ppo, self.stage = ppo, stage
        env = Env(stage, ppo.sees_states)
        settings = skrl_settings(ppo)
        settings["experiment"] = {"write_interval": 0, "checkpoint_interval": 0}
        if ppo.lr_schedule == "adaptive":
            settings["learning_rate_scheduler"] = KLAdaptiveLR
        sizes = {"observation": (ppo.normalize_input, env.observation_space), "value": (ppo.normalize_value, 1)}
        sizes["state"] = (ppo.normalize_input and ppo.sees_states, env.state_space)
        for name, (wanted, size) in sizes.items():
            if wanted:
                settings[f"{name}_preprocessor"] = RunningStandardScaler
                settings[f"{name}_preprocessor_kwargs"] = {"size": size, "device": stage.device}
        self.agent = skrl_ppo.PPO(
            models={"policy": Policy(ppo, stage.env, stage.device), "value": Value(ppo, stage.env, stage.device)},
            memory=RandomMemory(memory_size=ppo.horizon_length, num_envs=stage.num_envs, device=stage.device),
            observation_space=env.observation_space,
            state_space=env.state_space,
            action_space=env.action_space,
            device=stage.device,
            cfg=settings,
        )
        trainer = {
            "timesteps": _FOREVER,
            "headless": True,
            "disable_progressbar": True,
            "close_environment_at_exit": False,
        }
        self.trainer = StepTrainer(env=env, agents=self.agent, cfg=trainer)

    @property
    def learning_rate(self) -> float:
        """The optimiser's step as it is now."""
        return self.agent.optimizer.param_groups[0]["lr"]

    def train_epoch(self) -> dict[str, float]:
        """Step and learn; see `omni.myriad.learn.library.Library`."""
        self.trainer.observations, self.trainer.states = self.trainer.env.reset()[0], self.trainer.env.state()
        for timestep in range(self.ppo.horizon_length):
            self.trainer.train(timestep, _FOREVER)
        tracked = self.agent.tracking_data
        names = {"Loss / Policy loss": "policy_loss", "Loss / Value loss": "value_loss"}
        names |= {"Loss / Entropy loss": "entropy_loss", "Policy / Standard deviation": "action_std"}
        losses = {name: float(tracked[key][-1]) for key, name in names.items() if tracked.get(key)}
        tracked.clear()
        return losses

    def policy_state(self) -> dict[str, Any]:
        """Return the policy's weights, and the statistics of its observations."""
        return self._state(lambda name: name in _ACTS)

    def learner_state(self) -> dict[str, Any]:
        """Return the critic, the optimiser and the other statistics."""
        return self._state(lambda name: name not in _ACTS)

    def _state(self, chosen: Callable[[str], bool]) -> dict[str, Any]:
        modules = {name: module for name, module in self.agent.checkpoint_modules.items() if chosen(name)}
        return {f"{name}.{key}": value for name, part in modules.items() for key, value in part.state_dict().items()}

    def load(self, policy: dict[str, Any], learner: dict[str, Any]) -> None:
        """Put back what both returned."""
        for name, module in self.agent.checkpoint_modules.items():
            module.load_state_dict(_part({**policy, **learner}, name))


def _part(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the part of a state whose names begin with a module's."""
    return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}


make_learner = learner_maker(Skrl, _LACKS)
