# SPDX-License-Identifier: Apache-2.0
"""What docs/newton.md says of tasks and policies is what was measured."""

import importlib.util
import json
from pathlib import Path

from omni.myriad.task.loader import all_tasks

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("newton_tasks", ROOT / "docs/newton/tasks.py")
assert spec is not None and spec.loader is not None
tasks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tasks)
FOUND = json.loads(tasks.RESULTS.read_text())


def test_the_tables_are_what_the_file_says():
    page = tasks.PAGE.read_text()
    assert tasks.written(page, FOUND) == page
    changed = json.loads(json.dumps(FOUND))
    changed["steps"]["Cartpole"]["newton"]["finite"] = False
    assert "| no | two epochs |" in tasks.written(page, changed)


def test_rows_are_of_tasks_that_there_are():
    assert FOUND["steps"].keys() | FOUND["policies"].keys() <= set(all_tasks())
