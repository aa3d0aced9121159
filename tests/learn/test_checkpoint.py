# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import pickle
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omni.myriad.errors import MyriadError
from omni.myriad.learn import checkpoint


def sized(num_obs: int = 60, num_actions: int = 8) -> Any:
    """Return as much of an environment as a checkpoint knows."""
    space = spaces.Box(-1.0, 1.0, (num_obs,))
    return SimpleNamespace(observation_space=space, num_actions=num_actions, num_envs=4)


def make_state(size: int = 10) -> dict[str, Any]:
    cfg = {"task_name": "Ant", "seed": 3, "nested": {"list": [1, 2.5, None, True], "path": Path("a/b")}}
    return {
        "model": {"weight": torch.arange(size, dtype=torch.float32)},
        "score": np.float32(1.5),
        "myriad": checkpoint.describe(cfg, sized()),
    }


def test_round_trip(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "new" / "a.pth", make_state())
    state = checkpoint.load(tmp_path / "new" / "a.pth")
    assert torch.equal(state["model"]["weight"], torch.arange(10.0))
    assert state["score"] == 1.5
    about = state["myriad"]
    assert (about["task"], about["num_obs"], about["num_actions"], about["num_envs"], about["seed"]) == (
        "Ant", 60, 8, 4, 3,
    )  # fmt: skip
    assert about["config"]["nested"] == {"list": [1, 2.5, None, True], "path": "a/b"}
    assert torch.__version__.startswith(about["versions"]["torch"])  # which has "+cu130" at its end, or not
    assert os.listdir(tmp_path / "new") == ["a.pth"]


def test_view_does_not_drag_its_storage_along(tmp_path: Path) -> None:
    state = make_state() | {"slice": torch.zeros(1_000_000)[:3]}
    checkpoint.save(tmp_path / "a.pth", state)
    assert (tmp_path / "a.pth").stat().st_size < 100_000


def test_save_refuses_what_load_would_refuse(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="not Thread"):
        checkpoint.save(tmp_path / "a.pth", make_state() | {"x": type("Thread", (), {})()})


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(MyriadError, match=r"a\.pth does not exist"):
        checkpoint.load(tmp_path / "a.pth")
    checkpoint.save(tmp_path / "last.pth", make_state())
    with pytest.raises(MyriadError, match=r"is a folder, give a \.pth file; it holds last\.pth"):
        checkpoint.load(tmp_path)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_rot_is_noticed_or_harmless(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "rotten.pth"
    checkpoint.save(path, make_state(100))
    whole = checkpoint.load(path)
    rotten = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(rotten) - 1))
    rotten[bit // 8] ^= 1 << bit % 8
    path.write_bytes(rotten)
    try:
        found = checkpoint.load(path)
    except MyriadError:
        return
    assert repr(found) == repr(whole)  # the bit belonged to padding, or to a time that nobody reads


def test_a_zeroed_block_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    checkpoint.save(path, make_state(10_000))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    assert any(data[middle : middle + 512])
    data[middle : middle + 512] = bytes(512)
    path.write_bytes(data)
    with pytest.raises(MyriadError, match="damaged"):
        checkpoint.load(path)


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_truncated(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "a.pth"
    checkpoint.save(path, make_state(1000))
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(MyriadError, match="damaged") as caught:
        checkpoint.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"hello, world\n", b"\x80\x04garbage", b"PK\x03\x04not a zip"])
def test_not_a_checkpoint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    with pytest.raises(MyriadError, match="damaged"):
        checkpoint.load(path)


@pytest.mark.parametrize("foreign", [{"model": {}}, [1, 2], {"myriad": {"format": 1}}, {"model": {}, "myriad": 3}])
def test_foreign_torch_file(tmp_path: Path, foreign: object) -> None:
    torch.save(foreign, tmp_path / "a.pth")
    with pytest.raises(MyriadError, match="is not a Myriad checkpoint"):
        checkpoint.load(tmp_path / "a.pth")


def test_format_of_the_future(tmp_path: Path) -> None:
    state = make_state()
    state["myriad"]["format"] = 99
    checkpoint.save(tmp_path / "a.pth", state)
    with pytest.raises(MyriadError, match="has format 99, this version reads format 1"):
        checkpoint.load(tmp_path / "a.pth")


class Bomb:
    """Pickles into a call of os.system."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("archive", [True, False])
def test_malicious_file_runs_nothing(tmp_path: Path, archive: bool) -> None:
    path, target = tmp_path / "a.pth", tmp_path / "harm"
    state = make_state() | {"bomb": Bomb(target)}
    if archive:
        torch.save(state, path)
    else:
        path.write_bytes(pickle.dumps(state))
    with pytest.raises(MyriadError, match="not loaded" if archive else "not a checkpoint") as caught:
        checkpoint.load(path)
    assert not target.exists()
    assert "\n" not in str(caught.value)
    torch.load(path, weights_only=False) if archive else pickle.loads(path.read_bytes())
    assert target.exists()  # the bomb was live


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_write_that_fails_halfway_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    checkpoint.save(path, make_state(10))
    with files_no_larger_than(100_000), pytest.raises(MyriadError, match=r"a\.pth cannot be written: "):
        checkpoint.save(path, make_state(1_000_000))
    assert os.listdir(tmp_path) == ["a.pth"]
    assert len(checkpoint.load(path)["model"]["weight"]) == 10


def test_check_matches() -> None:
    state = make_state()
    ant = {"task_name": "Ant"}
    checkpoint.check_matches(state, ant, sized(), "x.pth")
    with pytest.raises(MyriadError, match=r"checkpoint x\.pth was trained for task Ant, not Cartpole"):
        checkpoint.check_matches(state, {"task_name": "Cartpole"}, sized(), "x.pth")
    with pytest.raises(MyriadError, match="was trained with 60 observations, the task now has 36"):
        checkpoint.check_matches(state, ant, sized(36), "x.pth")
    with pytest.raises(MyriadError, match="was trained with 8 actions, the task now has 9"):
        checkpoint.check_matches(state, ant, sized(num_actions=9), "x.pth")


def test_random_state_round_trip(tmp_path: Path) -> None:
    def draw() -> list[float]:
        return [random.gauss(0, 1), np.random.randn(), torch.randn(()).item()]

    draw()  # leaves cached gaussians behind, which are state too
    checkpoint.save(tmp_path / "a.pth", make_state() | {"random": checkpoint.get_random_state()})
    expected = [draw() for _ in range(3)]
    checkpoint.set_random_state(checkpoint.load(tmp_path / "a.pth")["random"])
    assert [draw() for _ in range(3)] == expected


@pytest.mark.parametrize("module", ["checkpoint", "run", "rollout", "record.recorder", "record.progress"])
def test_import_leaves_rl_games_alone(module: str) -> None:
    code = f"import sys, omni.myriad.learn.{module}; assert not any(m.startswith('rl_games') for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
