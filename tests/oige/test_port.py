# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import pytest

from omni.myriad.errors import MyriadError
from omni.myriad.oige.port import _METHODS, changes, report, yaml_changes

FILE = """
import numpy as np
import torch
from omni.isaac.core.utils.torch.maths import scale, tf_combine
from omniisaacgymenvs.tasks.base.rl_task import RLTask
class Task(RLTask):
    def __init__(self):
        self._max_episode_length = 500
    def set_up_scene(self, scene):
        super().set_up_scene(scene, replicate_physics=False)
    def reset_idx(self, env_ids):
        pass
"""


def test_each_line_that_changes_is_said_in_order():
    assert changes(FILE) == [
        (2, "import numpy", "torch and math"),
        (4, "from omni.isaac.core.utils.torch.maths import scale", "from omni.myriad.maths import scale"),
        (4, "from omni.isaac.core.utils.torch.maths import tf_combine", "a few lines of torch: maths has it not"),
        (5, "from omniisaacgymenvs.tasks.base.rl_task import RLTask", "from omni.myriad import RLTask"),
        (7, "def __init__", _METHODS["__init__"]),
        (8, "self._max_episode_length", "env.episodeLength: 500 in the YAML"),
        (10, "set_up_scene(scene, replicate_physics=...)", "super().set_up_scene(scene)"),
    ]  # fmt: skip


def test_a_yaml_gets_what_ours_would_change_in_silence():
    lines = yaml_changes({"env": {"clipActions": 1.0}, "sim": {"use_fabric": True, "physx": {"use_gpu": True}}})
    assert "add env.controlFrequencyInv: 1 (theirs by default; ours is 2)" in lines
    assert "delete what is not used: sim.use_fabric, sim.physx.use_gpu" in lines
    assert not any("clipActions" in line for line in lines)


def test_the_verb_prints_it_with_the_yaml_and_needs_a_file(checkout):
    file = checkout / "omniisaacgymenvs" / "tasks" / "swing.py"
    command = [sys.executable, "-m", "omni.myriad", "port"]
    done = subprocess.run([*command, str(file)], capture_output=True, text=True, check=True)
    assert "from omni.myriad import ArticulationView" in done.stdout
    assert "cfg/task/Swing.yaml:\n  add env.controlFrequencyInv: 1" in done.stdout
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2


def test_what_is_no_python_is_said(tmp_path):
    (tmp_path / "task.py").write_text("class:")
    with pytest.raises(MyriadError, match=r"task\.py cannot be read as Python"):
        report(tmp_path / "task.py")
