# SPDX-License-Identifier: Apache-2.0
"""A small deterministic environment in pure torch: a batch of cart-poles, with the contract of `VecEnv`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from omni.myriad.learn import checkpoint, run


class CartPoleEnv:
    """Balance poles; the equations are Barto, Sutton and Anderson's (1983), integrated by explicit Euler at 50 Hz."""

    def __init__(
        self,
        num_envs: int = 32,
        max_steps: int = 100,
        discrete: bool = False,
        with_states: bool = False,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.num_envs, self.max_steps, self.discrete = num_envs, max_steps, discrete
        self.max_episode_length = max_steps + 1  # as RLTask counts: an episode is cut short a step before it
        self.device = torch.device(device)
        box = spaces.Box(-np.inf, np.inf, (4,), np.float32)
        self.observation_space = box
        self.state_space = spaces.Box(-np.inf, np.inf, (5,), np.float32) if with_states else None
        self.num_states = 5 if with_states else 0
        self.action_space: spaces.Space = spaces.Discrete(2) if discrete else spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.num_actions = 2 if discrete else 1
        self.phase_seconds = {"physics": 0.0, "task": 0.0}
        self.generator = torch.Generator(device).manual_seed(seed)
        self.poison: dict[int, Any] = {}  # step: function of (obs, rewards), for spoiling them
        self.steps = 0
        self.obs_buf = torch.zeros(num_envs, 4, device=device)
        self.progress = torch.zeros(num_envs, dtype=torch.long, device=device)

    def set_env_frames(self, env_frames: int) -> None: ...

    def _start(self, mask: torch.Tensor) -> None:
        fresh = torch.rand(self.num_envs, 4, generator=self.generator, device=self.device) * 0.1 - 0.05
        self.obs_buf.copy_(torch.where(mask.unsqueeze(1), fresh, self.obs_buf))
        self.progress.masked_fill_(mask, 0)

    def _observations(self) -> dict[str, torch.Tensor]:
        obs = {"obs": self.obs_buf}
        if self.state_space is not None:
            obs["states"] = torch.cat([self.obs_buf, self.progress.unsqueeze(1) / self.max_steps], 1)
        return obs

    def reset(self) -> dict[str, torch.Tensor]:
        self._start(torch.ones(self.num_envs, dtype=torch.bool, device=self.device))
        return self._observations()

    def step(self, actions: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor, dict[str, Any]]:
        push = 10.0 * (actions.float() * 2 - 1 if self.discrete else actions[:, 0])
        _, v, angle, rate = self.obs_buf.unbind(1)
        sin, cos = angle.sin(), angle.cos()
        common = (push + 0.05 * rate**2 * sin) / 1.1
        spin = (9.8 * sin - cos * common) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
        shove = common - 0.05 * spin * cos / 1.1
        self.obs_buf += 0.02 * torch.stack([v, shove, rate, spin], 1)
        self.progress += 1
        self.steps += 1
        fell = (self.obs_buf[:, 2].abs() > 0.2) | (self.obs_buf[:, 0].abs() > 2.4)
        time_outs = (self.progress >= self.max_steps) & ~fell
        dones = fell | time_outs
        rewards = torch.ones(self.num_envs, device=self.device)
        extras = {"time_outs": time_outs, "episode": {"angle": self.obs_buf[:, 2].abs().mean()}}
        self._start(dones)
        if self.steps in self.poison:
            self.poison[self.steps](self.obs_buf, rewards)
        return self._observations(), rewards, dones, extras

    def get_motion(self) -> dict[str, Any]:
        return {}

    def get_env_state(self) -> dict[str, Any]:
        return {"obs": self.obs_buf, "progress": self.progress, "random": self.generator.get_state()}

    def set_env_state(self, state: dict[str, Any]) -> None:
        self.obs_buf.copy_(state["obs"])
        self.progress.copy_(state["progress"])
        self.generator.set_state(state["random"])

    def close(self) -> None: ...


def make_cfg(env: CartPoleEnv, *, max_iterations: int = 5, rnn: bool | str = False, **config: Any) -> dict[str, Any]:
    """Return a resolved configuration for `env`; keyword arguments go to rl-games' config block.

    With `rnn` networks have a memory: an LSTM, or what it names.
    """
    model = "discrete_a2c" if env.discrete else "continuous_a2c_logstd"
    space: dict[str, Any] = {"discrete": {}}
    if not env.discrete:
        space = {
            "continuous": {
                "mu_activation": "None",
                "sigma_activation": "None",
                "mu_init": {"name": "default"},
                "sigma_init": {"name": "const_initializer", "val": 0.0},
                "fixed_sigma": True,
            }
        }
    mlp = {"units": [32, 32], "activation": "elu", "initializer": {"name": "default"}}
    network: dict[str, Any] = {"name": "actor_critic", "separate": False, "space": space, "mlp": mlp}
    if rnn:
        network["rnn"] = {
            "name": "gru" if rnn == "gru" else "lstm",
            "units": 16,
            "layers": 1,
            "before_mlp": False,
            "concat_input": True,
        }
    defaults = {
        "normalize_input": True,
        "normalize_value": True,
        "normalize_advantage": True,
        "reward_shaper": {"scale_value": 0.1},
        "gamma": 0.99,
        "tau": 0.95,
        "learning_rate": 3e-3,
        "lr_schedule": "adaptive",
        "kl_threshold": 0.008,
        "entropy_coef": 0.0,
        "grad_norm": 1.0,
        "truncate_grads": True,
        "e_clip": 0.2,
        "clip_value": True,
        "critic_coef": 2,
        "bounds_loss_coef": 0.001,
        "horizon_length": 16,
        "minibatch_size": env.num_envs * 8,
        "mini_epochs": 4,
        "seq_length": 4,
        "save_best_after": 1,
        "save_frequency": 0,
        "max_epochs": 1000,
    }
    if env.state_space is not None:
        critic = {"name": "actor_critic", "central_value": True, "mlp": mlp}
        defaults["central_value_config"] = {
            "network": critic | ({"rnn": network["rnn"]} if rnn else {}),
            "minibatch_size": env.num_envs * 8,
            "mini_epochs": 2,
            "learning_rate": 1e-3,
            "clip_value": True,
            "normalize_input": True,
            "truncate_grads": True,
            "grad_norm": 1.0,
        }
    params = {
        "algo": {"name": "a2c_discrete" if env.discrete else "a2c_continuous"},
        "model": {"name": model},
        "network": network,
        "config": defaults | config,
        "torch_threads": 1,
    }
    return {
        "task_name": "CartPole",
        "seed": 7,
        "checkpoint": None,
        "max_iterations": max_iterations,
        "engine": {"name": "none"},
        "train": {"params": params},
    }


def train(cfg: dict[str, Any], env: Any, run_dir: Any) -> dict[str, Any]:
    """Train, and return the summary."""
    return run.train(cfg, env, run_dir, resume=checkpoint.load(cfg["checkpoint"]) if cfg["checkpoint"] else None)[0]


def play(cfg: dict[str, Any], env: Any, path: Any, episodes: int) -> dict[str, Any]:
    """Play a checkpoint, and return how it went."""
    return run.play(cfg, env, path, episodes, checkpoint.load(path))
