# SPDX-License-Identifier: Apache-2.0
"""Turn our configuration into rl-games' `params` block, and find its mistakes before rl-games trips over them."""

from __future__ import annotations

import copy
import importlib.util
import logging
import os
import sys
import types
from collections.abc import Mapping
from typing import Any

from gymnasium import spaces

from omni.myriad.errors import MyriadError
from omni.myriad.learn.ppo import check_end

logger = logging.getLogger(__name__)

ENV_NAME = "myriad"


def skip_test_networks() -> None:
    """Let rl-games be imported without the test networks that its package `envs` registers.

    One of them is compiled as it is imported, and torch's compiler takes two seconds to import. The package's modules
    can be imported as ever.
    """
    package = types.ModuleType("rl_games.envs")
    spec = importlib.util.find_spec("rl_games")
    package.__path__ = [f"{folder}/envs" for folder in (spec and spec.submodule_search_locations) or ()]
    sys.modules.setdefault(package.__name__, package)


def rl_games_params(cfg: Mapping[str, Any], env: Any) -> dict[str, Any]:
    """Return rl-games' `params` block with everything filled in that follows from the task and the command line.

    This alone decides the seed, `name`, `env_name`, `num_actors`, `multi_gpu` and, where `max_iterations` or
    `save_every` are given, `max_epochs` and `save_frequency`; what a YAML of OmniIsaacGymEnvs says of them gives way.

    Args:
        cfg: Resolved configuration.
        env: Vectorised environment.

    Raises:
        MyriadError: Where the algorithm does not fit the task's actions.
    """
    params = copy.deepcopy(dict(cfg["train"]["params"]))
    algorithm = params["algo"]["name"]
    fitting = "a2c_continuous" if isinstance(env.action_space, spaces.Box) else "a2c_discrete"
    if algorithm != fitting:
        raise MyriadError(f"train.params.algo.name={algorithm} does not fit the task's actions, use {fitting}")
    if isinstance(env.action_space, spaces.MultiDiscrete | spaces.MultiBinary):
        raise MyriadError(
            f"the task's action_space {env.action_space} is unknown to rl-games, use gymnasium.spaces.Tuple with a "
            "Discrete for each number"
        )
    params["seed"] = cfg["seed"]
    config = params["config"]
    config |= {
        "name": cfg["task_name"],
        "env_name": ENV_NAME,
        "num_actors": env.num_envs,
        "device": str(env.device),
        "device_name": str(env.device),
        "multi_gpu": False,
    }
    config.setdefault("torch_compile", False)
    if "OMP_NUM_THREADS" in os.environ:
        params.setdefault("torch_threads", 0)  # else rl-games would overrule it
    config.setdefault("reward_shaper", {})
    if cfg.get("max_iterations"):
        config["max_epochs"] = int(cfg["max_iterations"])
    if cfg.get("save_every") is not None:
        config["save_frequency"] = int(cfg["save_every"])
    return params


def fit_minibatches(params: dict[str, Any]) -> None:
    """Shrink minibatch_size to the largest that divides the batch, where num_envs is not what it was written for.

    Args:
        params: What `rl_games_params` returned; changed in place.

    Raises:
        MyriadError: Where no size will do.
    """
    config = params["config"]
    critic = config.get("central_value_config")
    learners = [(config, params["network"])] + ([(critic, critic["network"])] if critic else [])
    if not any("rnn" in network for _, network in learners):
        config["seq_length"] = 1  # rl-games would want batches in multiples of it all the same
    seq_length = config.get("seq_length", 4)
    if config["horizon_length"] % seq_length:
        raise MyriadError(
            f"train.params.config.horizon_length={config['horizon_length']} cannot be cut into sequences of "
            f"seq_length={seq_length}: it must be a multiple of it"
        )
    batch = config["num_actors"] * config["horizon_length"]
    for learner, _ in learners:
        wanted = learner.get("minibatch_size")
        if not wanted or (batch % wanted == 0 and wanted % seq_length == 0):
            continue
        sizes = range(min(wanted, batch), 0, -1)
        fitting = next((size for size in sizes if batch % size == 0 and size % seq_length == 0), None)
        if fitting is None:
            raise MyriadError(f"a batch of {batch} steps cannot be cut into sequences of seq_length={seq_length}")
        logger.warning("minibatch_size %d does not divide the batch of %d steps, using %d", wanted, batch, fitting)
        learner["minibatch_size"] = fitting


def check_training(config: dict[str, Any], resume: Mapping[str, Any] | None) -> None:
    """Say when to stop in rl-games' two numbers, and raise where that is never, or was already.

    Args:
        config: rl-games' config block; changed in place.
        resume: The checkpoint to resume from, or None.

    Raises:
        MyriadError: Then, and for settings with which rl-games cannot train.
    """
    if config.get("normalize_rms_advantage"):
        raise MyriadError("normalize_rms_advantage is not supported, use normalize_advantage")
    if config.get("use_action_masks"):
        raise MyriadError("use_action_masks is not supported: environments allow every action at every time")
    check_end(config, resume)
