# SPDX-License-Identifier: Apache-2.0
"""PPO by Stable-Baselines3: its own algorithm, policy and normaliser on our environments.

It works on NumPy arrays and loops over environments in Python, so every step copies between the device and the host: it
is here to compare with, and for few environments.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import ppo as sb3_ppo
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv, VecNormalize
from torch import nn

from omni.myriad.errors import MyriadError
from omni.myriad.learn.library import LibraryActor, Stage, explained, learner_maker
from omni.myriad.learn.ppo import CONSTANT, PPO, ActionRange, activation_class, merged, read_ppo

_LACKS = {
    "normalize_value": (False,),
    "mixed_precision": (False,),
    "clip_actions": (True,),
    "lr_schedule": CONSTANT,
}
_MORE = {"device", "sde_sample_freq", "target_kl", "use_sde"}
_CLIP = 5.0  # standard deviations, as in rl-games
_EPSILON = 1e-8  # added to variances


def make_actor(
    config: Mapping[str, Any], env: Any, state: Mapping[str, Any], path: str | os.PathLike[str] = "checkpoint"
) -> LibraryActor:
    """Return the policy of a checkpoint, without exploration; see `omni.myriad.learn.run.make_actor`."""
    ppo = _read(config, env)
    with explained(config):
        settings = _policy_settings(sb3_settings(ppo))
        policy = ActorCriticPolicy(env.observation_space, _unit_box(env.num_actions), lambda _: 0.0, **settings)
    weights = dict(state["model"])
    statistics = {name: weights.pop(name) for name in _STATISTICS if name in weights}
    try:
        policy.load_state_dict(weights)
    except RuntimeError as error:
        raise MyriadError(f"checkpoint {path} holds another network than the configuration asks for") from error
    if bool(statistics) != ppo.normalize_input:
        raise MyriadError(f"checkpoint {path} holds another network than the configuration asks for")
    layers = [policy.mlp_extractor.policy_net, policy.action_net]
    network = nn.Sequential(*([Normalizer(statistics)] if statistics else []), *layers)
    actions = ActionRange(env.action_space, clips=True)
    return LibraryActor("stable-baselines3", network, actions, ppo.normalize_input, env.device)


def _read(config: Mapping[str, Any], env: Any) -> PPO:
    ppo = read_ppo(config, env)
    if ppo.sees_states:
        raise MyriadError("train.learner=sb3 does not support central_value_config: use rl_games, rsl_rl or skrl")
    return ppo


def sb3_settings(ppo: PPO) -> dict[str, Any]:
    """Return the arguments of Stable-Baselines3's PPO as it calls them, its policy's activation by name."""
    settings = {
        "learning_rate": ppo.learning_rate,
        "n_steps": ppo.horizon_length,
        "batch_size": ppo.minibatch_size,
        "n_epochs": ppo.mini_epochs,
        "gamma": ppo.gamma,
        "gae_lambda": ppo.tau,
        "clip_range": ppo.e_clip,
        "clip_range_vf": ppo.e_clip if ppo.clip_value else None,
        "normalize_advantage": ppo.normalize_advantage,
        "ent_coef": ppo.entropy_coef,
        "vf_coef": 0.5 * ppo.critic_coef,  # rl-games halves the error of the value
        "max_grad_norm": math.inf if ppo.max_grad_norm is None else ppo.max_grad_norm,
        "policy_kwargs": {
            "net_arch": {"pi": ppo.units, "vf": ppo.critic_units},
            "activation_fn": ppo.activation,
            "log_std_init": ppo.log_std,
        },
    }
    return merged(settings, ppo.library, _MORE)


def _policy_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    policy = dict(settings["policy_kwargs"])
    return policy | {"activation_fn": activation_class(policy["activation_fn"])}


def _unit_box(size: int) -> spaces.Box:
    """Return the space that Stable-Baselines3 clips actions to; the stage brings them into the task's."""
    return spaces.Box(-1.0, 1.0, (size,), np.float32)


