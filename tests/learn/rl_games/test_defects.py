# SPDX-License-Identifier: Apache-2.0
"""Defects of rl-games 1.6.5 that no other test here shows to be out of reach; docs/reliability.md lists all of them."""

import re
import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from gymnasium import spaces
from torch import nn

from omni.myriad.app.config import load_config
from omni.myriad.errors import MyriadError
from omni.myriad.learn import checkpoint
from omni.myriad.learn.rl_games.learner import make_actor, make_learner
from omni.myriad.learn.rl_games.normalizer import RunningMeanStd
from tests.learn.rl_games.deterministic_env import CartPoleEnv, make_cfg, train

TESTS = Path(__file__).resolve().parents[2]


def test_every_test_that_the_page_names_exists():
    named = re.findall(r"`([\w/.]+\.py)::(\w+)`", (TESTS.parent / "docs/reliability.md").read_text())
    assert len(named) > 20
    for file, name in named:
        path = TESTS / file.removeprefix("tests/").replace("lrg/", "learn/rl_games/")
        assert f"\ndef {name}(" in path.read_text(), f"{file}::{name}"


def test_a_compiled_critic_of_its_own_resumes(tmp_path):
    # The eager backend compiles nothing, but wraps the networks as every other one does.
    env = CartPoleEnv(16, with_states=True)
    learner = make_learner(make_cfg(env), env, tmp_path / "compiled")
    for learning in (learner.agent, learner.agent.central_value_net):
        learning.model = torch.compile(learning.model, backend="eager")
    learner.prepare()
    learner.checkpoints.save("last")
    path = tmp_path / "compiled/checkpoints/last.pth"
    state = checkpoint.load(path)
    assert not any("_orig_mod" in name for name in state["assymetric_vf_nets"])
    cfg = make_cfg(env, max_iterations=1) | {"checkpoint": path}
    assert train(cfg, env, tmp_path / "resumed")["epochs"] == 1


def test_environments_are_told_the_frames_by_the_loop_that_every_rank_runs(tmp_path):
    env, told = CartPoleEnv(16), []
    env.set_env_frames = lambda env_frames: told.append(env_frames)
    learner = make_learner(make_cfg(env, max_iterations=3), env, tmp_path)
    learner.agent.global_rank = 1  # which in rl-games never counts
    learner.train(lambda _epoch: None)
    assert told == [0, 256, 512]


def _merge(rank, address, queue):
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    torch.manual_seed(rank)
    normalizer = RunningMeanStd((3,))
    for _ in range(2):
        normalizer.update(torch.randn(64, 3) * (1 + rank) + rank)
    queue.put({name: value.tolist() for name, value in normalizer.state_dict().items()})
    dist.destroy_process_group()


def test_ranks_share_the_normalisers_statistics():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"tcp://localhost:{free.getsockname()[1]}"
    context = torch.multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    processes = [context.Process(target=_merge, args=(rank, address, queue)) for rank in range(2)]
    for process in processes:
        process.start()
    first, second = queue.get(), queue.get()
    for process in processes:
        process.join()
    assert first == second
    generators = [torch.Generator().manual_seed(rank) for rank in range(2)]
    whole = RunningMeanStd((3,))
    for _ in range(2):
        own = [torch.randn(64, 3, generator=generator) * (1 + i) + i for i, generator in enumerate(generators)]
        whole.update(torch.cat(own))
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(torch.tensor(first[name], dtype=torch.float64), value, rtol=1e-5, atol=1e-6)


def test_masks_of_actions_are_refused(tmp_path):
    env = CartPoleEnv(16, discrete=True)
    with pytest.raises(MyriadError, match="use_action_masks is not supported"):
        make_learner(make_cfg(env, use_action_masks=True), env, tmp_path)


def test_a_space_that_rl_games_does_not_know_is_refused(tmp_path):
    env = CartPoleEnv(16, discrete=True)
    env.action_space = spaces.MultiDiscrete([2, 3])
    with pytest.raises(
        MyriadError, match=r"MultiDiscrete\(\[2 3\]\) is unknown to rl-games, use gymnasium.spaces.Tuple"
    ):
        make_learner(make_cfg(env), env, tmp_path)


@pytest.mark.parametrize("kind", ["layer_norm", "batch_norm"])
def test_normalised_layers_are_built_or_refused(tmp_path, kind):
    asked = ["task=Cartpole", "sim_device=cpu", f"train.params.network.normalization={kind}"]
    with pytest.raises(MyriadError, match=rf"train\.params\.network\.normalization={kind} is invalid: rl-games"):
        load_config(asked)
    network = load_config([*asked, "train.params.network.mlp.d2rl=True"])["train"]["params"]["network"]
    env = CartPoleEnv(16)
    cfg = make_cfg(env)
    cfg["train"]["params"]["network"] = network
    model = make_learner(cfg, env, tmp_path).agent.model
    built = nn.LayerNorm if kind == "layer_norm" else nn.BatchNorm1d
    assert sum(isinstance(part, built) for part in model.modules()) == len(network["mlp"]["units"])


def test_nothing_of_a_player_that_evaluates_is_run(tmp_path):
    env = CartPoleEnv(16)
    cfg = make_cfg(env, max_iterations=1)
    train(cfg, env, tmp_path / "run")
    path = tmp_path / "run/checkpoints/last.pth"
    cfg["train"]["params"]["config"]["player"] = {"evaluation": True, "dir_to_monitor": str(tmp_path)}
    actor = make_actor(cfg, env, checkpoint.load(path), path)
    assert not actor._player.evaluation


def test_a_run_has_one_folder_with_our_files_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = CartPoleEnv(16)
    train(make_cfg(env, max_iterations=2), env, tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "checkpoints", "curve.png", "progress.csv", "report.html", "summaries", "summary.json"
    ]  # fmt: skip
