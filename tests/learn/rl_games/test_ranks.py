# SPDX-License-Identifier: Apache-2.0
"""Several processes learn what one does, and end together; real processes that talk through gloo."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from omni.myriad.learn import checkpoint
from omni.myriad.places import ROOT
from tests.learn.rl_games.rank import EPOCHS, HORIZON, NUM_ENVS, train

LAUNCH = "import sys; from omni.myriad.app.launch import run_ranks; sys.exit(run_ranks(2, sys.argv[1:]))"


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start two ranks."""
    command = [sys.executable, "-c", LAUNCH, "-m", "tests.learn.rl_games.rank", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )


@pytest.fixture(autouse=True)
def torch_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back what `train` exchanges in this process."""
    for name in ("randn_like", "normal"):
        monkeypatch.setattr(torch, name, getattr(torch, name))


@pytest.mark.parametrize("update", ["lean", "memory", "stock"])
def test_two_ranks_learn_what_one_process_does(update: str, tmp_path: Path) -> None:
    both = start(tmp_path / "both", update)
    alone = train(tmp_path / "alone", lean=update != "stock", rnn=update == "memory")
    _, said = both.communicate(timeout=120)
    assert both.returncode == 0, said
    first, second = (torch.load(tmp_path / "both" / f"rank_{rank}.pt") for rank in (0, 1))
    for name, tensor in first["model"].items():
        assert torch.equal(tensor, second["model"][name]), name  # one model, to the bit
    for name, tensor in alone["model"].items():
        torch.testing.assert_close(
            first["model"][name], tensor, rtol=1e-3, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}"
        )
    assert first["lr"] == second["lr"] == pytest.approx(alone["lr"]) != 3e-3
    frames = EPOCHS * NUM_ENVS * HORIZON
    assert first["summary"]["frames"] == alone["summary"]["frames"] == frames
    assert first["summary"]["reward_mean"] == pytest.approx(alone["summary"]["reward_mean"])
    assert (first["summary"]["ranks"], first["summary"]["num_envs"]) == (2, NUM_ENVS // 2)


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("error", 2, r"Error: rank 1 was told to fail\n"),
        ("deaf", 2, r"Error: rank 1 was told to fail\n"),
        ("defect", 1, r"Traceback (.|\n)*ZeroDivisionError: a defect of rank 1\n"),
        ("killed", 137, r"Error: rank 1 was ended by SIGKILL.\n"),
    ],
)
def test_a_rank_that_fails_ends_all_and_says_why_alone(what: str, code: int, said: str, tmp_path: Path) -> None:
    both = start(tmp_path, what)
    _, errors = both.communicate(timeout=120)
    ended = time.time()
    assert re.fullmatch(said, errors), errors
    assert both.returncode == code
    # 2 s of grace at most, and what a busy machine adds: without an end to the grace a deaf rank sleeps for minutes.
    assert ended - (tmp_path / "failed").stat().st_mtime < 15.0
    assert not list(tmp_path.glob("rank_*.pt"))
    left = subprocess.run(["pgrep", "-f", f"rank {tmp_path}"], capture_output=True, text=True)
    assert left.stdout == ""


def test_a_signal_stops_all_and_more_or_fewer_ranks_resume(tmp_path: Path) -> None:
    train(tmp_path / "one")
    both = start(tmp_path / "two", "endless", tmp_path / "one" / "checkpoints" / "last.pth")
    last = tmp_path / "two" / "checkpoints" / "last.pth"
    deadline = time.monotonic() + 120
    while not last.exists() and time.monotonic() < deadline and both.poll() is None:
        time.sleep(0.1)
    both.send_signal(signal.SIGTERM)
    printed, said = both.communicate(timeout=120)
    assert both.returncode == 128 + signal.SIGTERM, said
    assert said.count("Interrupted.") == 1 and said.strip().endswith(f"resume with checkpoint={tmp_path / 'two'}"), said
    assert printed.count("epoch 4/") == 1
    state = checkpoint.load(last)
    frames = EPOCHS * NUM_ENVS * HORIZON
    assert state["epoch"] > EPOCHS and state["frame"] == frames // EPOCHS * state["epoch"]
    assert len(state["rollout"]["dones"]) == NUM_ENVS // 2
    summary = train(tmp_path / "again", state["epoch"] + 1, str(last))["summary"]
    assert (summary["epochs"], summary["ranks"]) == (state["epoch"] + 1, 1)


@pytest.mark.nightly
def test_two_agents_of_torchrun_stand_in_for_two_machines(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = ["--nnodes=2", "--nproc_per_node=1", "--rdzv_backend=c10d", f"--rdzv_endpoint=127.0.0.1:{port}"]
    command = [sys.executable, "-m", "torch.distributed.run", *torchrun, "--rdzv_id=test"]
    command += ["--local_addr=127.0.0.1", "-m", "tests.learn.rl_games.rank", str(tmp_path), "lean"]
    agents = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [agent.communicate(timeout=300)[1] for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], said
    first, second = (torch.load(tmp_path / f"rank_{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(tensor, second["model"][name]) for name, tensor in first["model"].items())
