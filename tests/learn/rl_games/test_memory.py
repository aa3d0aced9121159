# SPDX-License-Identifier: Apache-2.0
"""Networks with a memory: the lean way learns what rl-games' own does, and both forget where an episode ends."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from rl_games.common.layers.recurrent import RnnWithDones
from torch import nn

from omni.myriad.learn import checkpoint
from omni.myriad.learn.rl_games.lean import LeanRollout, LeanUpdate, SteppedRnn
from omni.myriad.learn.rl_games.learner import make_learner
from tests.learn.rl_games.deterministic_env import CartPoleEnv, make_cfg
from tests.learn.rl_games.test_dict_observations import SeenCartPoleEnv
from tests.policy.synthetic import CNN


def learned(kind: str, folder: Path, lean: bool) -> dict[str, Any]:
    """Return the weights after three rollouts of 16 steps, in which episodes end after 7 at most."""
    seen = SeenCartPoleEnv if "pictures" in kind else CartPoleEnv
    env = seen(8, max_steps=7, with_states="critic" in kind)
    settings = {"lean": lean, "entropy_coef": 0.01, "zero_rnn_on_done": "never" not in kind}
    cfg = make_cfg(env, max_iterations=3, rnn="gru" if "gru" in kind else "lstm" in kind, **settings)
    network = cfg["train"]["params"]["network"]
    if "separate" in kind:
        network |= {"separate": True, "rnn": network["rnn"] | {"layers": 2, "before_mlp": True, "layer_norm": True}}
    if "pictures" in kind:
        network["cnn"] = CNN
    if "alone" in kind:
        cfg["train"]["params"]["config"]["use_experimental_cv"] = False  # the policy learns no values beside the critic
        cfg["train"]["params"]["config"]["central_value_config"]["network"]["space"] = network["space"]
    if kind == "mlp, lstm critic":
        del network["rnn"]
    learner = make_learner(cfg, env, folder)
    learner.train(lambda epoch: None)
    assert isinstance(learner.rollout, LeanRollout) is isinstance(learner.update, LeanUpdate) is lean
    state = checkpoint.load(folder / "checkpoints" / "last.pth")
    return state["model"] | state.get("assymetric_vf_nets", {}) | {"lr": torch.tensor(state["learner"]["last_lr"])}


KINDS = [
    "mlp",
    "lstm",
    "gru",
    "separate lstms of two layers",
    "lstm that never forgets",
    "lstm of numbers and pictures",
]
CRITICS = ["mlp critic", "mlp, lstm critic", "lstm critic", "gru critic", "lstm critic alone"]


@pytest.mark.parametrize("kind", KINDS + CRITICS)
def test_what_is_learned_is_what_rl_games_learns(kind: str, tmp_path: Path) -> None:
    lean, stock = (learned(kind, tmp_path / str(lean), lean) for lean in (True, False))
    assert any(name.startswith("model.") for name in stock) is ("critic" in kind)
    for name, tensor in stock.items():
        torch.testing.assert_close(lean[name], tensor, rtol=1e-5, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


class Sum(nn.Module):
    """A cell that adds up what it sees, with the arguments of torch's GRU."""

    def forward(self, inputs: torch.Tensor, before: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sums = before + inputs.cumsum(0)
        return sums, sums[-1:]


def test_a_cell_forgets_where_an_episode_ended_and_there_alone() -> None:
    seen = torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0]]).unsqueeze(-1)  # 4 steps of 2 sequences
    ended = torch.tensor([[0, 1], [0, 0], [1, 0], [0, 0]], dtype=torch.uint8).unsqueeze(-1)
    before = torch.tensor([[[10.0], [20.0]]])
    sums, after = SteppedRnn(Sum())(seen, before, ended)
    assert sums[:, :, 0].T.tolist() == [[11.0, 13.0, 3.0, 7.0], [1.0, 3.0, 6.0, 10.0]]
    assert after.flatten().tolist() == [7.0, 10.0]
    assert SteppedRnn(Sum())(seen, before)[1].flatten().tolist() == [20.0, 30.0]


class Ones(CartPoleEnv):
    """Two environments that show 1; the episodes of the first end after every third step, those of the second never."""

    def __init__(self) -> None:
        super().__init__(2, with_states=True)
        self.obs_buf.fill_(1.0)

    def _observations(self) -> dict[str, torch.Tensor]:
        return {"obs": torch.ones(2, 4), "states": torch.ones(2, 5)}

    def step(self, actions: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor, dict[str, Any]]:
        self.steps += 1
        ended = torch.tensor([self.steps % 3 == 0, False])
        return self._observations(), torch.ones(2), ended, {"time_outs": ended & False}


@pytest.mark.parametrize("forgets", [True, False])
@pytest.mark.parametrize("lean", [True, False])
def test_memories_of_rollout_and_update_by_hand(lean: bool, forgets: bool, tmp_path: Path) -> None:
    # A network remembers how many steps it has seen of an episode: 8 of a rollout, learned from in sequences of 4.
    env = Ones()
    settings = {"lean": lean, "zero_rnn_on_done": forgets, "normalize_input": False}
    cfg = make_cfg(env, rnn="gru", horizon_length=8, minibatch_size=16, **settings)
    config, network = cfg["train"]["params"]["config"], cfg["train"]["params"]["network"]
    critic = config["central_value_config"] | {"minibatch_size": 16, "normalize_input": False}
    network["rnn"] |= {"before_mlp": True, "units": 4}
    critic["network"] |= {"rnn": network["rnn"] | {"units": 5}}
    config["central_value_config"] = critic
    learner = make_learner(cfg, env, tmp_path)
    learners = learner.agent, learner.agent.central_value_net
    for learning in learners:
        learning.model.a2c_network.rnn = RnnWithDones(Sum())
    learner.prepare()
    assert isinstance(learner.rollout, LeanRollout) is lean

    batch = learner.rollout.play()
    end = 2.0 if forgets else 8.0  # the first environment's third episode began two steps ago
    for learning in learners:
        assert learning.rnn_states[0][0, :, 0].tolist() == [end, 8.0]
    begun = 1.0 if forgets else 4.0  # and its second episode, one step before the second sequence
    assert batch["rnn_states"][0][0, :, 0].tolist() == [0.0, begun, 0.0, 4.0]

    seen: list[list[list[float]]] = []
    for learning in learners:
        learning.model.a2c_network.rnn.register_forward_hook(
            lambda _module, _inputs, made: seen.append(made[0][:, :, 0].T.tolist())
        )
    learner.update(batch)
    counts = [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]
    expected = [*([[1.0, 2.0, 3.0, 1.0], [2.0, 3.0, 1.0, 2.0]] if forgets else counts), *counts]
    assert len(seen) == 2 + 4  # mini_epochs of the critic and of the agent
    assert seen[2:] == [expected] * 4
    if lean or forgets:  # rl-games' critic always forgets here
        assert seen[:2] == [expected] * 2


def test_who_takes_the_way_of_rl_games_is_told_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    env = CartPoleEnv(4)
    several: list[dict[str, Any]] = [{"lr_schedule": "linear"}, {"lean": False}, {}]
    for number, settings in enumerate(several):
        with caplog.at_level(logging.WARNING):
            make_learner(make_cfg(env, rnn=True, minibatch_size=64, **settings), env, tmp_path / str(number)).prepare()
    why = "because of an lr_schedule other than adaptive"
    assert caplog.messages == [f"rollout and update are rl-games' own, slower and without CUDA graphs, {why}"]
