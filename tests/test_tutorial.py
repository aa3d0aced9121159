# SPDX-License-Identifier: Apache-2.0
"""The tutorial's commands are run as they stand, in small: what needs a robot of the catalogue, at night."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "tutorial.md").read_text()
SMALL = {
    "train": ["num_envs=8", "max_iterations=2", "task.env.episodeLength=12", "sim_device=cpu"],
    "play": ["num_envs=2", "episodes=2", "task.env.episodeLength=12", "sim_device=cpu"],
    "export": ["sim_device=cpu"],
    "deploy": ["episodes=1"],
    "import": ["film=False"],
    "new": [],
    "robots": [],
}


def sections() -> dict[str, str]:
    """Return the page's sections by title."""
    parts = re.split(r"^## \d+\. (.*)$", PAGE, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def commands(section: str) -> list[list[str]]:
    """Return the commands of a section, each with what makes it small; a setting that is given twice is the last."""
    blocks = re.findall(r"```bash\n(.*?)```", sections()[section], flags=re.DOTALL)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines()]
    assert all(line[0] == "./myriad" for line in lines)
    return [line[1:] + SMALL[line[1]] for line in lines]


def run(arguments, folder):
    process = subprocess.run(
        [sys.executable, "-m", "omni.myriad", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, f"{' '.join(arguments)}\n{process.stdout}{process.stderr}"


def test_the_loop_and_a_class(tmp_path):
    (tmp_path / "my_tasks").mkdir()
    code = sections()["A class"].partition("```python\n")[2].partition("```")[0]
    (tmp_path / "my_tasks" / "my_robot_task.py").write_text(code)
    for arguments in [*commands("The loop"), *commands("A class")]:
        run(arguments, tmp_path)
    for name in ("cartpole", "first"):
        assert json.loads((tmp_path / "runs" / name / "play.json").read_text())["episodes"] == 2
        assert (tmp_path / "runs" / name / "play.mp4").stat().st_size > 1000


@pytest.mark.nightly
def test_from_a_robots_file_to_deployment(tmp_path):
    for section in ("A robot's own file", "A reward", "Export", "Deployment"):
        for arguments in commands(section):
            run(arguments, tmp_path)
    assert (tmp_path / "my_tasks" / "reach.py").is_file()
    result = json.loads((tmp_path / "runs" / "franka" / "play.json").read_text())
    assert 0.0 <= result["success"] <= 1.0
    assert (tmp_path / "runs/franka/exported/policy.deploy/mujoco.mp4").is_file()


def test_the_readmes_first_task_is_the_tutorials():
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    code = sections()["A class"].partition("```python\n")[2].partition("```")[0]
    assert code and code in readme


def test_motors_of_the_page_are_those_that_there_are():
    from omni.myriad.task.actuators import ActuatorKind

    kinds = re.findall(r"^\| `(\w+)` \|", sections()["Motors"], flags=re.MULTILINE)
    assert kinds == list(ActuatorKind.__args__)
