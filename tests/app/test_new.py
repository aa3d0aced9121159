# SPDX-License-Identifier: Apache-2.0
"""A new task runs as it is written, and so do the commands that are printed."""

import dataclasses
import json
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from omni.myriad.app import new, runs
from omni.myriad.errors import MyriadError
from omni.myriad.robots.robot import Frame, Home, Joint, Robot
from omni.myriad.task.rl_task import ASSETS_PATH

INF = float("inf")


@pytest.fixture
def robot(tmp_path):
    """Make the folder of an imported robot from one of ours."""

    def make(name, fixed_base):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(ASSETS_PATH / name / f"{name}.usda", folder / "robot.usda")
        cart = Joint("cartJoint", "prismatic", -4.0, 4.0, 300.0, INF, 0.0, 0.0, 0.0, 0.0)
        pole = Joint("poleJoint", "revolute", -INF, INF, 30.0, INF, 0.0, 0.0, 0.0, 0.0)
        joints = (cart, pole) if fixed_base else ()
        frames = {"pole_tcp": Frame("pole", (0.0, 0.0, 1.0), (1.0, 0.0, 0.0, 0.0))} if fixed_base else {}
        home, links = Home(0.0 if fixed_base else 0.6, {}), {"base": 1.0}
        made = Robot(name, folder, "Apache-2.0", "assets", fixed_base, joints, links, frames, home)
        (folder / "robot.yaml").write_text(made.to_yaml())
        return folder

    return make


@pytest.fixture
def run(myriad):
    """Run commands that were printed, as a user would; return what they print."""

    def run(command):
        done = myriad(*shlex.split(command.removeprefix("./myriad")))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def run_in_a_process_of_its_own(command, folder):
    """Run a command where nothing is known from an earlier one."""
    arguments = shlex.split(command.removeprefix("./myriad"))
    process = subprocess.run(
        [sys.executable, "-m", "omni.myriad", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr


def printed(output, word):
    """Return the command that was printed behind a word."""
    return re.findall(rf"^{word}: +(./myriad .*)$", output, re.MULTILINE)[0]


@pytest.mark.parametrize(("name", "fixed_base"), [("cartpole", True), ("ant", False)])
def test_a_new_task_trains_plays_and_is_filmed_by_the_commands_that_are_printed(
    tmp_path, monkeypatch, robot, run, name, fixed_base
):
    monkeypatch.setattr(runs, "FILM_SECONDS", 0.2)
    output = run(f"./myriad new FirstTask robot={robot(name, fixed_base)}")
    short = "num_envs=8 max_iterations=2 task.env.episodeLength=12 sim_device=cpu experiment=run"
    output = run(f"{printed(output, 'Train')} {short}")
    # The run remembers where the task is: nothing but its folder is named.
    play = f"{printed(output, 'Play')} num_envs=2 episodes=2 sim_device=cpu"
    assert "task_path" not in play
    if fixed_base:
        run(f"{play} video=True")
    else:
        run_in_a_process_of_its_own(play, tmp_path)
    result = json.loads((tmp_path / "runs" / "run" / "play.json").read_text())
    assert result["episodes"] == 2 and (tmp_path / "runs/run/play.mp4").is_file() == fixed_base


def test_a_checkpoint_alone_names_no_folder_of_tasks(tmp_path, robot, run):
    output = run(f"./myriad new FirstTask robot={robot('cartpole', True)}")
    run(f"{printed(output, 'Train')} num_envs=4 max_iterations=1 sim_device=cpu experiment=run")
    file = tmp_path / "runs" / "run" / "checkpoints" / "last.pth"
    with pytest.raises(AssertionError, match="Unknown task 'FirstTask'"):
        run(f"./myriad play task=FirstTask checkpoint={file}")


def test_motors_follow_from_efforts():
    joint = Joint("elbow", "revolute", -1.0, 1.0, 87.0, 2.0, 0.0, 0.0, 0.0, 0.0)
    assert new._motor(joint) == "{kind: position, stiffness: 290, damping: 58}"
    endless = dataclasses.replace(joint, effort=INF, type="prismatic")
    assert new._motor(endless) == "{kind: position, stiffness: 1000, damping: 200}"


def test_the_learner_is_fitted_to_the_environments():
    assert "minibatch_size: 24576" in new.learner_text(4096) and "minibatch_size: 1\n" in new.learner_text(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reach", "robot=panda"], "Give one name like a class's, such as Reach"),
        (["Reach"], "Give a robot: ./myriad new Reach robot=panda"),
        (["Reach", "robot=pandaa"], "pandaa is neither a file.*did you mean panda"),
        (["Reach", "robot=panda", "num_envs=many"], "num_envs=many is invalid"),
        (["Reach", "robo=panda"], "robo is no setting of new; it has: robot, folder, num_envs"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(MyriadError, match=message):
        new._new(arguments)


def test_nothing_is_overwritten(tmp_path, robot):
    folder, made = tmp_path / "own", robot("cartpole", True)
    folder.mkdir()
    (folder / "reach.py").write_text("mine")
    with pytest.raises(MyriadError, match=r"reach.py exists already"):
        new._new(["Reach", f"robot={made}", f"folder={folder}"])
    assert [file.name for file in folder.iterdir()] == ["reach.py"] and (folder / "reach.py").read_text() == "mine"
