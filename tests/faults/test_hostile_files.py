# SPDX-License-Identifier: Apache-2.0
"""Files that were made to do harm: what they get is one line, soon."""

import shutil
import time
from pathlib import Path

import pytest

from omni.myriad.app.config import load_config
from omni.myriad.errors import MyriadError

ROOT = Path(__file__).resolve().parents[2]


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


def test_yaml_of_a_checkout_that_explodes_is_refused_at_once(bomb):
    checkout = shutil.copytree(ROOT / "tests/oige/checkout", bomb / "checkout")
    config = checkout / "omniisaacgymenvs/cfg/task"
    for name in ("Swing", "SwingSlow"):  # which has the other as its default
        shutil.copy(config / f"{name}.yaml", bomb)
        shutil.copy(bomb / "cfg/task/Bomb.yaml", config / f"{name}.yaml")
        with pytest.raises(MyriadError, match=rf"{name}\.yaml writes out to [\d,]+ values by its aliases"):
            load_config([f"oige={checkout}", "task=SwingSlow"])
        shutil.copy(bomb / f"{name}.yaml", config)
    load_config([f"oige={checkout}", "task=SwingSlow", "sim_device=cpu"])


def test_configuration_of_a_run_that_explodes_is_refused_at_once(bomb):
    shutil.copy(bomb / "cfg/task/Bomb.yaml", bomb / "config.yaml")
    with pytest.raises(MyriadError, match=r"config\.yaml writes out to [\d,]+ values by its aliases"):
        load_config(["task=Cartpole", f"checkpoint={bomb}"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("defaults: [SwingSlow]", "is among its own defaults"),
        ("defaults: [../Swing]", "cannot be read"),
        ("[1, 2]", "cannot be read: it is no dictionary"),
        ("{", "cannot be read"),
    ],
)
def test_odd_yaml_of_a_checkout_is_refused_in_one_line(tmp_path, text, said):
    checkout = shutil.copytree(ROOT / "tests/oige/checkout", tmp_path / "checkout")
    (checkout / "omniisaacgymenvs/cfg/task/SwingSlow.yaml").write_text(text)
    with pytest.raises(MyriadError, match=said) as caught:
        load_config([f"oige={checkout}", "task=SwingSlow"])
    assert "\n" not in str(caught.value)


def test_yaml_with_a_few_aliases_is_read(bomb):
    (bomb / "cfg/task/Bomb.yaml").write_text(
        "defaults: [Default]\nname: Bomb\nenv:\n  legs: &legs [1, 2]\n  arms: *legs\n  numEnvs: 4\n"
    )
    config = load_config(["task=Bomb", f"task.task_path=[{bomb}]", "sim_device=cpu"])
    assert config["task"]["env"]["arms"] == [1, 2]
