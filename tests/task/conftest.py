# SPDX-License-Identifier: Apache-2.0
"""Tasks from a text, and a robot as an import would leave it."""

import re
import shutil
from pathlib import Path

import pytest

from omni.myriad.robots.robot import Frame, Home, Robot
from omni.myriad.task.rl_task import ASSETS_PATH


@pytest.fixture
def task_of(env_of, tmp_path):
    """Build an environment from a task file's text, edited."""

    def build(text, *overrides, edit=("", "")):
        name = text.partition("class ")[2].partition("(")[0]
        (tmp_path / f"{re.sub('(?<!^)(?=[A-Z])', '_', name).lower()}.py").write_text(text.replace(*edit))
        return env_of(f"task={name}", f"task.task_path=[{tmp_path}]", "num_envs=3", *overrides)

    return build


@pytest.fixture
def pendulum(tmp_path) -> Path:
    """Make the folder of an imported robot: our cartpole, which has a tip on its pole and starts leaning."""
    folder = tmp_path / "pendulum"
    folder.mkdir()
    shutil.copy(ASSETS_PATH / "cartpole" / "cartpole.usda", folder / "robot.usda")
    half = 0.5**0.5
    tip = Frame("pole", (0.0, 0.0, 1.0), (half, 0.0, 0.0, half))
    links = {"rail": 1.0, "cart": 1.0, "pole": 1.0}
    home = Home(0.0, {"poleJoint": 0.5, "cartJoint": -1.0})
    robot = Robot("Cartpole", folder, "Apache-2.0", "assets", True, (), links, {"tip": tip}, home)
    (folder / "robot.yaml").write_text(robot.to_yaml())
    return folder
