# SPDX-License-Identifier: Apache-2.0
"""rl-games as it comes: its own runner and agents on our environments, to compare ours with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from omni.myriad.learn.rl_games.library import EnvAdapter
from omni.myriad.learn.rl_games.settings import ENV_NAME, fit_minibatches, rl_games_params


def train(cfg: Mapping[str, Any], env: Any, run_dir: Path, compiled: bool, on_epoch: Callable[[], None]) -> None:
    """Train with rl-games' own agent and the same settings as ours, writing no checkpoints.

    Args:
        cfg: Resolved configuration.
        env: Vectorised environment.
        run_dir: Folder for rl-games' files.
        compiled: Whether rl-games compiles its networks, its default.
        on_epoch: Called once in each epoch, after its rollout.

    Raises:
        MyriadError: Where the configuration is wrong.
    """
    from rl_games.common import env_configurations, vecenv
    from rl_games.common.algo_observer import AlgoObserver
    from rl_games.torch_runner import Runner

    params = rl_games_params(cfg, env)
    fit_minibatches(params)
    params["config"] |= {"train_dir": str(run_dir.parent), "full_experiment_name": run_dir.name}
    # In favour of rl-games: it would write a checkpoint in every epoch whose reward is the best so far.
    params["config"] |= {"torch_compile": compiled, "save_best_after": 10**9, "save_frequency": 0, "print_stats": False}
    vecenv.register("MYRIAD", lambda config_name, num_actors, **_: EnvAdapter(env))
    env_configurations.register(ENV_NAME, {"vecenv_type": "MYRIAD", "env_creator": lambda **_: EnvAdapter(env)})

    # Its default observer copies to the host at every step, for results that our tasks do not report.
    class Observer(AlgoObserver):
        def after_steps(self) -> None:
            on_epoch()

    runner = Runner(Observer())
    runner.load({"params": params})
    runner.run({"train": True})
