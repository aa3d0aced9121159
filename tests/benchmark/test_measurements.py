# SPDX-License-Identifier: Apache-2.0
"""Measurements on real physics, tiny ones: what they report is whole and adds up. How fast it was is not judged."""

import sys
import types
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from omni.myriad.app.config import load_config
from omni.myriad.benchmark import measurements, peers
from omni.myriad.benchmark.options import Options
from omni.myriad.benchmark.timing import EpochClock
from omni.myriad.errors import MyriadError

TINY = Options(repeats=2, seconds=0.02, epochs=5, reward=(1.0, 5.0, 1e6))


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return load_config(["task=Cartpole", "sim_device=cpu", "num_envs=32", "engine.shards=2"])


@pytest.mark.parametrize(
    ("measure", "phases"),
    [
        (measurements.bare_loop, {"write", "step", "read"}),
        (measurements.env, {"physics", "task", "read", "other"}),
        (measurements.train, {"physics", "task", "policy", "update", "other"}),
    ],
)
def test_ours_report_rates_and_where_the_time_went(config, measure, phases):
    found = measure(config, TINY)
    assert len(found["values"]) == 2
    assert 0 < found["min"] <= found["median"] <= found["max"]
    assert set(found["phases"]) == phases
    assert sum(found["phases"].values()) == pytest.approx(1.0, abs=1e-3)
    assert all(share > 0 for name, share in found["phases"].items() if name != "other")
    assert found["memory"]["host_mib"] > 0
    assert "warning" not in found


def test_cameras_are_measured_beside_physics(config):
    size = ("task.env.cameraWidth=48", "task.env.cameraHeight=32")
    found = measurements.camera(load_config(["task=CartpoleCamera", "sim_device=cpu", "num_envs=4", *size]), TINY)
    assert found["cameras"] == {"camera": [48, 32, 4]} and found["unit"] == "pictures/s"
    assert 0 < found["min"] <= found["median"] <= found["max"] and 0.0 < found["phases"]["camera"] < 1.0
    with pytest.raises(MyriadError, match="Task Cartpole has no CameraView"):
        measurements.camera(config, TINY)


def test_training_leaves_out_warm_up_and_the_end_of_the_run(config):
    found = measurements.train(config, TINY)
    assert (found["epochs"], found["warm_up_epochs"], found["frames_per_epoch"]) == (4, 1, 32 * 16)


def test_time_to_reward_is_that_of_the_first_epoch_that_passes(config, monkeypatch):
    clock: Any = EpochClock()
    clock.marks = [0.0, 2.0, 4.0, 5.0]
    rewards = enumerate((None, 0.5, 7.0), 1)
    clock.epochs = [SimpleNamespace(frames=512 * epoch, reward_mean=reward) for epoch, reward in rewards]
    monkeypatch.setattr(measurements, "timed_training", lambda config: (clock, {}))
    found = measurements.reward(config, TINY)
    assert found["curve"] == [(1024, 4.0, 0.5), (1536, 5.0, 7.0)]
    assert found["reached"] == {"seconds_to_1": 5.0, "seconds_to_5": 5.0, "seconds_to_1e+06": None}
    assert (found["best"], found["frames"], found["seconds"]) == (7.0, 1536, 5.0)


def test_training_to_a_reward_stops_there(config):
    found = measurements.reward(config, Options(reward=(2.0, 8.0)))
    assert 0 < found["reached"]["seconds_to_2"] <= found["reached"]["seconds_to_8"] <= found["seconds"]
    assert found["best"] > 8.0
    assert found["frames"] < 100 * 32 * 16, "it did not train to the end"


def test_stock_rl_games_trains_on_our_environments_and_is_timed_alike(config):
    found = peers.rl_games(config, TINY)
    assert len(found["values"]) == 2 and found["min"] > 0


def test_a_long_curve_is_thinned_and_keeps_its_end():
    curve = [(i, float(i), float(i)) for i in range(1001)]
    thinned = measurements._thinned(curve)
    assert len(thinned) <= measurements.CURVE_POINTS + 1
    assert thinned[0] == curve[0] and thinned[-1] == curve[-1]
    assert measurements._thinned([]) == []


def test_a_peer_that_is_not_installed_is_named_with_its_command():
    peer = peers.Peer("x", peers.rl_games, ("surely-not",), "env", "")
    assert peer.absence("Ant") == "not installed: pip install surely-not"
    assert peers.PEERS["rl_games"].absence("Ant") is None


def test_gymnasiums_ant_gets_our_time_step(tmp_path, monkeypatch):
    package = types.ModuleType("gymnasium.envs.mujoco")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "ant.xml").write_text('<mujoco><option integrator="RK4" timestep="0.01"/></mujoco>')
    package.__file__ = str(tmp_path / "__init__.py")
    monkeypatch.setitem(sys.modules, "gymnasium.envs.mujoco", package)
    written = Path(peers._ant_with_timestep(tmp_path, 1 / 120)).read_text()
    assert f'timestep="{1 / 120}"' in written and 'integrator="RK4"' in written