class Env(VecEnv):
    """The stage with the methods that Stable-Baselines3 asks for, everything as NumPy arrays."""

    render_mode = None

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        super().__init__(stage.num_envs, stage.env.observation_space, _unit_box(stage.env.num_actions))
        self._actions = torch.zeros(0)

    def reset(self) -> np.ndarray:
        """Return the observations to continue from: who starts a run has reset the environments, or restored them."""
        return self.stage.observations["obs"].cpu().numpy().copy()

    def step_async(self, actions: np.ndarray) -> None:
        """Take actions."""
        self._actions = torch.as_tensor(actions, device=self.stage.device)

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step every environment; to rewards at time-outs Stable-Baselines3 adds gamma V(s') of the last state.

        An observation that comes with an end is that last one: the episode after it begins in the next step.
        """
        observed, rewards, dones, time_outs = self.stage.step(self._actions)
        seen, ends, cut = (value.cpu().numpy().copy() for value in (observed["obs"], dones, time_outs))
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for env_id in np.flatnonzero(ends):
            infos[env_id] = {"terminal_observation": seen[env_id].copy(), "TimeLimit.truncated": bool(cut[env_id])}
        return seen, rewards.cpu().numpy().copy(), ends, infos

    def close(self) -> None:
        """Do nothing: who made the environments closes them."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute, the same for every environment."""
        return [getattr(self, attr_name)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: environments are one."""
        raise NotImplementedError

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Refuse: environments are one."""
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Return that none is."""
        return [False] * self.num_envs


_STATISTICS = ("obs_rms.mean", "obs_rms.var")


class Normalizer(nn.Module):
    """Stable-Baselines3's running statistics as they stand, in single precision."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, statistics: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        mean, variance = (statistics[name] for name in _STATISTICS)
        self.register_buffer("mean", mean.float())
        self.register_buffer("std", (variance + _EPSILON).sqrt().float())

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return observations in standard deviations, clipped."""
        return ((observations - self.mean) / self.std).clamp(-_CLIP, _CLIP)


class Sb3:
    """Stable-Baselines3's PPO, an epoch at a time."""

    def __init__(self, ppo: PPO, stage: Stage) -> None:
        self.stage, self.frames = stage, ppo.horizon_length * stage.num_envs
        env: VecEnv = Env(stage)
        if ppo.normalize_input:
            env = VecNormalize(env, norm_reward=False, clip_obs=_CLIP, epsilon=_EPSILON)
        self.env = env
        settings: dict[str, Any] = {"device": stage.device, **sb3_settings(ppo)}
        settings["policy_kwargs"] = _policy_settings(settings)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="You are trying to run PPO on the GPU")  # said in this module
            self.model = sb3_ppo.PPO("MlpPolicy", env, **settings)
        self.model.set_logger(Logger(None, []))
        self._resumed = False

    @property
    def learning_rate(self) -> float:
        """The optimiser's step as it is now."""
        return self.model.policy.optimizer.param_groups[0]["lr"]

    def train_epoch(self) -> dict[str, float]:
        """Step and learn; see `omni.myriad.learn.library.Library`."""
        if self._resumed:
            # `learn` would begin with a reset, which counts the first observations once more.
            seen: Any = self.stage.observations["obs"].cpu().numpy().copy()
            self.model._last_obs = self.env.normalize_obs(seen) if isinstance(self.env, VecNormalize) else seen
            self.model._last_episode_starts = np.zeros(self.stage.num_envs, dtype=bool)
            self._resumed = False
        self.model.learn(self.frames, reset_num_timesteps=False, log_interval=None)  # type: ignore[arg-type]
        recorded = self.model.logger.name_to_value
        names = {"policy_gradient_loss": "policy_loss", "value_loss": "value_loss", "entropy_loss": "entropy_loss"}
        names |= {"approx_kl": "kl", "std": "action_std"}
        return {name: float(recorded[f"train/{key}"]) for key, name in names.items()}

    def policy_state(self) -> dict[str, Any]:
        """Return the weights of policy and critic, and the statistics of observations."""
        return self.model.policy.state_dict() | {
            name: torch.from_numpy(value) for name, value in self._statistics().items() if name in _STATISTICS
        }

    def learner_state(self) -> dict[str, Any]:
        """Return the optimiser, and how much was counted."""
        return {
            "optimizer": self.model.policy.optimizer.state_dict(),
            "num_timesteps": self.model.num_timesteps,
            "obs_rms.count": self._statistics().get("obs_rms.count"),
        }

    def _statistics(self) -> dict[str, Any]:
        if not isinstance(self.env, VecNormalize):
            return {}
        statistics = self.env.obs_rms
        return {f"obs_rms.{name}": getattr(statistics, name) for name in ("mean", "var", "count")}

    def load(self, policy: dict[str, Any], learner: dict[str, Any]) -> None:
        """Put back what both returned."""
        weights = dict(policy)
        if isinstance(self.env, VecNormalize):
            statistics: Any = self.env.obs_rms
            statistics.mean, statistics.var = (weights.pop(name).cpu().numpy().copy() for name in _STATISTICS)
            statistics.count = learner["obs_rms.count"]
        self.model.policy.load_state_dict(weights)
        self.model.policy.optimizer.load_state_dict(learner["optimizer"])
        self.model.num_timesteps = learner["num_timesteps"]
        self._resumed = True


make_learner = learner_maker(Sb3, _LACKS, _read)
