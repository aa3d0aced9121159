# SPDX-License-Identifier: Apache-2.0
import inspect
import sys
from pathlib import Path

import pytest

from omni.myriad.errors import MyriadError
from omni.myriad.task.loader import TASKS_PATH, load_task_class, task_files

HEAD = "from omni.myriad import RLTask\n"


def test_tasks_of_the_repository_are_found_by_name():
    assert {"Ant", "Cartpole"} <= set(task_files([TASKS_PATH]))
    assert load_task_class("Cartpole", []).__name__ == "Cartpole"


@pytest.mark.parametrize("class_name", ["ReachGoal", "ReachGoalTask", "Anything"])
def test_a_class_is_found_under_the_name_with_task_or_alone(tmp_path, class_name):
    (tmp_path / "reach_goal.py").write_text(f"{HEAD}class {class_name}(RLTask):\n    pass\n")
    assert load_task_class("ReachGoal", [tmp_path]).__name__ == class_name


def test_ones_own_task_comes_before_myriads(tmp_path):
    (tmp_path / "ant.py").write_text(f"{HEAD}class Ant(RLTask):\n    mine = True\n")
    assert load_task_class("Ant", [tmp_path]).mine


def test_a_task_may_import_a_file_beside_it(tmp_path):
    (tmp_path / "shared_by_walkers.py").write_text(f"{HEAD}class Walker(RLTask):\n    pass\n")
    (tmp_path / "strider.py").write_text("from shared_by_walkers import Walker\nclass Strider(Walker):\n    pass\n")
    assert load_task_class("Strider", [tmp_path]).__name__ == "Strider"


@pytest.mark.parametrize("statement", ["from _shared import Walker", "from ._shared import Walker"])
def test_same_named_siblings_of_two_folders_do_not_mix(tmp_path, statement):
    for folder, legs in (("insects", 6), ("birds", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "_shared.py").write_text(
            f"{HEAD}from ._numbers import LEGS\nclass Walker(RLTask):\n    legs = LEGS\n"
            if statement.startswith("from .")
            else f"{HEAD}from _numbers import LEGS\nclass Walker(RLTask):\n    legs = LEGS\n"
        )
        (tmp_path / folder / "_numbers.py").write_text(f"LEGS = {legs}\n")
        (tmp_path / folder / f"{folder}_walk.py").write_text(f"{statement}\nclass {folder.title()}Walk(Walker): ...\n")
    path = list(sys.path)
    insects, birds = (load_task_class(name, [tmp_path]) for name in ("InsectsWalk", "BirdsWalk"))
    assert (insects.legs, birds.legs) == (6, 2)
    assert Path(inspect.getfile(insects)).parent.name == "insects"
    again = load_task_class("InsectsWalk", [tmp_path])
    assert again.legs == 6
    assert len(sys.path) <= len(path) + 1, "folders do not pile up"


def test_a_sibling_that_has_changed_is_read_again(tmp_path):
    (tmp_path / "_numbers.py").write_text("LEGS = 2\n")
    (tmp_path / "hopper.py").write_text(f"{HEAD}from _numbers import LEGS\nclass Hopper(RLTask):\n    legs = LEGS\n")
    assert load_task_class("Hopper", [tmp_path]).legs == 2
    (tmp_path / "_numbers.py").write_text("LEGS = 1 + 0\n")
    assert load_task_class("Hopper", [tmp_path]).legs == 1


def test_a_task_that_builds_on_another_gets_it_as_it_is_now(tmp_path):
    (tmp_path / "hopper.py").write_text(f"{HEAD}class Hopper(RLTask):\n    legs = 1\n")
    (tmp_path / "high_hopper.py").write_text("from .hopper import Hopper\nclass HighHopper(Hopper): ...\n")
    hopper = load_task_class("Hopper", [tmp_path])
    (tmp_path / "hopper.py").write_text(f"{HEAD}class Hopper(RLTask):\n    legs = 100\n")
    assert load_task_class("HighHopper", [tmp_path]).legs == 100 and hopper.legs == 1
    assert Path(inspect.getfile(hopper)).name == "hopper.py"


def test_tasks_are_found_in_folders_of_folders(tmp_path):
    for path in ("flight/drone.py", "flight/_rotors.py", "_old/glider.py", ".venv/lib/thing.py", "balloon.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"{HEAD}class {Path(path).stem.strip('_').title()}(RLTask): ...\n")
    assert task_files([tmp_path]) == {"Balloon": tmp_path / "balloon.py", "Drone": tmp_path / "flight/drone.py"}
    assert load_task_class("Drone", [tmp_path]).__name__ == "Drone"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_module\n", r"broken\.py:1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("x = 1\ny = 1 / 0\n", r"broken\.py:2: ZeroDivisionError"),
        ("def f(:\n", r"broken\.py:1: SyntaxError"),
        ("x = 1\n", "must define a subclass of RLTask named Broken; its subclasses are: none"),
        (f"{HEAD}class A(RLTask): pass\nclass B(RLTask): pass\n", "its subclasses are: A, B"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_named_with_its_line(tmp_path, source, message):
    (tmp_path / "broken.py").write_text(source)
    with pytest.raises(MyriadError, match=message):
        load_task_class("Broken", [tmp_path])


def test_a_mistake_in_a_file_beside_a_task_is_named_with_its_line(tmp_path):
    (tmp_path / "broken.py").write_text("import _helper\n")
    for source, message in (("x = 1\n\ny = 1 / 0\n", "3: ZeroDivisionError"), ("\ndef f(:\n", "2: SyntaxError")):
        (tmp_path / "_helper.py").write_text(source)
        with pytest.raises(MyriadError, match=rf"^Task file {tmp_path}/_helper\.py:{message}: [^\n]+$"):
            load_task_class("Broken", [tmp_path])


def test_a_task_without_a_file_is_named(tmp_path):
    with pytest.raises(MyriadError, match="Task Nowhere has no file"):
        load_task_class("Nowhere", [tmp_path])
