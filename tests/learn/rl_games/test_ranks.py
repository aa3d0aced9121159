# SPDX-License-Identifier: Apache-2.0
"""Several processes learn what one does, and end together; real processes that talk through gloo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from omni.myriad.places import ROOT
from tests.learn.rl_games.rank import EPOCHS, HORIZON, NUM_ENVS, train

LAUNCH = "import sys; from omni.myriad.app.launch import run_ranks; sys.exit(run_ranks(2, sys.argv[1:]))"


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start two ranks."""
    command = [sys.executable, "-c", LAUNCH, "-m", "tests.learn.rl_games.rank", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )


@pytest.mark.parametrize("update", ["lean", "stock"])
def test_two_ranks_learn_what_one_process_does(update: str, tmp_path: Path, monkeypatch: Any) -> None:
    both = start(tmp_path / "both", update)
    for name in ("randn_like", "normal"):
        monkeypatch.setattr(torch, name, getattr(torch, name))  # put back, after `train` has exchanged it
    alone = train(tmp_path / "alone", lean=update == "lean")
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
