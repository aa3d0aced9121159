# SPDX-License-Identifier: Apache-2.0
"""What --help prints: every setting a verb takes, with its value, what is allowed and one line of help."""

import io

import pytest
from rich.console import Console

from omni.myriad.app.config import load_config
from omni.myriad.app.help import print_help
from omni.myriad.app.schema import VERBS


def printed(verb, *argv, width=120):
    file = io.StringIO()
    print_help(verb, argv, Console(file=file, width=width, highlight=False, markup=False))
    return file.getvalue()


def leaves(section, prefix=""):
    for name, value in section.items():
        if isinstance(value, dict) and value and f"{prefix}{name}" not in ("train.on_cpu", _REGULARIZER):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


_REGULARIZER = "train.params.network.mlp.regularizer"


def test_every_setting_of_a_run_is_there_below_its_section():
    found, section = set(), ""
    for line in printed("train", "task=Ant", width=200).splitlines():
        if line and not line.startswith(" "):
            section = line.partition("*")[0] if ".*" in line else ""
        elif "=" in line:
            found.add(section + line.strip().partition("=")[0])
    config = load_config(["task=Ant", "sim_device=cpu"], "train")
    of_others = {
        "output",
        "opset",
        "video",
        "fault",
        "mass",
        "friction",
        "latency",
        "task_name",
        "rl_device",
        "pipeline",
        "num_threads",
        "solver_type",
    }
    wanted = {*leaves(config)} - of_others - {"physics_engine"}
    assert wanted - found == set()


def test_values_are_those_of_the_task_and_what_is_allowed_stands_behind_them():
    text = printed("train", "task=Ant", "train=AntFastPPO")
    assert "  task=Ant " in text and "  horizon_length=12 " in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "gamma=0.99 discount of later rewards [float from 0 to 1]" in lines
    assert "gravity=[0.0,0.0,-9.81] m/s^2 [list of 3 floats]" in lines
    assert "resetPositionNoise=0.2 rad [float]" in lines  # a task's own, with the comment in its YAML
    assert "Ant a four-legged robot runs ahead as fast as it can." in lines
    assert "minibatch_size=8192 " in printed("train")


def test_a_section_of_many_lines_is_not_folded_into_a_column():
    lines = [" ".join(line.split()) for line in printed("train", "task=ShadowHandOpenAI_LSTM").splitlines()]
    assert any(line.startswith("domain_randomization={...} what changes by chance") for line in lines)


def test_tasks_of_ones_own_are_listed_without_running_them(tmp_path):
    (tmp_path / "reach_goal.py").write_text('"""ReachGoal: reach it."""\nraise SystemExit("it was run")\n')
    (tmp_path / "broken.py").write_text("def")
    text = printed("train", "task=ReachGoal", f"task.task_path=[{tmp_path}]")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "ReachGoal reach it." in lines and "Broken" in lines and "task=ReachGoal the task" in lines


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("width", [80, 120])
def test_each_verb_fits_its_page_and_says_only_what_it_takes(verb, width):
    text = printed(verb, width=width)
    assert text.startswith(f"./myriad {verb} ") and "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) <= width
    assert ("opset=17" in text, "video=" in text, "measure=" in text, "wandb_activate=False" in text) == (
        verb == "export",
        verb in ("train", "play", "deploy"),
        verb == "benchmark",
        verb in ("train", "sweep"),
    )
    assert ("gamma=" in text) == (verb == "train")
