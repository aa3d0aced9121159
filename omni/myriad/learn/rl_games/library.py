# SPDX-License-Identifier: Apache-2.0
"""rl-games' agents and players on our environments, made without its Runner, which imports torch's compiler."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import random
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from rl_games.algos_torch import model_builder
from rl_games.algos_torch.a2c_continuous import A2CAgent
from rl_games.algos_torch.a2c_discrete import DiscreteA2CAgent
from rl_games.algos_torch.players import PpoPlayerContinuous, PpoPlayerDiscrete
from rl_games.common import tr_helpers
from rl_games.common.algo_observer import AlgoObserver
from rl_games.common.ivecenv import IVecEnv

from omni.myriad.errors import MyriadError
from omni.myriad.learn import ranks
from omni.myriad.learn.ppo import update_threads
from omni.myriad.learn.rl_games.network import DictBuilder
from omni.myriad.learn.rl_games.normalizer import DictNormalizer

logger = logging.getLogger(__name__)

AGENTS: dict[str, Any] = {"a2c_continuous": A2CAgent, "a2c_discrete": DiscreteA2CAgent}
PLAYERS: dict[str, Any] = {"a2c_continuous": PpoPlayerContinuous, "a2c_discrete": PpoPlayerDiscrete}


class EnvAdapter(IVecEnv):
    """A `VecEnv` with the methods that rl-games asks for."""

    def __init__(self, env: Any) -> None:
        self.env = env
        self.step, self.reset = env.step, env.reset

    def get_env_info(self) -> dict[str, Any]:
        """Return the spaces."""
        return env_info(self.env) | {"state_space": self.env.state_space}

    def set_train_info(self, env_frames: int, *_: Any, **__: Any) -> None:
        """Pass the number of frames on."""
        self.env.set_env_frames(env_frames)


def env_info(env: Any) -> dict[str, Any]:
    """Return what rl-games' player wants to know of an environment: its spaces."""
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space}
    return {**spaces, "agents": 1, "value_size": 1}


def new_agent(params: dict[str, Any], env: Any) -> Any:
    """Return rl-games' agent with fresh weights, seeded; its own files are not kept.

    Args:
        params: What `rl_games_params` returned.
        env: Vectorised environment.

    Raises:
        MyriadError: If rl-games cannot use the settings.
    """
    with tempfile.TemporaryDirectory() as scratch:
        adapter = EnvAdapter(env)
        params["config"] |= {"train_dir": scratch, "full_experiment_name": "run"}
        params["config"] |= {"vec_env": adapter, "env_info": adapter.get_env_info()}
        agent = _construct(AGENTS, params, env, base_name="run")
        agent.writer.close()
    # Told afterwards: it would make a process group and a learning rate schedule of the first rank's alone.
    for learning in learners(agent):
        learning.multi_gpu = ranks.count() > 1
        learning.global_rank, learning.world_size = ranks.rank(), ranks.count()
    return agent


def learners(agent: Any) -> list[Any]:
    """Return what of an agent has a model and an optimiser: itself, and a critic of its own."""
    return [agent, agent.central_value_net] if agent.has_central_value else [agent]


def new_player(params: dict[str, Any], env: Any) -> Any:
    """Return rl-games' player with fresh weights, seeded."""
    params["config"]["env_info"] = env_info(env)
    params["config"].pop("player", None)  # of rl-games' own loop and of its worker that evaluates, which are not run
    return _construct(PLAYERS, params, env)


def _construct(kinds: dict[str, Any], params: dict[str, Any], env: Any, **more: Any) -> Any:
    """Prepare what rl-games' Runner would, and make an agent or a player."""
    config, network = params["config"], params.get("network") or {}
    normalized = None
    if isinstance(env.observation_space, spaces.Dict):
        model_builder.register_network("dict_actor_critic", DictBuilder)
        if network.get("name") == "actor_critic":
            network["name"] = "dict_actor_critic"
        if config.get("normalize_input"):  # rl-games' own normaliser of dictionaries fails when it is made
            config["normalize_input"], normalized = False, env.observation_space
    # As the Runner has them: small networks lose nothing by it.
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    torch.set_num_threads(update_threads(params, len(os.sched_getaffinity(0))))
    try:
        with _logged():
            config["reward_shaper"] = tr_helpers.DefaultRewardsShaper(**config["reward_shaper"])
            config.setdefault("features", {})["observer"] = AlgoObserver()
            seed_python(ranks.own_seed(params["seed"]))
            torch.manual_seed(ranks.own_seed(params["seed"]))
            made = kinds[params["algo"]["name"]](params=params, **more)
    except KeyError as error:
        raise MyriadError(f"rl-games misses the setting {error.args[0]} in train.params") from error
    except (TypeError, ValueError, AssertionError) as error:
        raise MyriadError(f"rl-games cannot use train.params: {' '.join(str(error).split())}") from error
    if normalized is not None:
        made.normalize_input = made.model.normalize_input = True
        made.model.running_mean_std = DictNormalizer(normalized).to(env.device)
    return made


def seed_python(seed: int) -> None:
    """Seed the generators outside torch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)


@contextlib.contextmanager
def _logged() -> Iterator[None]:
    """Turn what rl-games prints into log records."""
    with contextlib.redirect_stdout(io.StringIO()) as printed, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # Of rl-games' scaler for half precision, which bfloat16 does not need.
        warnings.filterwarnings("ignore", message=".*GradScaler is enabled, but CUDA is not available")
        try:
            yield
        finally:
            for line in printed.getvalue().splitlines():
                logger.debug("rl-games: %s", line)
