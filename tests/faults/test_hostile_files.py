# SPDX-License-Identifier: Apache-2.0
"""Files that were made to do harm: what they get is one line, soon."""

import time

import pytest

from omni.myriad.app.config import load_config
from omni.myriad.errors import MyriadError


@pytest.fixture
def bomb(tmp_path):
    """The folder of a task whose YAML writes out to nine to the tenth values."""
    lines, last = ["a: &a [x, x, x, x, x, x, x, x, x]"], "a"
    for name in "bcdefghij":
        lines.append(f"{name}: &{name} [{', '.join([f'*{last}'] * 9)}]")
        last = name
    (tmp_path / "cfg/task").mkdir(parents=True)
    (tmp_path / "cfg/task/Bomb.yaml").write_text("\n".join(lines))
    (tmp_path / "bomb.py").write_text("")
    return tmp_path


@pytest.mark.parametrize("settings", ["task=Bomb task.task_path=[{0}]", "settings={0}/cfg/task/Bomb.yaml"])
def test_yaml_that_explodes_is_refused_at_once(bomb, settings):
    start = time.monotonic()
    with pytest.raises(MyriadError, match=r"Bomb\.yaml writes out to [\d,]+ values by its aliases"):
        load_config(settings.format(bomb).split())
    assert time.monotonic() - start < 10


def test_yaml_with_a_few_aliases_is_read(bomb):
    (bomb / "cfg/task/Bomb.yaml").write_text(
        "defaults: [Default]\nname: Bomb\nenv:\n  legs: &legs [1, 2]\n  arms: *legs\n  numEnvs: 4\n"
    )
    config = load_config(["task=Bomb", f"task.task_path=[{bomb}]", "sim_device=cpu"])
    assert config["task"]["env"]["arms"] == [1, 2]
