# SPDX-License-Identifier: Apache-2.0
"""`./myriad verify-isaacsim` from beginning to end on the stand-in for Kit; needs a checkout, see test_isaac_sim.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .test_isaac_sim import ROOT, TAGS, checkout

HERE = Path(__file__).parent
NEEDS_MORE = {
    "Cartpole on the GPU": "no GPU",
    "Ant on the GPU": "no GPU",
    f"window: pixels move in {100} steps": "capture_viewport_to_file",
    "window: frame rate": "nothing is rendered here",
    "CartpoleCamera runs": "no cameras",
    "FrankaReachCamera runs": "no cameras",
    "container": "",
}
"""What the stand-in cannot have, and what the report says of it."""


def test_without_isaac_sim_it_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "omni.myriad", "verify-isaacsim", str(tmp_path / "report")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)

    assert done.returncode == 2
    assert done.stderr.startswith("Error: verify-isaacsim needs Isaac Sim") and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "report").exists()


@pytest.mark.nightly
@pytest.mark.parametrize("tag", TAGS)
def test_the_whole_checklist(tag: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "ISAACSIM_PATH": str(HERE / "rehearsal"),
        "MYRIAD_REHEARSAL": str(checkout(tag)),
        "MYRIAD_REHEARSAL_PYTHON": sys.executable,
        "CUDA_VISIBLE_DEVICES": "",
    }
    environment.pop("ACCEPT_EULA", None)
    command = [str(ROOT / "myriad"), "verify-isaacsim", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=3000)
    report = json.loads((tmp_path / "report.json").read_text())
    checks = {check["name"]: check for check in report["checks"]}

    failed = {name: check["detail"] for name, check in checks.items() if check["status"] == "failed"}
    assert failed == {} and done.returncode == 0, (failed, done.stderr[-3000:])
    for name, reason in NEEDS_MORE.items():
        assert checks[name]["status"] == "not run" and reason in checks[name]["detail"]
    assert {name for name, check in checks.items() if check["status"] == "not run"} == set(NEEDS_MORE)
    assert f"Isaac Sim {tag[1:]}" in checks["version and packages"]["detail"]
