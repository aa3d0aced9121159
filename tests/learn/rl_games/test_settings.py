# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omni.myriad.errors import MyriadError
from omni.myriad.learn.ppo import update_threads
from omni.myriad.learn.rl_games.learner import make_learner
from omni.myriad.learn.rl_games.settings import fit_minibatches, rl_games_params
from tests.learn.rl_games.deterministic_env import CartPoleEnv, make_cfg


def test_minibatch_follows_the_number_of_environments(caplog: pytest.LogCaptureFixture) -> None:
    def fitted(num_envs: int, wanted: int, rnn: bool = False) -> int:
        env = CartPoleEnv(num_envs)
        params = rl_games_params(make_cfg(env, rnn=rnn, minibatch_size=wanted), env)
        fit_minibatches(params)
        return params["config"]["minibatch_size"]

    assert fitted(64, 512) == 512
    assert "using" not in caplog.text
    assert fitted(64, 8192) == 1024  # the whole batch
    assert "minibatch_size 8192 does not divide the batch of 1024 steps, using 1024" in caplog.text
    assert fitted(100, 1000) == 800  # 1600 steps
    assert fitted(10, 50, rnn=True) == 40  # 160 steps in sequences of 4
    env = CartPoleEnv(1)
    for seq_length, minibatch_size, wrong in (
        (5, 16, r"horizon_length=16 cannot be cut into sequences of seq_length=5: it must be a multiple of it"),
        (8, 4, "a batch of 16 steps cannot be cut into sequences of seq_length=8"),
    ):
        settings = {"seq_length": seq_length, "minibatch_size": minibatch_size}
        with pytest.raises(MyriadError, match=wrong):
            fit_minibatches(rl_games_params(make_cfg(env, rnn=True, **settings), env))


def test_command_line_and_task_are_filled_in() -> None:
    env = CartPoleEnv(8)
    cfg: dict[str, Any] = make_cfg(env, max_iterations=3, max_epochs=500) | {"save_every": 10}
    config = rl_games_params(cfg, env)["config"]
    assert (config["max_epochs"], config["save_frequency"], config["num_actors"]) == (3, 10, 8)
    assert config["torch_compile"] is False
    assert "num_actors" not in cfg["train"]["params"]["config"]  # the configuration itself stays as it was


@pytest.mark.parametrize(
    ("units", "minibatch_size", "cores", "threads"),
    [
        ([32, 32], 4096, 16, 1),  # 50 million operations
        ([256, 128, 64], 2048, 2, 1),  # 1.3 billion, but half of the cores is one
        ([256, 128, 64], 2048, 4, 2),
        ([256, 128, 64], 32768, 64, 4),
        ([256, 128, 64], 32768, 1, 1),
    ],
)
def test_an_update_gets_the_threads_that_it_pays_for(units, minibatch_size, cores, threads) -> None:
    params = {"network": {"mlp": {"units": units}}, "config": {"minibatch_size": minibatch_size}}
    assert update_threads(params, cores) == threads
    assert update_threads(params | {"torch_threads": 3}, cores) == 3


def test_a_central_value_needs_states(tmp_path: Path) -> None:
    cfg = make_cfg(CartPoleEnv(4, with_states=True))
    with pytest.raises(MyriadError, match="central_value_config needs a task with states"):
        make_learner(cfg, CartPoleEnv(4), tmp_path)
