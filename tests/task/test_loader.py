# SPDX-License-Identifier: Apache-2.0
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


def test_a_task_without_a_file_is_named(tmp_path):
    with pytest.raises(MyriadError, match="Task Nowhere has no file"):
        load_task_class("Nowhere", [tmp_path])
