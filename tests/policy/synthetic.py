# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of every kind of policy that rl-games builds, with random weights, and observations to go with them."""

import copy
from pathlib import Path

import numpy as np
import torch
from gymnasium import spaces

from omni.myriad.learn import checkpoint
from omni.myriad.learn.rl_games.library import new_player
from omni.myriad.learn.rl_games.settings import rl_games_params
from omni.myriad.policy.description import describe_space
from omni.myriad.policy.export import Spaces
from omni.myriad.policy.recording import Recording

CONTINUOUS = {
    "mu_activation": "None",
    "sigma_activation": "None",
    "mu_init": {"name": "default"},
    "sigma_init": {"name": "const_initializer", "val": 0.0},
    "fixed_sigma": True,
}
CRITIC = {
    "name": "actor_critic",
    "central_value": True,
    "mlp": {"units": [8], "activation": "elu", "initializer": {"name": "default"}},
}
CNN = {
    "type": "conv2d",
    "activation": "relu",
    "initializer": {"name": "default"},
    "convs": [{"filters": 4, "kernel_size": 3, "strides": 2, "padding": 0}],
}


def box(*shape, low=-np.inf, high=np.inf, dtype: type = np.float32):
    return spaces.Box(low, high, shape, dtype)


def describe(observation, action, clip_observations=None, clip_actions=1.0, observation_terms=(), action_terms=()):
    """Return a description such as `describe_task` makes, of a task without a robot."""
    num_actions = action.shape[0] if isinstance(action, spaces.Box) else 2
    return {
        "format": 1,
        "task": "Synthetic",
        "version": "1",
        "source_sha256": None,
        "settings_sha256": "",
        "spaces": {
            "observation": describe_space(observation),
            "action": describe_space(action),
            "num_actions": num_actions,
        },
        "clip_observations": clip_observations,
        "clip_actions": clip_actions,
        "physics_dt": 1 / 120,
        "decimation": 2,
        "gravity": [0.0, 0.0, -9.81],
        "engine": "none",
        "robot": None,
        "observation_terms": list(observation_terms),
        "action_terms": list(action_terms),
    }


def configure(description, network, config, model):
    kind = description["spaces"]["action"]["kind"]
    space = {"box": {"continuous": CONTINUOUS}, "discrete": {"discrete": {}}, "multi_discrete": {"multi_discrete": {}}}[
        kind
    ]
    model = (
        model
        or {"box": "continuous_a2c_logstd", "discrete": "discrete_a2c", "multi_discrete": "multi_discrete_a2c"}[kind]
    )
    mlp = {"units": [16, 8], "activation": "elu", "initializer": {"name": "default"}}
    params = {
        "algo": {"name": "a2c_continuous" if kind == "box" else "a2c_discrete"},
        "model": {"name": model},
        "network": {"name": "actor_critic", "separate": False, "space": copy.deepcopy(space), "mlp": mlp},
        "config": {"normalize_input": True, "normalize_value": True, "reward_shaper": {}, **config},
    }
    space_settings = network.pop("continuous", {})
    params["network"] |= network
    if kind == "box":
        params["network"]["space"]["continuous"] |= space_settings
    return {"task_name": "Synthetic", "seed": 3, "task": {"env": {}}, "train": {"params": params}}


def make_policy(folder: Path, description, network=None, config=None, model=None):
    """Write a checkpoint with random weights and statistics, and return its path, contents and observations."""
    cfg = configure(description, dict(network or {}), dict(config or {}), model)
    env = Spaces(description, 4)
    params = rl_games_params(cfg, env)
    player = new_player(params, env)
    generator = torch.Generator().manual_seed(1)
    weights = player.model.state_dict()
    for name, value in weights.items():
        if name.endswith("running_mean"):
            value.copy_(torch.randn(value.shape, generator=generator))
        elif name.endswith("running_var"):
            value.copy_(torch.rand(value.shape, generator=generator) * 4 + 0.1)
        elif (value.is_floating_point() and name.endswith(("weight", "bias"))) or "rnn" in name:
            value.copy_(torch.randn(value.shape, generator=generator) * 0.4)
    path = folder / "checkpoints" / "best.pth"
    about = {"format": 1, "task": "Synthetic", "num_obs": 0, "num_actions": 0, "seed": 3, "config": cfg, "versions": {}}
    checkpoint.save(path, {"model": weights, "epoch": 5, "frame": 640, "myriad": about})
    return path, checkpoint.load(path), random_recording(description)


def random_recording(description, steps=40, num_envs=4):
    rng = np.random.default_rng(0)
    space = description["spaces"]["observation"]
    parts = space["spaces"] if space["kind"] == "dict" else {"obs": space}
    observations = {}
    for name, part in parts.items():
        shape = (steps, num_envs, *part["shape"])
        pictures = part["dtype"] == "uint8"
        values = rng.integers(0, 256, shape) if pictures else rng.normal(scale=4.0, size=shape)
        observations[name] = values.astype(part["dtype"])
    resets = rng.random((steps, num_envs)) < 0.1
    resets[0] = True
    return Recording(observations, resets)
