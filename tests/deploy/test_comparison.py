# SPDX-License-Identifier: Apache-2.0
"""docs/randomization/compare.py: what counts as a success, and the table; by hand."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from omni.myriad.errors import MyriadError

SCRIPT = Path(__file__).parents[2] / "docs/randomization/compare.py"


@pytest.fixture(scope="module")
def compare():
    return SimpleNamespace(**runpy.run_path(str(SCRIPT)))


def row(compare, policy, robot, where, **said):
    about = {"policy": policy, "robot": robot, "where": where, "lasting": 0.5, "reward_mean": 1234.5, "said": said}
    return about | {"success": compare.success(about)}


def test_who_falls_or_only_stands_does_not_succeed(compare):
    walks = row(compare, "a", "r", "mujoco", linear_error=[0.1, 0.1, 0.5, 0.1], angular_error=[0.2, 0.2, 0.1, 0.5],
                success=[1.0, 0.0, 1.0, 1.0])  # fmt: skip
    assert walks["success"] == 0.25
    assert row(compare, "a", "r", "mujoco")["success"] == 0.5, "where the task says no errors"


def test_columns_are_places_and_policies_and_seeds_count_alike(compare):
    good = {"linear_error": [0.1, 0.3], "angular_error": [0.1, 0.1], "success": [1.0, 1.0]}
    bad = {"linear_error": [0.5, 0.5], "angular_error": [0.3, 0.3], "success": [1.0, 1.0]}
    rows = [
        row(compare, "plain", "heavy", "newton", **bad),
        row(compare, "plain", "heavy", "mujoco", **good),
        row(compare, "plain", "heavy", "mujoco", **bad),  # another seed
        row(compare, "drawn", "heavy", "mujoco"),
    ]
    assert compare.table(rows).splitlines() == [
        "| the robot | MuJoCo, plain | MuJoCo, drawn | Newton, plain |",
        "|---|---|---|---|",
        "| heavy | 25% (0.35 m/s, 0.20 rad/s) | 50% (1,234.5) | 0% (0.50 m/s, 0.30 rad/s) |",
    ]


def test_what_is_missing_is_said(compare):
    with pytest.raises(MyriadError, match="There is nothing to compare: give exported policies"):
        compare.main(["episodes=1"])
    with pytest.raises(MyriadError, match=r"There is no nowhere.onnx: give exported policies"):
        compare.main(["plain=nowhere.onnx"])
