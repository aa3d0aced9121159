# SPDX-License-Identifier: Apache-2.0
"""The window's story with Isaac Sim's own Python; needs a checkout, see tests/conformance/test_isaac_sim.py."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from omni.myriad.app import runs
from omni.myriad.app.config import load_config
from tests.ui.kit_story import TINY
from tests.ui.test_model import rewards_of

HERE = Path(__file__).parent


@pytest.mark.parametrize("tag", ["v5.1.0", "v6.0.1"])
def test_the_window_in_a_kit_that_owns_the_loop(tag, tmp_path):
    checkout = Path(os.environ.get("ISAACSIM_SRC", "/nonexistent")).expanduser() / tag
    if not (checkout / "source").is_dir() or importlib.util.find_spec("scipy") is None:
        pytest.skip("needs ISAACSIM_SRC and SciPy: see tests/conformance/test_isaac_sim.py")
    command = [sys.executable, str(HERE / "kit_story.py"), str(tmp_path), str(checkout)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
    happened = json.loads((tmp_path / "story.json").read_text())

    starts = ("Loaded Cartpole", "Trained 3 epochs", "Played 100 episodes", "Exported", "Trained 3 epochs", "Stopped")
    for message, start in zip(happened["messages"], starts, strict=True):
        assert message.startswith(start), happened["messages"]
    assert happened["state"] == "EMPTY" and happened["threads"] == [] and happened["left"] == 0
    # Nothing else than force_update brings what is computed on a GPU onto the stage that is drawn.
    steps, updates = happened["drawn"]["EVERY_STEP"]
    assert steps >= 24 and abs(updates - steps) <= 1  # 3 epochs of 8 steps at least; one may be in the making
    assert happened["drawn"]["UI_ONLY"][1] == 0
    assert (Path(happened["last"]) / "checkpoints" / "last.pth").is_file()
    assert happened["frames"] > 10

    first, second = Path(happened["runs"][1]), Path(happened["runs"][4])
    assert json.loads((first / "run.json").read_text())["engine"] == f"Isaac Sim {tag[1:]}"
    assert rewards_of(first) == rewards_of(second)
    # The same seed without a window and without Isaac Sim. Only standalone PhysX splits environments over scenes.
    settings = [*TINY.split(), "max_iterations=3", "num_envs=16", "seed=7", "sim_device=cpu", "engine.shards=1"]
    runs.train(load_config(["task=Cartpole", *settings, f"train_dir={tmp_path}", "experiment=headless"]))
    theirs, ours = rewards_of(first), rewards_of(tmp_path / "headless")
    assert len(theirs) == 3
    for row, expected in zip(theirs, ours, strict=True):
        values, wanted = ([float(cell or "nan") for cell in line.split(",")] for line in (row, expected))
        assert values == pytest.approx(wanted, rel=1e-4, nan_ok=True)
